/**
 * The origin of the herd, in a process of its own: it holds its first answer
 * back until every visitor has sent its request, and counts.
 *
 * - `/public/…`: bytes that are shareable.
 * - `/private/…`: a number, another one in each answer, `private, no-store`.
 *   The first answer's body stays open until all others have been sent.
 * - `/large/…`: a body of the wanted length, whole or in ranges.
 * - `/mark/…`: answered at once, and never stored.
 * @module
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseRange, resolveRanges } from '../../http/fields/range.ts';
import { patternAt } from './pattern.ts';

/** Messages from the command to the origin. */
export type ToOrigin =
  | { readonly kind: 'release' }
  /** Forgets what was counted; the next first answer is held back again. */
  | { readonly kind: 'reset'; readonly visitors: number; readonly largeBytes: number }
  | { readonly kind: 'report' };

export type FromOrigin =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'report'; readonly counted: Counted };

export interface Counted {
  readonly whole: number;
  readonly ranges: number;
  readonly bytes: number;
  /** True if the first private answer's body was still open when the last of the others was sent. */
  readonly firstHeldToTheEnd: boolean;
}

export const PUBLIC_BYTES = 64 * 1024;

const PIECE_BYTES = 256 * 1024;

let counted = { whole: 0, ranges: 0, bytes: 0, firstHeldToTheEnd: false };
let visitors = 1;
let largeBytes = 0;
let privateSent = 0;
let finishFirst: () => void = () => undefined;
let release: () => void = () => undefined;
let released = Promise.resolve();

function reset(wanted: { visitors: number; largeBytes: number }): void {
  counted = { whole: 0, ranges: 0, bytes: 0, firstHeldToTheEnd: false };
  ({ visitors, largeBytes } = wanted);
  privateSent = 0;
  released = new Promise((resolve) => {
    release = resolve;
  });
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url ?? '/';
  if (path.startsWith('/mark/')) {
    response.writeHead(200, { 'cache-control': 'private, no-store', 'content-length': 0 }).end();
    return;
  }
  const range = request.headers.range;
  if (range === undefined) counted.whole++;
  else counted.ranges++;
  await released;
  if (path.startsWith('/private/')) sendPrivate(response);
  else if (path.startsWith('/large/')) await sendBody(request, response, largeBytes);
  else await sendBody(request, response, PUBLIC_BYTES);
}

function sendPrivate(response: ServerResponse): void {
  const number = ++privateSent;
  const body = `${number}`.padStart(8);
  response.writeHead(200, { 'cache-control': 'private, no-store', 'content-length': body.length });
  if (number === 1 && visitors > 1) {
    response.write(body.slice(0, 4));
    finishFirst = () => {
      counted.firstHeldToTheEnd = !response.destroyed;
      response.end(body.slice(4));
    };
    return;
  }
  response.end(body);
  counted.bytes += body.length;
  if (number === visitors) finishFirst();
}

async function sendBody(request: IncomingMessage, response: ServerResponse, length: number): Promise<void> {
  const specs = parseRange(request.headers.range);
  const ranges = specs && resolveRanges(specs, length);
  const range = Array.isArray(ranges) ? ranges[0] : undefined;
  const { start, end } = range ?? { start: 0, end: length };
  response.writeHead(range ? 206 : 200, {
    'cache-control': 'max-age=3600',
    etag: `"${length}"`,
    'content-length': end - start,
    ...(range && { 'content-range': `bytes ${start}-${end - 1}/${length}` }),
  });
  for (let at = start; at < end && !response.destroyed; ) {
    const piece = patternAt(at, Math.min(PIECE_BYTES, end - at));
    at += piece.length;
    counted.bytes += piece.length;
    if (!response.write(piece)) await writable(response);
  }
  response.end();
}

/** Resolves when the connection takes more, or is gone. */
function writable(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });
}

const server = createServer({ keepAliveTimeout: 120_000, requestTimeout: 0 }, (request, response) => {
  answer(request, response).catch(() => response.destroy());
});
server.listen({ host: '127.0.0.1', port: 0, backlog: 4_096 });
await once(server, 'listening');

process.on('message', (message: ToOrigin) => {
  switch (message.kind) {
    case 'reset':
      reset(message);
      return;
    case 'release':
      release();
      return;
    case 'report':
      tell({ kind: 'report', counted });
  }
});
process.on('disconnect', () => process.exit());
tell({ kind: 'listening', port: (server.address() as AddressInfo).port });

function tell(message: FromOrigin): void {
  process.send?.(message);
}
