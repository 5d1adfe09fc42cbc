/**
 * Sockets without a timeout of Node's, read without looking for one.
 *
 * Before each read and write Node calls a method of the socket that restarts its timeout, and those of the sockets
 * below it. V8 keeps inline caches for up to four kinds of sockets there; a node has more (accepted, connected, TLS,
 * standard output), so that each property is looked up anew, which is some 2 % of a hit. Our servers check for expired
 * timeouts themselves (http/http1/server.ts), and call `setTimeout` of no socket.
 * @module
 */
import { Socket } from 'node:net';
import { NodeInternal } from './node-internal.ts';

export const READ_TIMERS = new NodeInternal({
  name: 'read_timers',
  uses: 'the method `kUpdateTimer` of sockets',
  without: 'each read looks for a timeout, and a hit costs two hundredths more',
});

const METHOD = Object.getOwnPropertySymbols(Socket.prototype).find(({ description }) => description === 'kUpdateTimer');

/** From now on the socket's timeout is not restarted by reads and writes, until `restoreTimer`. */
export function skipTimer(socket: Socket): void {
  replaceTimer(socket, nothing);
}

/** For code that uses `setTimeout` of the socket. */
export function restoreTimer(socket: Socket): void {
  if (METHOD === undefined || !Object.hasOwn(socket, METHOD)) return;
  // Not deleted: V8 would keep the socket's properties in a dictionary from then on.
  replaceTimer(socket, (Socket.prototype as unknown as Record<symbol, () => void>)[METHOD] as () => void);
}

/** @param update - Called before each read and write from now on. */
export function replaceTimer(socket: Socket, update: () => void): void {
  if (METHOD === undefined || !READ_TIMERS.isUsable) return;
  // An assignment would make the properties a dictionary as well: the name is a variable.
  Object.defineProperty(socket, METHOD, { value: update, writable: true, configurable: true });
}

function nothing(): void {
  // no timeout is running
}
