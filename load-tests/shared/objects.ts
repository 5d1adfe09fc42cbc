/** Objects of `npm run bench:shared`, and what its processes tell each other. @module */

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

/** Way to a hit: `private` is a store of each thread, the others are one store of all. */
export const WAYS = ['private', 'copied', 'pinned', 'checked'] as const;
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
