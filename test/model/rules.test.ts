/**
 * Without any one of its rules the program fails in the model: none of them is there for nothing, and the model sees
 * it.
 */
import fc from 'fast-check';
import { test } from 'tap';
import { histories, historiesWithDisks } from './history.ts';
import { BREAKAGES, type Breakage, DISK_BREAKAGES } from './rules.ts';
import { runHistory } from './world.ts';

const MAX_HISTORIES = 20_000;

/** One that finds every violation early, so that the test is short; others take up to ten times as many histories. */
const SEED = 4;

const BROKEN = [
  { breakages: BREAKAGES, drawn: histories },
  { breakages: DISK_BREAKAGES, drawn: historiesWithDisks },
].flatMap(({ breakages, drawn }) =>
  Object.entries(breakages).map(([name, without]) => ({ breakage: name as Breakage, without, drawn })),
);

for (const { breakage, without, drawn } of BROKEN) {
  test(`${breakage}: without it ${without}`, async (t) => {
    const property = fc.asyncProperty(drawn, async (history) => {
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
