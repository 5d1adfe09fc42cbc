/** Recovery: a process killed at any moment, an unusable folder, a full disk. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { openControlDatabase } from '../../control/data-folder.ts';
import { Purges } from '../../control/purges.ts';
import type { Page, Receipt } from '../../control/schemas.ts';
import { SqliteTokens } from '../../control/store/sqlite-tokens.ts';
import { Tokens } from '../../control/tokens.ts';
import { JournalError } from '../../journal/errors.ts';
import type { AuditedJournal } from '../../journal/journal.ts';
import { epochMs, wallNow } from '../../lib/clock.ts';
import { startCommand } from '../cli/process.ts';
import { rejectionOf } from './control.ts';
import { ORDER, openParts } from './purge-parts.ts';

const CALL = { key: 't/k', body: Buffer.from('body') };

test('an idempotency key expires after a day', async (t) => {
  let now = 1_000;
  const { purges } = openParts(t, () => epochMs(now));
  t.equal((await purges.make({ ...ORDER, once: CALL })).repeated, false);
  now += 24 * 3_600_000 - 1;
  t.equal((await purges.make({ ...ORDER, once: CALL })).repeated, true);
  now += 1;
  t.equal((await purges.make({ ...ORDER, once: CALL })).repeated, false);
});

test('a repeated call that the journal no longer holds is not made again', async (t) => {
  let now = 1_000;
  const { journal, purges } = openParts(t, () => epochMs(now));
  const { purge } = await purges.make({ ...ORDER, once: CALL });
  now += 1_000;
  await journal.compact(now);
  t.equal(await purges.find(purge.id), undefined);
  t.match(await purges.make({ ...ORDER, once: CALL }), { repeated: true, purge: { id: purge.id, last: 2 } });
});

test('purges of other nodes are listed, each by itself', async (t) => {
  const { journal, purges } = openParts(t);
  const group = { site: 'shop', kind: 'tag', selector: 'g', soft: false, who: 'origin', why: 'cache group' } as const;
  await journal.append([group, group]);
  await purges.make(ORDER);
  const { purges: list } = await purges.list(undefined, 10, () => true);
  t.match(list, [
    { first: 3, last: 4 },
    { first: 2, last: 2, reason: 'cache group' },
    { first: 1, last: 1, who: 'origin', records: [{ seq: 1 }] },
  ]);
  for (const { id, first } of list) t.equal((await purges.find(id))?.first, first);
});

test('a call that the journal refused is refused, and can be retried', async (t) => {
  let isBroken = true;
  const { journal } = openParts(t);
  const failing: AuditedJournal = Object.create(journal, {
    append: {
      value: async (...call: Parameters<AuditedJournal['append']>) => {
        if (isBroken) throw new JournalError('journal_not_written', 'disk full');
        return journal.append(...call);
      },
    },
    state: { value: () => journal.state() },
    read: { value: (seq: number, limit: number) => journal.read(seq, limit) },
  });
  const purges = new Purges({ journal: failing, appended: () => undefined });
  t.match(await rejectionOf(purges.make({ ...ORDER, once: CALL })), { code: 'journal_unavailable', status: 503 });
  isBroken = false;
  t.match(await purges.make({ ...ORDER, once: CALL }), { repeated: false, purge: { first: 1 } });
});

test('kill -9 under load: acknowledged purges are in the journal, in order, once', async (t) => {
  const folder = t.testdir({
    'eu.yaml': [
      'region: eu',
      'tier_secret: a-secret-of-the-tests',
      'control: { listen: "127.0.0.1:0" }',
      'sites: [{ name: shop, hosts: ["*"], origin: { servers: [{ url: "http://127.0.0.1:1" }] } }]',
    ].join('\n'),
  });
  const file = join(folder, 'eu.yaml');
  mkdirSync(join(folder, 'seawall-data'));
  const database = openControlDatabase(join(folder, 'seawall-data', 'control.sqlite'));
  const tokens = new Tokens(new SqliteTokens(database), wallNow);
  const { text } = await tokens.create({ name: 't', sites: ['*'], kinds: ['url'], read: true });
  database.close();

  type Ready = { nodes: { control: string }[] };
  const acknowledged: Receipt[] = [];
  for (let round = 0; round < 2; round += 1) {
    const { ready, kill, exitCode } = await startCommand<Ready>(t, 'cli/seawall.ts', ['start', file]);
    const url = `http://${ready.nodes[0]?.control}/v1/purges`;
    const enough = Promise.withResolvers<void>();
    const wanted = acknowledged.length + 30;
    const callers = Array.from({ length: 8 }, async (_, caller) => {
      for (let call = 0; ; call += 1) {
        const files = [`https://h/${round}/${caller}/${call}`, 'https://h/'];
        const response = await fetch(url, {
          method: 'POST',
          headers: { 'content-type': 'application/json', authorization: `Bearer ${text}` },
          body: JSON.stringify({ files }),
        }).catch(() => undefined);
        if (response === undefined) return;
        const receipt = (await response.json().catch(() => undefined)) as Receipt | undefined;
        if (receipt === undefined) return;
        acknowledged.push(receipt);
        if (acknowledged.length >= wanted) enough.resolve();
      }
    });
    await enough.promise;
    kill('SIGKILL');
    await Promise.all([exitCode, ...callers]);
  }

  const { ready } = await startCommand<Ready>(t, 'cli/seawall.ts', ['start', file]);
  const url = `http://${ready.nodes[0]?.control}/v1/purges`;
  const all: Page['purges'] = [];
  for (let next: string | null = ''; next !== null; ) {
    const query: string = next === '' ? '' : `&cursor=${next}`;
    const response = await fetch(`${url}?limit=100${query}`, { headers: { authorization: `Bearer ${text}` } });
    const page = (await response.json()) as Page;
    all.push(...page.purges);
    next = page.next;
  }
  all.reverse();
  const ids = all.map(({ id }) => id);
  t.equal(new Set(ids).size, ids.length);
  t.strictSame(
    acknowledged.map(({ id }) => id).filter((id) => !ids.includes(id)),
    [],
    `${acknowledged.length} acknowledged`,
  );
  let last = 0;
  for (const purge of all) {
    if (purge.first !== last + 1) t.fail(`${purge.id} comes after ${last}`);
    last = purge.last;
  }
});
