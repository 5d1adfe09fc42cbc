import { test } from 'tap';
import { compileCompression } from '../../config/compression.ts';
import { compressionSchema } from '../../config/schema/compression.ts';

test('types are compared without parameters and in small letters', async (t) => {
  const { fitsType } = compileCompression(compressionSchema.parse({ types: ['text/*', 'application/json'] }));
  for (const type of [
    'text/html',
    'TEXT/Plain',
    'text/css; charset=utf-8',
    'application/json;v=1',
    ' application/json ',
  ]) {
    t.ok(fitsType(type), type);
  }
  for (const type of ['application/jsonp', 'text', 'texts/html', '', undefined, 'constructor', 'application/*']) {
    t.notOk(fitsType(type), String(type));
  }
});

test('bounds are inclusive', async (t) => {
  const { fitsSize } = compileCompression(compressionSchema.parse({ min_size: '10B', max_size: '20B' }));
  t.same([9, 10, 20, 21].map(fitsSize), [false, true, true, false]);
});

test('a size beyond what the thread has memory for is refused', async (t) => {
  t.notOk(compressionSchema.safeParse({ max_size: '9MiB' }).success);
  t.notOk(compressionSchema.safeParse({ codings: [] }).success);
  t.notOk(compressionSchema.safeParse({ codings: ['deflate'] }).success);
  t.ok(compressionSchema.safeParse({ max_size: '8MiB' }).success);
});
