import { Readable } from 'node:stream';
import { test } from 'tap';
import type { UpstreamRequest } from '../../../http/message.ts';
import { fieldsText, requestHead } from '../../../http/upstream/request.ts';

const GET: UpstreamRequest = { method: 'GET', target: '/a', headers: ['Host', 'o.test', 'X-A', 'b'], body: undefined };
const body = (): Readable => Readable.from([]);

test('a request is written with its fields in order, and one Connection', async (t) => {
  t.strictSame(requestHead(GET), {
    text: 'GET /a HTTP/1.1\r\nConnection: keep-alive\r\nHost: o.test\r\nX-A: b\r\n\r\n',
    host: 'o.test',
    length: undefined,
  });
});

for (const { rule, request, line } of [
  {
    rule: 'a body of unknown length is in chunks',
    request: { method: 'PUT', body: body() },
    line: 'Transfer-Encoding: chunked',
  },
  {
    rule: 'a body of known length says it',
    request: { method: 'PUT', headers: [...GET.headers, 'content-length', '3'], body: body() },
    line: 'Content-Length: 3',
  },
  { rule: 'RFC 9110 8.6: a POST without a body says so', request: { method: 'POST' }, line: 'Content-Length: 0' },
  {
    rule: 'RFC 9110 7.8: a switch of protocols is asked for',
    request: { upgrade: 'websocket' },
    line: 'Connection: upgrade\r\nUpgrade: websocket',
  },
]) {
  test(`head of a request: ${rule}`, async (t) => {
    t.match(requestHead({ ...GET, ...request }).text, `${line}\r\n`);
  });
}

for (const { what, request } of [
  { what: 'a method with a space', request: { method: 'GET /x' } },
  { what: 'CONNECT', request: { method: 'CONNECT' } },
  { what: 'a target with a space', request: { target: '/a b' } },
  { what: 'a target that is absolute', request: { target: 'http://o.test/' } },
  { what: 'a value with a line end', request: { headers: [...GET.headers, 'X-B', 'a\r\nX-C: d'] } },
  { what: 'a name that is no token', request: { headers: [...GET.headers, 'X B', 'a'] } },
  { what: 'no Host', request: { headers: [] } },
  { what: 'two Hosts', request: { headers: [...GET.headers, 'host', 'o.test'] } },
  {
    what: 'two lengths',
    request: { headers: [...GET.headers, 'Content-Length', '1', 'Content-Length', '1'], body: body() },
  },
  { what: 'a length that is no number', request: { headers: [...GET.headers, 'Content-Length', '+1'], body: body() } },
  { what: 'a length without a body', request: { headers: [...GET.headers, 'Content-Length', '1'] } },
  { what: 'a field of the connection', request: { headers: [...GET.headers, 'Transfer-Encoding', 'chunked'] } },
  { what: 'an Upgrade with a line end', request: { upgrade: 'a\nb' } },
]) {
  test(`${what} is not written: it could be read as more than one request`, async (t) => {
    t.throws(() => requestHead({ ...GET, ...request }), {
      code: 'bad_request',
      fault: { source: 'requester', sent: 'no' },
    });
  });
}

test('a section that is remembered is written as any other, with the values that differ', async (t) => {
  const headers = ['Host', 'o.test', 'X-IP', '192.0.2.1', 'X-A', 'b'];
  const text = fieldsText(headers, new Set(['X-IP']));
  const other = ['Host', 'o.test', 'X-IP', '192.0.2.2', 'X-A', 'b'];
  t.equal(requestHead({ ...GET, headers: other, text }).text, requestHead({ ...GET, headers: other }).text);
  t.throws(() => requestHead({ ...GET, headers: ['Host', 'o.test', 'X-IP', 'a\nb'], text }), { code: 'bad_request' });
});
