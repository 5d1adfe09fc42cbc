import fc from 'fast-check';
import { test } from 'tap';
import {
  agreesWithHead,
  hasValidator,
  selectedBy304,
  updatedHeaders,
  withConditions,
} from '../../../cache/policy/validation.ts';
import { fieldLines, fieldValue } from '../../../http/fields/headers.ts';

const LM = 'Sat, 01 Feb 2025 00:00:00 GMT';
const LATER = 'Sun, 02 Feb 2025 00:00:00 GMT';

for (const { rule, request = [], stored, sent } of [
  {
    rule: 'both validators',
    stored: ['ETag', '"1"', 'Last-Modified', LM],
    sent: ['If-None-Match', '"1"', 'If-Modified-Since', LM],
  },
  { rule: 'a weak tag', stored: ['ETag', 'W/"1"'], sent: ['If-None-Match', 'W/"1"'] },
  { rule: 'none', stored: [], sent: [] },
  {
    rule: 'the visitor’s own go',
    request: ['if-none-match', '"2"', 'IF-RANGE', '"2"', 'If-Match', '*', 'X', 'y'],
    stored: ['ETag', '"1"'],
    sent: ['X', 'y', 'If-None-Match', '"1"'],
  },
]) {
  test(`RFC 9111 4.3.1: ${rule}`, async (t) => {
    t.same(withConditions(request, stored), sent);
    t.equal(hasValidator(stored), stored.length > 0);
  });
}

for (const { rule, stored, received, selected } of [
  { rule: 'the same strong tag', stored: ['ETag', '"1"'], received: ['ETag', '"1"'], selected: true },
  { rule: 'another strong tag', stored: ['ETag', '"1"'], received: ['ETag', '"2"'], selected: false },
  { rule: 'tags that differ in weakness', stored: ['ETag', '"1"'], received: ['ETag', 'W/"1"'], selected: true },
  { rule: 'the same malformed tag', stored: ['ETag', 'abc'], received: ['ETag', 'abc'], selected: true },
  { rule: 'the same date', stored: ['Last-Modified', LM], received: ['Last-Modified', LM], selected: true },
  { rule: 'another date', stored: ['Last-Modified', LM], received: ['Last-Modified', LATER], selected: false },
  {
    rule: 'the same tag and another date',
    stored: ['ETag', '"1"', 'Last-Modified', LM],
    received: ['ETag', '"1"', 'Last-Modified', LATER],
    selected: true,
  },
  { rule: 'no validator: we asked about one only', stored: ['ETag', '"1"'], received: [], selected: true },
]) {
  test(`RFC 9111 4.3.4: a 304 with ${rule}: ${selected}`, async (t) => {
    t.equal(selectedBy304(stored, received), selected);
  });
}

test('RFC 9111 3.2: all lines of a field in the 304 are replaced; other fields stay', async (t) => {
  t.same(updatedHeaders(['A', '1', 'B', '1', 'a', '2', 'Age', '5'], ['a', '3', 'C', '4', 'c', '5']), [
    'B',
    '1',
    'a',
    '3',
    'C',
    '4',
    'c',
    '5',
  ]);
});

test('RFC 9111 3.2: fields that describe the stored bytes stay', async (t) => {
  const stored = ['Content-Length', '5', 'Content-Encoding', 'br', 'Content-Range', 'bytes 0-4/5'];
  t.same(updatedHeaders(stored, ['content-length', '0', 'CONTENT-ENCODING', 'gzip', 'Content-Range', 'x']), stored);
});

const anyHeaders = fc
  .array(
    fc.tuple(
      fc.constantFrom('A', 'a', 'B', 'Content-Length', 'content-encoding', 'Content-Range', 'ETag', 'Age'),
      fc.string(),
    ),
  )
  .map((fields) => fields.flat());

test('RFC 9111 3.2: updating holds for any fields', async (t) => {
  fc.assert(
    fc.property(anyHeaders, anyHeaders, (stored, received) => {
      const updated = updatedHeaders(stored, received);
      for (const name of ['content-length', 'content-encoding', 'content-range']) {
        if (JSON.stringify(fieldLines(updated, name)) !== JSON.stringify(fieldLines(stored, name))) return false;
      }
      for (const name of ['a', 'b', 'etag']) {
        const expected = fieldValue(received, name) ?? fieldValue(stored, name);
        if (fieldValue(updated, name) !== expected) return false;
      }
      return JSON.stringify(updatedHeaders(updated, received)) === JSON.stringify(updated);
    }),
  );
  t.pass();
});

for (const { rule, stored, head, agrees } of [
  { rule: 'nothing said', stored: ['ETag', '"1"'], head: [], agrees: true },
  {
    rule: 'all the same',
    stored: ['ETag', '"1"', 'Content-Length', '5'],
    head: ['Content-Length', '5', 'etag', '"1"'],
    agrees: true,
  },
  { rule: 'another tag', stored: ['ETag', '"1"'], head: ['ETag', '"2"'], agrees: false },
  { rule: 'another length', stored: ['Content-Length', '5'], head: ['Content-Length', '6'], agrees: false },
  { rule: 'a date where there was none', stored: [], head: ['Last-Modified', LM], agrees: false },
]) {
  test(`RFC 9111 4.3.5: HEAD, ${rule}: ${agrees}`, async (t) => {
    t.equal(agreesWithHead(stored, head), agrees);
  });
}
