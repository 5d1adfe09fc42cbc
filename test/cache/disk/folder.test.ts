/** The folder of a disk store: whose it is, and when what it holds counts. */
import { spawn } from 'node:child_process';
import { copyFileSync, cpSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { DiskInUseError, openFolder } from '../../../cache/disk/folder.ts';
import { contentOf, openStore, SEGMENT_BYTES, temporary } from './stores.ts';

test('files are for their owner only', async (t) => {
  const path = join(temporary(t), 'cache');
  const { close, store } = await openStore(path);
  store.append(contentOf('k', 1, 10));
  await store.flush();
  t.equal(statSync(path).mode & 0o777, 0o700);
  for (const name of ['lock', 'identity', 'segments']) t.equal(statSync(join(path, name)).mode & 0o777, 0o600, name);
  await close();
});

test('a folder has one user: a second one is refused, in this process and in another', async (t) => {
  const path = temporary(t);
  const first = await openFolder(path, SEGMENT_BYTES);
  await t.rejects(openFolder(path, SEGMENT_BYTES), new DiskInUseError(path));
  first.release();
  const program = `
    import { openFolder } from ${JSON.stringify(join(import.meta.dirname, '../../../cache/disk/folder.ts'))};
    await openFolder(${JSON.stringify(path)}, ${SEGMENT_BYTES});
    console.log('open');
    setInterval(() => undefined, 1e6);`;
  const other = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const _line of other.stdout) {
    await t.rejects(openFolder(path, SEGMENT_BYTES), new DiskInUseError(path));
    other.kill('SIGKILL');
  }
  (await openFolder(path, SEGMENT_BYTES)).release();
  t.pass('a process that was killed leaves no lock');
});

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
