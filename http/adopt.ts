/**
 * Reads a connection into one buffer that all connections share.
 *
 * Node gives each piece that a socket reads 64 KiB of memory of its own, which
 * costs more than answering a small request (ADR 6 has the numbers). A client
 * can avoid that with the option `onread`; for an accepted socket there is no
 * public way. So the socket's handle, where it looks as expected, is put
 * into a socket that is made with that option. Where it does not, the
 * connection is read as usual.
 * @module
 */
import { Socket } from 'node:net';
import { isProxied } from './proxied.ts';

/** What one read can bring. */
const READ_BYTES = 64 * 1024;

const SHARED = Buffer.allocUnsafeSlow(READ_BYTES);

/** @param bytes - Valid until the call returns. @returns Whether to go on reading. */
export type OnBytes = (bytes: Buffer, length: number) => boolean;

interface WithHandle {
  _handle?: { readStart?: unknown; useUserBuffer?: unknown } | null;
}

/**
 * @param accepted - As a server's `connection` event gives it, nothing read yet. It is closed with the other.
 * @returns The socket in its place, or `undefined` where it is to be read as usual.
 */
export function adopt(accepted: Socket, onBytes: (socket: Socket) => OnBytes): Socket | undefined {
  const holder = accepted as Socket & WithHandle;
  const handle = holder._handle;
  if (accepted.constructor !== Socket || isProxied(accepted) || typeof handle?.useUserBuffer !== 'function')
    return undefined;
  let take: OnBytes | undefined;
  holder._handle = null;
  const socket = new Socket({
    handle,
    allowHalfOpen: true,
    onread: { buffer: SHARED, callback: (length: number, bytes: Buffer) => take?.(bytes, length) ?? false },
  } as object);
  take = onBytes(socket);
  socket.once('close', () => accepted.destroy()); // the server counts that one
  return socket;
}
