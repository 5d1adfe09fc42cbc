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
