/** Responses that are stored in chunks, and those that are stored as a whole. */
import { test } from 'tap';
import { largeObject } from '../../../cache/large/large-object.ts';

const HEADERS = ['ETag', '"a"', 'Accept-Ranges', 'bytes'];
const part = (start: number, end: number, representation: number) => ({ start, end, representation });

for (const { what, received, large } of [
  { what: 'a response above the size', received: {}, large: { start: 0, end: 101, length: 101, validator: '"a"' } },
  { what: 'a response of the size', received: { length: 100 }, large: undefined },
  { what: 'a response of unknown length', received: { length: undefined }, large: undefined },
  {
    what: 'a response with a weak validator',
    received: { headers: ['ETag', 'W/"a"', 'Accept-Ranges', 'bytes'] },
    large: undefined,
  },
  { what: 'a response without a validator', received: { headers: ['Accept-Ranges', 'bytes'] }, large: undefined },
  {
    what: 'a response whose origin has no ranges',
    received: { headers: ['ETag', '"a"', 'Accept-Ranges', 'none'] },
    large: undefined,
  },
  { what: 'a response whose origin says nothing of ranges', received: { headers: ['ETag', '"a"'] }, large: undefined },
  {
    what: 'a response with bytes among several units',
    received: { headers: ['ETag', '"a"', 'accept-ranges', 'lines, BYTES'] },
    large: { start: 0, end: 101, length: 101, validator: '"a"' },
  },
  {
    what: 'a part of a large representation, which shows that there are ranges',
    received: { status: 206, length: 10, headers: ['ETag', '"a"'], part: part(5, 15, 101) },
    large: { start: 5, end: 15, length: 101, validator: '"a"' },
  },
  {
    what: 'a part of a small representation',
    received: { status: 206, length: 10, part: part(5, 15, 100) },
    large: undefined,
  },
  { what: 'a part without its place', received: { status: 206, length: 500, part: undefined }, large: undefined },
  { what: 'an error', received: { status: 404 }, large: undefined },
  { what: 'a response without content', received: { status: 204 }, large: undefined },
]) {
  test(`${what} is stored ${large === undefined ? 'as a whole' : 'in chunks'}`, async (t) => {
    t.same(largeObject({ status: 200, headers: HEADERS, length: 101, part: undefined, ...received }, 100), large);
  });
}
