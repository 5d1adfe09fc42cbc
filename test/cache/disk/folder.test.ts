/** The folder of a disk store: whose it is, and when what it holds counts. */
import { copyFileSync, cpSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { isFollowedBy, openFolder } from '../../../cache/disk/folder.ts';
import { contentOf, openStore, SEGMENT_BYTES, temporary } from './stores.ts';

for (const { rule, renewal, change } of [
  { rule: 'nothing there', renewal: 'empty', change: (path: string) => rmSync(join(path, 'identity')) },
  {
    rule: 'another format',
    renewal: 'format',
    change: (path: string) => rewrite(path, (identity) => ({ ...identity, format: 99, id: 7 })),
  },
  {
    rule: 'a changed identity',
    renewal: 'identity',
    change: (path: string) => {
      const file = join(path, 'identity');
      writeFileSync(file, readFileSync(file, 'latin1').replace('"id":"', '"id":"0'));
    },
  },
  { rule: 'no segments', renewal: 'segments', change: (path: string) => rmSync(join(path, 'segments')) },
  {
    rule: 'a copy of the segments',
    renewal: 'copied',
    change: (path: string) => {
      copyFileSync(join(path, 'segments'), join(path, 'copy'));
      renameSync(join(path, 'copy'), join(path, 'segments'));
    },
  },
  {
    rule: 'an old copy of the whole folder',
    renewal: 'copied',
    change: (path: string) => {
      cpSync(path, `${path}.old`, { recursive: true });
      rmSync(path, { recursive: true });
      renameSync(`${path}.old`, path);
    },
  },
] as const) {
  test(`begun anew: ${rule}`, async (t) => {
    const path = join(temporary(t), 'cache');
    const first = await openStore(path);
    t.equal(first.folder.renewal, 'empty');
    first.store.append(contentOf('k', 1, 10));
    await first.store.flush();
    await first.close();
    const second = await openStore(path);
    t.equal(second.folder.renewal, undefined);
    t.ok(await second.store.read('k'));
    await second.close();
    change(path);
    const third = await openStore(path);
    t.equal(third.folder.renewal, renewal);
    t.equal(third.store.read('k'), undefined);
    await third.close();
  });
}

function rewrite(path: string, change: (identity: object) => object): void {
  const file = join(path, 'identity');
  const [json = ''] = readFileSync(file, 'utf8').split('\n');
  const changed = JSON.stringify(change(JSON.parse(json)));
  const crc = (process.getBuiltinModule('node:zlib').crc32(changed) >>> 0).toString(16).padStart(8, '0');
  writeFileSync(file, `${changed}\n${crc}\n`);
}

test('begun anew: an older copy that was written over the files', async (t) => {
  const path = join(temporary(t), 'cache');
  const names = ['identity', 'segments'];
  const first = await openStore(path);
  first.store.append(contentOf('k', 1, 10));
  await first.store.flush();
  await first.close();
  for (const name of names) copyFileSync(join(path, name), `${path}.${name}`);
  const second = await openStore(path);
  second.store.remove('k');
  await second.store.flush();
  await second.close();
  for (const name of names) copyFileSync(`${path}.${name}`, join(path, name));
  const third = await openStore(path);
  t.equal(third.folder.renewal, 'copied');
  t.equal(third.store.read('k'), undefined);
  await third.close();
});

test('begun anew: a copy from before a purge that was written over the files', async (t) => {
  const path = join(temporary(t), 'cache');
  const names = ['identity', 'segments'];
  const first = await openStore(path);
  first.store.append(contentOf('k', 1, 10));
  await first.store.flush();
  for (const name of names) copyFileSync(join(path, name), `${path}.${name}`);
  await first.folder.note({ position: { identity: 'a', seq: 1 }, terms: ['a'] });
  await first.close();
  for (const name of names) copyFileSync(`${path}.${name}`, join(path, name));
  const second = await openStore(path);
  t.equal(second.folder.renewal, 'copied');
  await second.close();
});

test('the folder says which purges were applied, the latest of them', async (t) => {
  const path = join(temporary(t), 'cache');
  const first = await openFolder(path, SEGMENT_BYTES);
  t.equal(first.applied, undefined);
  const terms = ['a', 'b'];
  const notes = [1, 2, 3].map((seq) => first.note({ position: { identity: 'b', seq }, terms }));
  t.same(first.applied, { position: { identity: 'b', seq: 3 }, terms });
  await Promise.all(notes);
  first.release();
  const second = await openFolder(path, SEGMENT_BYTES);
  t.equal(second.renewal, undefined);
  t.same(second.applied, { position: { identity: 'b', seq: 3 }, terms });
  second.release();
});

const JOURNAL = [
  { identity: 'a', after: -1 },
  { identity: 'b', after: 4 },
];

for (const { rule, identity, seq, journal, expected } of [
  { rule: 'the same journal', identity: 'b', seq: 6, journal: JOURNAL, expected: true },
  {
    rule: 'the journal, opened again',
    identity: 'b',
    seq: 6,
    journal: [...JOURNAL, { identity: 'c', after: 6 }],
    expected: true,
  },
  {
    rule: 'a copy from before the purge',
    identity: 'b',
    seq: 6,
    journal: [...JOURNAL, { identity: 'c', after: 5 }],
    expected: false,
  },
  {
    rule: 'a copy from before the term of the purge',
    identity: 'b',
    seq: 6,
    journal: [JOURNAL[0] as (typeof JOURNAL)[0], { identity: 'c', after: 4 }],
    expected: false,
  },
  {
    rule: 'another journal: each response is revalidated',
    identity: 'b',
    seq: 6,
    journal: [{ identity: 'x', after: -1 }],
    expected: true,
  },
]) {
  test(`what is stored can ${expected ? '' : 'not '}be compared: ${rule}`, async (t) => {
    t.equal(isFollowedBy({ position: { identity, seq }, terms: ['a', 'b'] }, journal), expected);
  });
}
