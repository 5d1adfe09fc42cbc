/** Parts of a request held against their schema: each error at its place, in the words of the config. */
import { test } from 'tap';
import { z } from 'zod';
import { validBody, validQuery } from '../../control/validate.ts';

const schema = z.strictObject({
  count: z.number().int().min(1).max(9),
  'a/b~c': z.array(z.enum(['x', 'y'])).default([]),
});

for (const { value, errors } of [
  { value: { count: 10 }, errors: [{ pointer: '/count', detail: /a whole number from 1 to 9, found 10/ }] },
  { value: {}, errors: [{ pointer: '/count', detail: /missing/ }] },
  { value: { count: 1, 'a/b~c': ['x', 'z'] }, errors: [{ pointer: '/a~1b~0c/1', detail: /`x` or `y`/ }] },
  { value: { count: 1, cuont: 2 }, errors: [{ pointer: '/cuont', fix: /`count`/ }] },
  { value: { count: 0, cuont: 2 }, errors: [{ pointer: '/count' }, { pointer: '/cuont' }] },
  { value: null, errors: [{ pointer: '' }] },
  { value: 'text', errors: [{ pointer: '' }] },
]) {
  test(`the body ${JSON.stringify(value)} is refused at ${errors.map(({ pointer }) => JSON.stringify(pointer)).join(' and ')}`, async (t) => {
    t.throws(() => validBody(schema, value), { code: 'invalid_request', errors });
  });
}

test('a query is refused by the name of its parameter, and a body with an id by its own keys', async (t) => {
  t.throws(() => validQuery(schema, { count: 'x' }), { code: 'invalid_request', errors: [{ parameter: 'count' }] });
  const named = schema.meta({ id: 'Named' });
  t.throws(() => validBody(named, { count: 0 }), { code: 'invalid_request', errors: [{ detail: /from 1 to 9/ }] });
  t.same(validBody(schema, { count: 3 }), { count: 3, 'a/b~c': [] });
});
