import { test } from 'tap';
import { ruleSchema } from '../../config/schema.ts';
import { EVERY_STATUS, statusesOf } from '../../config/status-set.ts';

const statuses = (status?: unknown): ReadonlySet<number> =>
  statusesOf(ruleSchema.parse(status === undefined ? {} : { status }));

test('a rule without a status is about every one', async (t) => {
  t.equal(statuses(), EVERY_STATUS);
  t.ok(EVERY_STATUS.has(200) && EVERY_STATUS.has(599) && !EVERY_STATUS.has(103));
});

for (const { status, has, hasNot } of [
  { status: 404, has: [404], hasNot: [403, 405] },
  { status: '5xx', has: [500, 599], hasNot: [499] },
  { status: [301, '4xx'], has: [301, 400, 499], hasNot: [302, 500] },
]) {
  test(`the status ${JSON.stringify(status)} of a rule has ${has.join(', ')}, and not ${hasNot.join(', ')}`, async (t) => {
    const found = statuses(status);
    t.ok(has.every((one) => found.has(one)));
    t.notOk(hasNot.some((one) => found.has(one)));
  });
}

test('a rule that names every class is about every status', async (t) => {
  t.equal(statuses(['2xx', '3xx', '4xx', '5xx']), EVERY_STATUS);
});
