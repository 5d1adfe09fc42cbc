import fc from 'fast-check';
import { test } from 'tap';
import { Budget } from '../../lib/budget.ts';

test('property: what is spent is never more than the burst and the share of what was earned', async () => {
  const options = { share: fc.double({ min: 0.01, max: 1, noNaN: true }), burst: fc.integer({ min: 1, max: 50 }) };
  fc.assert(
    fc.property(fc.record(options), fc.array(fc.boolean(), { maxLength: 500 }), ({ share, burst }, history) => {
      const budget = new Budget({ share, burst });
      let earned = 0;
      let spent = 0;
      return history.every((isEarning) => {
        if (isEarning) {
          earned++;
          budget.earn();
        } else if (budget.trySpend()) spent++;
        return spent <= burst + earned * share + 1e-9;
      });
    }),
  );
});

test('a budget begins with its burst, and saves up no more', async (t) => {
  const budget = new Budget({ share: 0.5, burst: 2 });
  for (let i = 0; i < 100; i++) budget.earn();
  t.strictSame(
    [1, 2, 3].map(() => budget.trySpend()),
    [true, true, false],
  );
  budget.earn();
  t.notOk(budget.trySpend());
  budget.earn();
  t.ok(budget.trySpend());
});
