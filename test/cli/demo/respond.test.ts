/** Answers of the demo's origin to preconditions and ranges (RFC 9110, sections 13 and 14). */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Test, test } from 'tap';
import { type Representation, respond, strongEtag } from '../../../cli/demo/respond.ts';
import { ask } from '../../support/visitor.ts';

const BODY = Buffer.from('0123456789');
const TAG = strongEtag(BODY);
const MODIFIED = 'Sat, 01 Mar 2025 00:00:00 GMT';
const BEFORE = 'Fri, 28 Feb 2025 00:00:00 GMT';
const FILE: Representation = { type: 'text/plain', body: BODY, etag: TAG, lastModified: MODIFIED };

async function serving(t: Test, representation: Representation): Promise<string> {
  const server = createServer((request, response) => respond(request, response, representation)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

for (const { headers, status, text, range, method = 'GET', of = FILE } of [
  { headers: {}, status: 200, text: '0123456789' },
  { headers: { 'If-Match': TAG }, status: 200 },
  { headers: { 'If-Match': '*' }, status: 200 },
  { headers: { 'If-Match': '"x"' }, status: 412, text: '' },
  { headers: { 'If-Match': `W/${TAG}` }, status: 412 },
  { headers: { 'If-Match': 'nonsense' }, status: 412 },
  { headers: { 'If-Match': '"x"', 'If-None-Match': TAG }, status: 412 },
  { headers: { 'If-Match': TAG, 'If-Unmodified-Since': BEFORE }, status: 200 },
  { headers: { 'If-Unmodified-Since': BEFORE }, status: 412 },
  { headers: { 'If-Unmodified-Since': MODIFIED }, status: 200 },
  { headers: { 'If-Unmodified-Since': 'yesterday' }, status: 200 },
  { headers: { 'If-None-Match': TAG, Range: 'bytes=0-1' }, status: 304, text: '' },
  { headers: { 'If-Modified-Since': MODIFIED }, status: 304 },
  { headers: { Range: 'bytes=2-4' }, status: 206, text: '234', range: 'bytes 2-4/10' },
  { headers: { Range: 'bytes=-3' }, status: 206, text: '789', range: 'bytes 7-9/10' },
  { headers: { Range: 'bytes=8-99' }, status: 206, text: '89', range: 'bytes 8-9/10' },
  { headers: { Range: 'bytes=10-' }, status: 416, text: '', range: 'bytes */10' },
  { headers: { Range: 'bytes=4-2' }, status: 200 },
  { headers: { Range: 'lines=1-2' }, status: 200 },
  { headers: { Range: 'bytes=2-4', 'If-Range': TAG }, status: 206 },
  { headers: { Range: 'bytes=2-4', 'If-Range': '"x"' }, status: 200, text: '0123456789' },
  { headers: { Range: 'bytes=2-4' }, method: 'HEAD', status: 200, text: '' },
  { headers: { Range: 'bytes=0-1', 'If-Match': '"x"' }, of: { ...FILE, status: 404 }, status: 404, text: '0123456789' },
  { headers: { 'If-Match': TAG }, of: { type: 'text/plain', body: BODY }, status: 412 },
] as readonly {
  headers: Record<string, string>;
  status: number;
  text?: string;
  range?: string;
  method?: string;
  of?: Representation;
}[]) {
  test(`${method} with ${JSON.stringify(headers)} of ${of.status ?? 200} is ${status}`, async (t) => {
    const reply = await ask(await serving(t, of), '/', { method, headers });
    t.equal(reply.status, status);
    if (text !== undefined) t.equal(reply.text, text);
    if (range !== undefined) t.equal(reply.headers['content-range'], range);
    if (method === 'HEAD') t.equal(reply.headers['content-length'], '10');
  });
}

test('several ranges are parts of one message, as long as it says', async (t) => {
  const reply = await ask(await serving(t, FILE), '/', { headers: { Range: 'bytes=0-1,5-6' } });
  t.equal(reply.status, 206);
  t.equal(reply.headers['content-length'], String(reply.body.length));
  const [, boundary] = /^multipart\/byteranges; boundary=(\S+)$/.exec(reply.headers['content-type'] ?? '') ?? [];
  t.match(
    reply.text,
    new RegExp(`--${boundary}\\r\\n[^]*bytes 0-1/10\\r\\n\\r\\n01\\r\\n--${boundary}[^]*\\r\\n\\r\\n56\\r\\n--`),
  );
});

test('a tag is that of the bytes', async (t) => {
  t.equal(strongEtag(Buffer.from('0123456789')), TAG);
  t.not(strongEtag(Buffer.from('0123456788')), TAG);
  t.match(TAG, /^"[\w-]{16}"$/);
});
