/**
 * An origin server under chaos, in a process of its own: it answers well, until it is told otherwise.
 * @module
 */
import { randomBytes } from 'node:crypto';
import { openSync, readSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { bodyOf, CHECK_PATH, contentAt, headersOf, type Kind, type Mode } from './content.ts';

const PORT = 80;

const SLOW_MS = 500;
const GARBAGE_BYTES = 2_000;

/** File with the versions of all items, four bytes each, that both servers read. */
const [host = '', versionsFile = ''] = process.argv.slice(2);
const versions = openSync(versionsFile, 'r');
let mode: Mode = 'well';

function versionOfItem(item: number): number {
  const bytes = Buffer.alloc(4);
  readSync(versions, bytes, 0, 4, item * 4);
  return bytes.readUInt32LE();
}

function versionNow(kind: Kind, number: number): number {
  if (kind === 'item') return versionOfItem(number);
  return kind === 'short' ? Math.floor(Date.now() / 1_000) : 0;
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  const { url = '/', method } = request;
  if (mode === 'garbage') {
    response.socket?.end(randomBytes(GARBAGE_BYTES));
    return;
  }
  if (url === CHECK_PATH) {
    response.writeHead(200, { 'Content-Length': 2 }).end('ok');
    return;
  }
  if (mode === 'errors') {
    response.writeHead(503, { 'Cache-Control': 'no-store', 'Content-Length': 0 }).end();
    return;
  }
  const content = contentAt(url);
  if (content === undefined) {
    response.writeHead(404, { 'Content-Length': 0 }).end();
    return;
  }
  const version = versionNow(content.kind, content.number);
  const headers = headersOf(url, content.kind, version);
  if (request.headers['if-none-match'] === headers['ETag']) {
    response.writeHead(304, headers).end();
    return;
  }
  const body = bodyOf(url, version);
  const range = rangeOf(request, headers['ETag'] as string, body.length);
  const part = range === undefined ? body : body.subarray(range.start, range.end + 1);
  response.writeHead(range === undefined ? 200 : 206, {
    ...headers,
    'Accept-Ranges': 'bytes',
    'Content-Length': part.length,
    ...(range && { 'Content-Range': `bytes ${range.start}-${range.end}/${body.length}` }),
  });
  if (method === 'HEAD') response.end();
  else if (mode === 'broken') response.write(part.subarray(0, part.length / 2), () => response.socket?.destroy());
  else response.end(part);
}

function rangeOf(
  { headers }: IncomingMessage,
  etag: string,
  length: number,
): { readonly start: number; readonly end: number } | undefined {
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '') ?? [];
  if (from === undefined || (headers['if-range'] !== undefined && headers['if-range'] !== etag)) return undefined;
  const start = Number(from);
  return start < length ? { start, end: Math.min(length - 1, to === '' ? length - 1 : Number(to)) } : undefined;
}

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  if (mode === 'slow') setTimeout(() => answer(request, response), SLOW_MS);
  else answer(request, response);
});
server.listen({ host, port: PORT, backlog: 1_024 }, () => process.send?.('listening'));
process.on('message', (next: Mode) => {
  mode = next;
  process.send?.('changed');
});
process.on('disconnect', () => process.exit());
