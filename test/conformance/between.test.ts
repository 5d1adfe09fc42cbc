/** Action between requests: after each that came before in the same test, and with none in flight. */
import fc from 'fast-check';
import { test } from 'tap';
import { Between } from './between.ts';

function turns(count: number): Promise<void> {
  return count === 0 ? Promise.resolve() : new Promise((resolve) => void setImmediate(() => resolve(turns(count - 1))));
}

test('each request of a test but the first comes after it was done since the one before', async () => {
  // Each test: how many turns of the event loop each of its requests takes.
  const tests = fc.array(fc.array(fc.nat({ max: 4 }), { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(tests, fc.nat({ max: 3 }), async (all, actionTurns) => {
      let [done, inFlight] = [0, 0];
      let isActing = false;
      const between = new Between(
        async () => {
          if (inFlight > 0) throw new Error(`${inFlight} requests in flight`);
          isActing = true;
          await turns(actionTurns);
          isActing = false;
          done++;
        },
        () => false,
      );
      const run = async (requests: readonly number[]): Promise<void> => {
        let before = -1;
        for (const [index, ms] of requests.entries()) {
          const end = await between.begin(index > 0);
          if (isActing) throw new Error('it is being done');
          if (index > 0 && done <= before) throw new Error('it was not done since the request before');
          inFlight++;
          await turns(ms);
          before = done;
          inFlight--;
          end();
        }
      };
      await Promise.all(all.map(run));
    }),
    { numRuns: 200 },
  );
});

test('nothing is done while tests measure time', async (t) => {
  let isTimed = true;
  let done = 0;
  const between = new Between(
    async () => {
      done++;
    },
    () => isTimed,
  );
  (await between.begin(false))();
  const later = between.begin(true);
  (await between.begin(false))();
  await turns(5);
  t.equal(done, 0);
  isTimed = false;
  (await later)();
  t.equal(done, 1);
});
