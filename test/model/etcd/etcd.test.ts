/** Random histories of three control nodes on one etcd (`npm run model -- --etcd` runs more, and replays one). */
import fc from 'fast-check';
import { test } from 'tap';
import { histories } from './history.ts';
import { ETCD_BREAKAGES, type EtcdBreakage } from './store.ts';
import { runEtcdHistory } from './world.ts';

const HISTORIES = 200;
/** Seed of the histories in which a missing guarantee has to show. */
const SEED = 5;
const MAX_HISTORIES = 1_000;

test(`${HISTORIES} random histories of control nodes on etcd break no rule`, async (t) => {
  let acknowledged = 0;
  const property = fc.asyncProperty(histories, async (history) => {
    acknowledged += (await runEtcdHistory(history)).acknowledged;
  });
  const { failed, errorInstance, seed, counterexamplePath } = await fc.check(property, { numRuns: HISTORIES });
  const again = failed
    ? `${errorInstance}; again: npm run model -- --etcd --seed ${seed} --path ${counterexamplePath}`
    : '';
  t.notOk(failed, again);
  t.ok(acknowledged > HISTORIES, `${acknowledged} appends were acknowledged`);
});

for (const [breakage, what] of Object.entries(ETCD_BREAKAGES)) {
  test(`the model finds a history that breaks a rule when ${what}`, async (t) => {
    const property = fc.asyncProperty(histories, async (history) => {
      await runEtcdHistory(history, { breakage: breakage as EtcdBreakage });
    });
    const { failed } = await fc.check(property, { numRuns: MAX_HISTORIES, seed: SEED, endOnFailure: true });
    t.ok(failed, `of ${MAX_HISTORIES}`);
  });
}

test('a purge of unknown outcome whose batch is compacted meanwhile is neither made again nor taken for a repetition', async (t) => {
  const steps = [
    { afterMs: 0, action: { type: 'append', at: 2, count: 1, key: 1 } },
    { afterMs: 0, action: { type: 'compact', at: 0, olderThanMs: 0 } },
    { afterMs: 2_500, action: { type: 'freeze', at: 0, ms: 10 } },
    { afterMs: 0, action: { type: 'freeze', at: 0, ms: 10 } },
  ] as const;
  const noise = [0, 0, 0, 3, 0, 0, 95, 0, 0, 0, 124, 47, 0, 0, 31, 84, 0];
  t.match(await runEtcdHistory({ steps, noise }), { appends: 1 });
});

test('a purge that has come although its outcome was unknown is not taken for a repetition of itself', async (t) => {
  const steps = [
    { afterMs: 0, action: { type: 'kill', at: 1, downMs: 10 } },
    { afterMs: 2_500, action: { type: 'append', at: 0, count: 1, key: undefined } },
    { afterMs: 0, action: { type: 'append', at: 1, count: 1, key: 0 } },
    { afterMs: 2_500, action: { type: 'append', at: 0, count: 1, key: undefined } },
  ] as const;
  const noise = [0, 0, 0, 77, 27, 0, 14, 0, 117, 0, 96, 0, 0];
  t.match(await runEtcdHistory({ steps, noise }), { appends: 3, acknowledged: 3 });
});

test('two tries of an append after the same number that know other idempotency keys are told apart', async (t) => {
  const append = { type: 'append', count: 1, key: undefined } as const;
  const steps = [
    { afterMs: 500, action: { type: 'snapshot' } },
    { afterMs: 0, action: { ...append, at: 0, key: 0 } },
    { afterMs: 2_500, action: { type: 'freeze', at: 0, ms: 10 } },
    { afterMs: 0, action: { ...append, at: 1, key: 0 } },
    { afterMs: 0, action: { ...append, at: 1 } },
    { afterMs: 2_500, action: { ...append, at: 0 } },
    { afterMs: 0, action: { ...append, at: 0 } },
  ] as const;
  const noise = [0, 0, 0, 0, 27, 20, 0, 0, 0, 120, 0, 0, 0, 0, 0, 0, 104, 0, 94, 0, 22, 19];
  t.match(await runEtcdHistory({ steps, noise }), { appends: 5, acknowledged: 5 });
});

test('a history ends although nothing happens between its end and the next heartbeat', async (t) => {
  const append = { type: 'append', at: 0, count: 1, key: undefined } as const;
  const steps = [
    { afterMs: 0, action: append },
    { afterMs: 100, action: append },
    { afterMs: 0, action: { type: 'kill', at: 1, downMs: 7_000 } },
    { afterMs: 0, action: { type: 'kill', at: 0, downMs: 7_000 } },
    { afterMs: 0, action: { type: 'kill', at: 2, downMs: 7_000 } },
    { afterMs: 500, action: append },
  ] as const;
  t.match(await runEtcdHistory({ steps, noise: [] }), { appends: 2, acknowledged: 1 });
});
