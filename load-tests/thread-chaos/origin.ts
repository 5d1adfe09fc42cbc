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

/** Returns whether the response of a path stays fresh for longer than a run takes. */
export function isLongLived(path: string): boolean {
  return Number(path.slice(1)) % SHORT_EACH !== 0;
}

export interface ChaosOrigin {
  readonly url: string;
  /** Requests so far: the path, and when it came (`performance.now`). */
  readonly requests: readonly { readonly path: string; readonly at: number }[];
  close(): Promise<void>;
}

export async function startChaosOrigin(): Promise<ChaosOrigin> {
  const requests: { path: string; at: number }[] = [];
  const server = createServer((request, response) => {
    const { url = '/' } = request;
    requests.push({ path: url, at: performance.now() });
    const maxAge = isLongLived(url) ? 3_600 : 1;
    response.writeHead(200, { 'Cache-Control': `max-age=${maxAge}`, ETag: `"${url}"` }).end(bodyOf(url));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async close() {
      server.close().closeAllConnections();
      await once(server, 'close');
    },
  };
}
