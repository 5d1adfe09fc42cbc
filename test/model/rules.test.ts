/**
 * Without any one of its rules the program fails in the model: none of them is there for nothing, and the model sees
 * it.
 */
import fc from 'fast-check';
import { test } from 'tap';
import { histories } from './history.ts';
import { BREAKAGES, type Breakage } from './rules.ts';
import { runHistory } from './world.ts';

const MAX_HISTORIES = 20_000;

/** One that finds every violation early, so that the test is short; others take up to ten times as many histories. */
const SEED = 4;

for (const [breakage, without] of Object.entries(BREAKAGES) as [Breakage, string][]) {
  test(`${breakage}: without it ${without}`, async (t) => {
    const property = fc.asyncProperty(histories, async (history) => {
      await runHistory(history, { breakage });
    });
    const { failed, errorInstance, numRuns } = await fc.check(property, {
      seed: SEED,
      numRuns: MAX_HISTORIES,
      endOnFailure: true,
    });
    t.ok(failed, `a violation within ${MAX_HISTORIES} histories`);
    t.match(errorInstance, { name: 'Violation' }, `found by history ${numRuns}`);
  });
}
