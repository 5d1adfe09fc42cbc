/** A control node moves from its data folder into etcd; nodes keep what they have stored. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import tap, { test } from 'tap';
import { Ledger, NOTHING_KNOWN } from '../../../cache/ledger.ts';
import { openDataFolder } from '../../../control/data-folder.ts';
import { ALL_ROWS } from '../../../control/jobs/rows.ts';
import { openEmbeddedStore } from '../../../control/store/embedded-store.ts';
import { openEtcdStore } from '../../../control/store/etcd-store.ts';
import { migrate } from '../../../control/store/migrate.ts';
import { newToken, Tokens } from '../../../control/tokens.ts';
import { identityOf, isInHistory } from '../../../journal/terms.ts';
import { epochMs, wallNow } from '../../../lib/clock.ts';
import { purges } from '../../journal/contract.ts';
import { call, encoded, newPrefix } from '../../journal/etcd.ts';
import { followInto, serveJournal, source } from '../../journal/served.ts';
import { startEtcd } from '../../support/etcd.ts';

const cluster = await startEtcd(1);
tap.teardown(() => cluster.stop());
const { endpoints } = cluster;

const options = () => ({ endpoints, prefix: newPrefix(), network: 'test', now: wallNow, defer: setImmediate });
const ONCE = { key: 'token/key', body: Buffer.from('body') };
const DRAIN = { by: 'ops', since: '2026-01-01T00:00:00.000Z', reason: '' };

test('all that the folder has is in etcd afterwards, and the folder is refused', async (t) => {
  const folder = openDataFolder(join(t.testdir({}), 'eu.yaml'), { data: 'data' });
  const before = openEmbeddedStore(folder, { now: wallNow, defer: setImmediate });
  const made = await before.journal.append(purges(3), ONCE, ({ first }) => ({ action: 'purge', first }));
  await before.journal.note({ action: 'drain' });
  const { stored, text } = newToken({ name: 'a', sites: ['*'], kinds: ['url'], read: true }, wallNow());
  await before.tokens.add(stored);
  await before.drains.set('eu', DRAIN);
  const jobs = ALL_ROWS.map((prefix) => ({ key: `${prefix}a`, value: { prefix } }));
  await before.jobs.commit({ put: jobs });
  const to = options();
  await t.rejects(migrate(folder, to), { code: 'journal_in_use' });
  const { terms, newest } = before.journal.state();
  const records = await before.journal.read(0, 10);
  await before.close();

  t.same(await migrate(folder, to), { records: 3, keys: 1, notes: 2, isDone: false, tokens: 1, drains: 1 });
  t.throws(() => openEmbeddedStore(folder, { now: wallNow }), { code: 'journal_moved' });
  await t.rejects(migrate(folder, to), { code: 'journal_moved' });

  const after = await openEtcdStore(to);
  t.teardown(() => after.close());
  t.same(await after.journal.read(0, 10), records);
  t.ok(isInHistory(after.journal.state().terms, newest, { identity: identityOf(terms, newest), seq: newest }));
  t.same(await after.journal.append(purges(1), ONCE), { ...made, repeated: true });
  t.match(await new Tokens(after.tokens, wallNow).find(text), { id: stored.id });
  t.same([...after.drains.all], [['eu', DRAIN]]);
  for (const { key, value } of jobs) t.same((await after.jobs.get(key))?.value, value, key);
  await after.journal.note({ action: 'new' });
  t.match(await after.journal.notes(undefined, 10), [
    { entry: { action: 'new' } },
    { entry: { action: 'drain' } },
    { entry: { action: 'purge', first: 1 } },
  ]);
  t.match(await after.journal.append(purges(1)), { first: 4 });
});

test('a node continues at its position, and what it has stored stays current', async (t) => {
  const folder = openDataFolder(join(t.testdir({}), 'eu.yaml'), { data: 'data' });
  const embedded = openEmbeddedStore(folder, { now: wallNow });
  const ledger = new Ledger({ leaseMs: 60_000 });
  let from = source((await serveJournal(t, embedded.journal)).url);
  const follower = followInto(t, ledger, (after, signal) => from(after, signal));
  await embedded.journal.append(purges(3, 'before'));
  const reached = async (journal: { state(): { terms: Parameters<typeof identityOf>[0]; newest: number } }) => {
    const { terms, newest } = journal.state();
    t.ok(await follower.caughtUp({ identity: identityOf(terms, newest), seq: newest }, 20_000));
  };
  await reached(embedded.journal);
  const keyed = { site: 'shop', host: 'a.test', authority: 'a.test', target: '/' };
  const stored = { stamp: ledger.stampNow(NOTHING_KNOWN), tags: ['after-1'] };
  await embedded.close();

  const to = options();
  await migrate(folder, to);
  const store = await openEtcdStore(to);
  t.teardown(() => store.close());
  from = source((await serveJournal(t, store.journal)).url);
  await store.journal.append(purges(1, 'other'));
  await reached(store.journal);
  t.equal(ledger.check(stored, keyed), 'current', 'it is not revalidated');
  await store.journal.append(purges(2, 'after'));
  await reached(store.journal);
  t.equal(ledger.check(stored, keyed), 'hard', 'a purge after the move counts');
});

test('a move that was broken off is made anew; no control node opens what is half there', async (t) => {
  const folder = openDataFolder(join(t.testdir({}), 'eu.yaml'), { data: 'data' });
  const before = openEmbeddedStore(folder, { now: wallNow, defer: setImmediate });
  await before.journal.append(purges(3));
  await before.close();
  const to = options();
  const [endpoint = ''] = endpoints;
  const meta = { format: 1, network: 'test', moving: true };
  await call(endpoint, 'put', { key: encoded(`${to.prefix}meta`), value: encoded(JSON.stringify(meta)) });
  await call(endpoint, 'put', { key: encoded(`${to.prefix}journal/batch/0000000000000002`), value: encoded('half') });
  await t.rejects(openEtcdStore(to), { code: 'journal_foreign', message: /being moved/ });
  t.match(await migrate(folder, to), { records: 3 });
  const after = await openEtcdStore(to);
  t.teardown(() => after.close());
  t.equal((await after.journal.read(0, 10)).length, 3);
});

test('a store that has purges already, or is of another network, is left as it is', async (t) => {
  const folder = openDataFolder(join(t.testdir({}), 'eu.yaml'), { data: 'data' });
  await openEmbeddedStore(folder, { now: wallNow }).close();
  const to = options();
  const other = await openEtcdStore(to);
  t.teardown(() => other.close());
  await other.journal.append(purges(2));
  await t.rejects(migrate(folder, to), { code: 'journal_foreign' });
  await t.rejects(migrate(folder, { ...to, network: 'another' }), { code: 'journal_foreign' });
  t.equal((await other.journal.current()).newest, 2);
  t.doesNotThrow(() => readFileSync(folder.journal));
  await openEmbeddedStore(folder, { now: wallNow }).close();
});

test('any journal, compacted or not, is the same afterwards', async (t) => {
  const step = fc.record({
    count: fc.integer({ min: 1, max: 1_200 }),
    forMs: fc.nat({ max: 50 }),
    compacts: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 5 }), async (steps) => {
      const folder = openDataFolder(join(t.testdir({}), 'eu.yaml'), { data: 'data' });
      let time = Date.UTC(2026, 0, 1);
      const before = openEmbeddedStore(folder, { now: () => epochMs(time), defer: setImmediate });
      for (const { count, forMs, compacts } of steps) {
        await before.journal.append(purges(count, `at-${time}`));
        time += forMs;
        if (compacts) await before.journal.compact(time - 20);
      }
      const { floor, newest } = before.journal.state();
      const records = await before.journal.read(floor, 10_000);
      await before.close();
      const to = options();
      await migrate(folder, to);
      const after = await openEtcdStore(to);
      t.match(after.journal.state(), { floor, newest });
      t.same(await after.journal.read(floor, 10_000), records);
      await after.journal.compact(time - 10);
      const kept = records.filter((record) => record.time >= time - 10);
      const left = await after.journal.read(after.journal.state().floor, 10_000);
      t.same(left.slice(left.length - kept.length), kept, 'nothing that is to stay is forgotten');
      await after.close();
    }),
    { numRuns: 8 },
  );
});
