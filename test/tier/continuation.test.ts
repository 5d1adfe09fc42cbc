import { test } from 'tap';
import type { ResponseHead, UpstreamRequest } from '../../http/message.ts';
import { continuable, isContinuation, restRequest } from '../../tier/continuation.ts';

const GET: UpstreamRequest = { method: 'GET', target: '/film', headers: ['Host', 'a.test'], body: undefined };

function head(status: number, fields: Readonly<Record<string, string>>): ResponseHead {
  return { status, statusText: '', headers: Object.entries(fields).flat() };
}

for (const { rule, request = GET, response, range } of [
  { rule: 'strong tag and length', response: head(200, { ETag: '"1"', 'Content-Length': '10' }), range: [0, 10] },
  {
    rule: 'a part',
    response: head(206, { ETag: '"1"', 'Content-Range': 'bytes 5-9/100' }),
    range: [5, 10],
  },
  { rule: 'weak tag', response: head(200, { ETag: 'W/"1"', 'Content-Length': '10' }), range: undefined },
  { rule: 'no tag', response: head(200, { 'Content-Length': '10' }), range: undefined },
  { rule: 'no length', response: head(200, { ETag: '"1"' }), range: undefined },
  {
    rule: 'several parts',
    response: head(206, { ETag: '"1"', 'Content-Type': 'multipart/byteranges' }),
    range: undefined,
  },
  { rule: 'an error', response: head(404, { ETag: '"1"', 'Content-Length': '10' }), range: undefined },
  {
    rule: 'an answer to POST',
    request: { ...GET, method: 'POST' },
    response: head(200, { ETag: '"1"', 'Content-Length': '10' }),
    range: undefined,
  },
]) {
  test(`RFC 9110 13.1.5: a body with ${rule} can${range === undefined ? 'not' : ''} be continued`, async (t) => {
    const found = continuable(request, response);
    t.strictSame(found && [found.start, found.end], range);
  });
}

test('the rest is requested without conditions of the visitor, and with If-Range', async (t) => {
  const headers = ['Host', 'a.test', 'If-None-Match', '"0"', 'Range', 'bytes=0-', 'Cookie', 'a=1'];
  const rest = restRequest({ ...GET, headers }, { start: 7, end: 10, length: 10, validator: '"1"' });
  t.strictSame(rest.headers, ['Host', 'a.test', 'Cookie', 'a=1', 'Range', 'bytes=7-9', 'If-Range', '"1"']);
});

for (const { rule, response, isIt } of [
  { rule: 'that very range', response: head(206, { ETag: '"1"', 'Content-Range': 'bytes 7-9/10' }), isIt: true },
  { rule: 'an unknown length', response: head(206, { ETag: '"1"', 'Content-Range': 'bytes 7-9/*' }), isIt: true },
  { rule: 'another length', response: head(206, { ETag: '"1"', 'Content-Range': 'bytes 7-9/11' }), isIt: false },
  { rule: 'another tag', response: head(206, { ETag: '"2"', 'Content-Range': 'bytes 7-9/10' }), isIt: false },
  { rule: 'an earlier range', response: head(206, { ETag: '"1"', 'Content-Range': 'bytes 6-9/10' }), isIt: false },
  { rule: 'a shorter range', response: head(206, { ETag: '"1"', 'Content-Range': 'bytes 7-8/10' }), isIt: false },
  { rule: 'the whole', response: head(200, { ETag: '"1"', 'Content-Length': '10' }), isIt: false },
]) {
  test(`a response with ${rule} is ${isIt ? 'the' : 'no'} rest`, async (t) => {
    t.equal(isContinuation(response, { start: 7, end: 10, length: 10, validator: '"1"' }), isIt);
  });
}
