/** Check of suggestions: a value is held against the schema of its place, in each form that the place may have. */
import { test } from 'tap';
import { z } from 'zod';
import { accepts } from '../../config/accepts.ts';
import { siteSchema } from '../../config/schema.ts';

const schema = z.strictObject({
  list: z.array(z.strictObject({ n: z.number().max(9) })).optional(),
  pair: z.tuple([z.number(), z.string()]),
  names: z.record(z.string(), z.enum(['a', 'b'])).prefault({}),
  either: z.union([
    z.literal('all'),
    z.strictObject({ deny: z.array(z.string()) }),
    z.strictObject({ deny: z.number() }),
  ]),
  time: z.string().transform(Number).pipe(z.number().min(3)).nullable(),
});

for (const { path, value, isAccepted } of [
  { path: ['list', 7, 'n'], value: 9, isAccepted: true },
  { path: ['list', 7, 'n'], value: 10, isAccepted: false },
  { path: ['list', 0], value: {}, isAccepted: false },
  { path: ['pair', 1], value: 'a', isAccepted: true },
  { path: ['pair', 1], value: 1, isAccepted: false },
  { path: ['pair', 2], value: 1, isAccepted: false },
  { path: ['names', 'x'], value: 'b', isAccepted: true },
  { path: ['names', 'x'], value: 'c', isAccepted: false },
  { path: ['either'], value: 'all', isAccepted: true },
  { path: ['either', 'deny'], value: ['x'], isAccepted: true },
  { path: ['either', 'deny'], value: 3, isAccepted: true },
  { path: ['either', 'deny', 0], value: 3, isAccepted: false },
  { path: ['time'], value: '3', isAccepted: true },
  { path: ['time'], value: '2', isAccepted: false },
  { path: ['unknown'], value: 1, isAccepted: false },
  { path: ['constructor'], value: 1, isAccepted: false },
  { path: ['pair', 0, 'x'], value: 1, isAccepted: false },
]) {
  test(`${JSON.stringify(value)} is ${isAccepted ? 'accepted' : 'refused'} at ${path.join('.')}`, async (t) => {
    t.equal(accepts(schema, path, value), isAccepted);
  });
}

test('a duration is held against the bounds of its key, behind every default', async (t) => {
  t.ok(accepts(siteSchema, ['origin', 'connect_timeout'], '30s'));
  t.notOk(accepts(siteSchema, ['origin', 'connect_timeout'], '300d'));
  t.notOk(accepts(siteSchema, ['origin', 'connect_timeout'], 30));
});
