import { test } from 'tap';
import { contentLength } from '../../../http/fields/content-length.ts';

for (const [value, length] of [
  ['0', 0],
  ['300000', 300_000],
  ['999999999999999', 999_999_999_999_999],
  ['1000000000000000', undefined],
  ['-1', undefined],
  ['1.5', undefined],
  ['0x10', undefined],
  ['', undefined],
] as const) {
  test(`RFC 9110 8.6: "${value}" is ${length === undefined ? 'no length' : length}`, async (t) => {
    t.equal(contentLength(['Content-Length', value]), length);
  });
}

test('a response without the field has no known length', async (t) => {
  t.equal(contentLength(['Content-Type', 'text/plain']), undefined);
});
