/**
 * Closing a connection whose other side is still sending (RFC 9112, section
 * 9.6): closing with bytes unread would reset it, and the answer be lost with
 * what the system has not delivered. So the connection is closed for writing,
 * and what still comes is read and dropped until the other side closes: within
 * bounds, as nginx's `lingering_close` has them.
 * @module
 */
import type { Duplex } from 'node:stream';
import { dropReads } from '../node-internals/shared-reads.ts';

export interface LingerBounds {
  /** From the answer on. */
  readonly maxMs: number;
  /** Maximum silence of the other side. */
  readonly silenceMs: number;
  /** An upload that is larger still is not worth its traffic. */
  readonly maxBytes: number;
}

export const LINGER: LingerBounds = { maxMs: 30_000, silenceMs: 5_000, maxBytes: 256 * 1024 * 1024 };

const lingering = new WeakMap<object, Set<Duplex>>();

/**
 * Reads and drops what comes, until the other side closes or a bound is reached.
 *
 * @param socket - Closed for writing, and not read by others.
 */
export function linger(socket: Duplex, { maxMs, silenceMs, maxBytes }: LingerBounds = LINGER): void {
  let bytes = 0;
  const give = (): void => {
    socket.destroy();
  };
  const end = setTimeout(give, maxMs);
  const silence = setTimeout(give, silenceMs);
  const own = ofServer(socket);
  own.add(socket);
  const count = (length: number): void => {
    bytes += length;
    silence.refresh();
    if (bytes > maxBytes) give();
  };
  socket.on('data', (chunk: Buffer) => count(chunk.length));
  dropReads(socket, count);
  // What is written already still goes out.
  if (socket.readableEnded) socket.once('finish', give);
  else socket.once('end', give);
  socket.once('close', () => {
    clearTimeout(end);
    clearTimeout(silence);
    own.delete(socket);
  });
  socket.resume();
}

/** Cuts off the connections of a server that linger. */
export function endLingering(server: object): void {
  for (const socket of lingering.get(server) ?? []) socket.destroy();
}

function ofServer(socket: Duplex): Set<Duplex> {
  const server = (socket as { readonly server?: object }).server ?? socket;
  let own = lingering.get(server);
  if (own === undefined) {
    own = new Set();
    lingering.set(server, own);
  }
  return own;
}
