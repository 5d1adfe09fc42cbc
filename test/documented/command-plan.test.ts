/** Every block of commands in the documentation is run by `npm run docs:test`, or named with a reason. */
import { test } from 'tap';
import { commandBlocks, planned } from './commands/check.ts';

test('every command block is in the plan, and the plan has no other', async (t) => {
  const { pairs, problems } = planned();
  t.strictSame(problems, []);
  t.equal(pairs.length, commandBlocks().length);
  t.ok(pairs.length > 30, 'they were found');
});

test('few blocks are not run, each for a reason', async (t) => {
  const { pairs } = planned();
  const notRun = pairs.flatMap(({ row }) => ('why' in row ? [row.why] : []));
  t.ok(notRun.length <= pairs.length / 4, `${notRun.length} of ${pairs.length}`);
  for (const why of notRun) t.ok(why.length > 10, why);
});
