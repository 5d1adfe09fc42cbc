/** Objects of `npm run bench:shared`, and what its processes tell each other. @module */
import type { Store, StoreWriter } from '../../cache/store/store.ts';
import { storedResponse } from '../../test/support/stored-response.ts';

/** Beginning of each key. */
export const ORIGIN = 'http://127.0.0.1';

/** Beginning of each target; a number follows. */
export const TARGET = '/object/1024/';

const BODY = 'x'.repeat(1_024);

/** @returns A whole answer, its head as a cache would write it. */
export function payloadOf(number: number): Buffer {
  const head = [
    'HTTP/1.1 200 OK',
    'Content-Type: text/css',
    'Content-Length: 1024',
    'Cache-Control: max-age=86400',
    `ETag: "object-${number}"`,
    'Date: Mon, 06 Apr 2026 08:00:00 GMT',
    'Age: 1',
    'Cache-Status: edge;hit;ttl=86399',
    'Connection: keep-alive',
    'Keep-Alive: timeout=60',
  ];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${BODY}`, 'latin1');
}

/** Stores an object. Its body is the whole answer. */
export function fill(store: Store, number: number): void {
  const payload = payloadOf(number);
  const writer = store.begin(payload.length) as StoreWriter;
  writer.append(payload, true);
  const { headers: _, ...stored } = storedResponse(store, number, 0, Date.now());
  store.set(ORIGIN + TARGET + number, [{ ...stored, headers: [], length: payload.length, body: writer.commit(0) }]);
}

/** Way to a hit: `private` is a store of each thread, `shared` one store of all. */
export const WAYS = ['private', 'shared'] as const;
export type Way = (typeof WAYS)[number];

export interface ServerOptions {
  readonly way: Way;
  readonly threads: number;
  readonly port: number;
  readonly objects: number;
}

export interface Pauses {
  readonly collections: number;
  readonly totalMs: number;
  readonly longestMs: number;
}
