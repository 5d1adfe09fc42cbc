/**
 * The origin of `npm run bench:large`: each path is an object of one size, whose bytes are made as they are sent. It
 * answers ranges and If-Match, each after a pause that stands for the round trip, and counts what it sends.
 * @module
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { MAX_PIECE_BYTES, piece } from './object.ts';

const [length, roundTripMs] = process.argv.slice(2).map(Number) as [number, number];
const TAG = '"the-one"';

export interface Counted {
  readonly port: number;
  readonly requests: number;
  readonly bytes: number;
}

let requests = 0;
let sent = 0;

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  requests++;
  await wait(roundTripMs);
  const { range, 'if-match': ifMatch = TAG } = request.headers;
  if (ifMatch !== TAG) {
    response.writeHead(412).end();
    return;
  }
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? [];
  const start = Number(first ?? 0);
  const end = last ? Math.min(Number(last) + 1, length) : length;
  response.writeHead(first === undefined ? 200 : 206, {
    ETag: TAG,
    'Cache-Control': 'max-age=3600',
    'Accept-Ranges': 'bytes',
    'Content-Length': end - start,
    ...(first !== undefined && { 'Content-Range': `bytes ${start}-${end - 1}/${length}` }),
  });
  const send = (from: number): void => {
    let at = from;
    while (at < end && !response.destroyed) {
      const next = Math.min(at + MAX_PIECE_BYTES, end);
      sent += next - at;
      const hasRoom = response.write(piece(at, next));
      at = next;
      if (!hasRoom) {
        response.once('drain', () => send(at));
        return;
      }
    }
    if (!response.destroyed) response.end();
  };
  send(start);
}

const server = createServer((request, response) => void answer(request, response));
const report = (): void => {
  const { port } = server.address() as AddressInfo;
  process.send?.({ port, requests, bytes: sent } satisfies Counted);
};
process.on('message', () => {
  report();
  requests = 0;
  sent = 0;
});
server.listen(0, '127.0.0.1', report);
