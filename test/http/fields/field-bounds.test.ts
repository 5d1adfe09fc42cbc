import { test } from 'tap';
import { boundedFields, MAX_READ_FIELD_BYTES } from '../../../http/fields/field-bounds.ts';
import type { RawHeaders } from '../../../http/fields/headers.ts';

const LONG = 'a'.repeat(MAX_READ_FIELD_BYTES + 1);
const MOST = 'a'.repeat(MAX_READ_FIELD_BYTES);

for (const { rule, headers, kept } of [
  {
    rule: 'as long as may be',
    headers: ['If-None-Match', MOST, 'Cache-Control', MOST],
    kept: ['If-None-Match', MOST, 'Cache-Control', MOST],
  },
  { rule: 'another field of any length', headers: ['X-A', LONG], kept: ['X-A', LONG] },
  { rule: 'Range goes with If-Range', headers: ['Range', LONG, 'If-Range', '"a"', 'X-A', 'b'], kept: ['X-A', 'b'] },
  { rule: 'If-Range goes with Range', headers: ['Range', 'bytes=0-1', 'If-Range', LONG], kept: [] },
  {
    rule: 'If-None-Match goes with If-Modified-Since',
    headers: ['If-None-Match', LONG, 'If-Modified-Since', 'x'],
    kept: [],
  },
  {
    rule: 'If-Modified-Since goes alone',
    headers: ['If-None-Match', '"a"', 'If-Modified-Since', LONG],
    kept: ['If-None-Match', '"a"'],
  },
  { rule: 'lines of one field count together', headers: ['If-None-Match', MOST, 'if-none-match', 'a'], kept: [] },
  { rule: 'more ranges than are read', headers: ['Range', `bytes=${'0-0,'.repeat(200)}1-1`], kept: [] },
] as readonly { rule: string; headers: RawHeaders; kept: RawHeaders }[]) {
  test(`fields that are read have a bound: ${rule}`, async (t) => {
    t.strictSame(boundedFields(headers), kept);
  });
}

test('a section within the bounds is the same array: nothing is copied', async (t) => {
  const headers = ['Range', 'bytes=0-1', 'Cache-Control', 'no-cache'];
  t.equal(boundedFields(headers), headers);
});

for (const name of [
  'Connection',
  'Cache-Control',
  'Pragma',
  'CDN-Loop',
  'Forwarded',
  'X-Forwarded-For',
  'Transfer-Encoding',
]) {
  test(`${name} changes what is answered: one that is too long is refused`, async (t) => {
    t.throws(() => boundedFields([name, MOST, name.toLowerCase(), 'a']), { code: 'header_too_large' });
  });
}
