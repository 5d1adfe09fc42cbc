/**
 * A normal visitor: one connection to 127.0.0.1 and the port of the first
 * argument, one request after the other, some milliseconds apart. It tells how long it had to wait at
 * most since it was last asked, and how long the process of the second argument worked meanwhile, at most.
 * @module
 */

import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setPriority } from 'node:os';
import { BROWSER, head } from './shape.ts';

const [, , port = '', server = ''] = process.argv;

/** Between an answer and the next request. */
const PAUSE_MS = 3;

/** Priority above the client's, so that a busy machine delays the server rather than the client. */
const PRIORITY = -15;

export interface Waits {
  readonly longestMs: number;
  /** Processor time of the server's main thread. */
  readonly busyMs: number;
  readonly requests: number;
}

try {
  setPriority(PRIORITY);
} catch {
  // only root may
}

const request = Buffer.from(head('/plain', BROWSER), 'latin1');
let longestMs = 0;
let requests = 0;
let askedAt: number | undefined;
let busyMs = 0;
let workedBefore = 0;
const socket = connect({ port: Number(port), host: '127.0.0.1' }, () => ask());
socket.setNoDelay(true);
let unread = '';
socket.on('data', (chunk) => {
  unread += chunk.toString('latin1');
  const end = unread.indexOf('\r\n\r\n');
  const length = Number(/content-length: (\d+)/i.exec(unread)?.[1] ?? 0);
  if (end < 0 || unread.length < end + 4 + length) return;
  unread = '';
  longestMs = Math.max(longestMs, performance.now() - (askedAt ?? 0));
  busyMs = Math.max(busyMs, workedMs() - workedBefore);
  requests++;
  askedAt = undefined;
  setTimeout(ask, PAUSE_MS);
});
socket.on('error', () => process.exit(1));
socket.on('close', () => process.exit(1));

process.on('message', () => {
  // One that is still waiting has waited as well.
  const sofar = askedAt === undefined ? 0 : performance.now() - askedAt;
  process.send?.({
    longestMs: Math.max(longestMs, sofar),
    busyMs: Math.max(busyMs, sofar > 0 ? workedMs() - workedBefore : 0),
    requests,
  } satisfies Waits);
  longestMs = 0;
  busyMs = 0;
  requests = 0;
});

function ask(): void {
  workedBefore = workedMs();
  askedAt = performance.now();
  socket.write(request);
}

/** Processor time of the thread that answers (Linux: schedstat counts nanoseconds). */
function workedMs(): number {
  return Number(readFileSync(`/proc/${server}/task/${server}/schedstat`, 'latin1').split(' ')[0]) / 1e6;
}
