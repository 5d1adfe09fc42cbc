/**
 * The origin: bodies of which every byte depends on the path, small and large.
 * @module
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const LARGE_BYTES = 400_000;
const SMALL_BYTES = 900;
/** Numbers of paths of which one is large, and of which one is soon stale. */
const LARGE_EACH = 10;
const SHORT_EACH = 7;

export function bodyOf(path: string): Buffer {
  const number = Number(path.slice(1));
  const length = number % LARGE_EACH === 0 ? LARGE_BYTES + number : SMALL_BYTES + number;
  return Buffer.alloc(length, `${path.padEnd(32)} is what this body says; `);
}

export interface ChaosOrigin {
  readonly url: string;
  /** Requests so far. */
  count(): number;
  close(): Promise<void>;
}

export async function startChaosOrigin(): Promise<ChaosOrigin> {
  let requests = 0;
  const server = createServer((request, response) => {
    requests++;
    const { url = '/' } = request;
    const maxAge = Number(url.slice(1)) % SHORT_EACH === 0 ? 1 : 3_600;
    response.writeHead(200, { 'Cache-Control': `max-age=${maxAge}`, ETag: `"${url}"` }).end(bodyOf(url));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    count: () => requests,
    async close() {
      server.close().closeAllConnections();
      await once(server, 'close');
    },
  };
}
