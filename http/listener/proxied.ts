/**
 * Connections that begin with a PROXY header: a trusted sender
 * reports by it whose connection it is, and all later code sees that
 * visitor's address as the other end of the connection.
 *
 * The header stands before everything else, TLS included, so it is read
 * before any other code sees the connection.
 * @module
 */
import type { Server, Socket } from 'node:net';
import { HttpError } from '../errors.ts';
import { parseProxyHeader } from './proxy-protocol.ts';

export interface ProxiedOptions {
  /** Returns whether a connection from this address must begin with a header. */
  readonly isExpected: (address: string) => boolean;
  /** For the whole header. */
  readonly timeoutMs: () => number;
  /** Called when a connection is closed because it has no header. */
  readonly refused?: ((error: HttpError) => void) | undefined;
}

export interface Proxied {
  /** Closes connections whose header has not come. */
  close(): void;
}

/** Takes each connection before those who listen to the server for connections by now. */
export function expectProxyHeaders(server: Server, { isExpected, timeoutMs, refused }: ProxiedOptions): Proxied {
  const listeners = server.listeners('connection');
  const waiting = new Set<Socket>();
  /** Contents of the headers, by the connections' underlying sockets: TLS wraps them in its own. */
  const addresses = new Map<string, string>();
  server.removeAllListeners('connection');

  const pass = (socket: Socket): void => {
    for (const listener of listeners) listener.call(server, socket);
  };

  const read = (socket: Socket): void => {
    let bytes: Buffer = Buffer.alloc(0);
    const timer = setTimeout(() => end(new HttpError('request_timeout')), timeoutMs());
    const end = (error: HttpError | undefined): void => {
      clearTimeout(timer);
      waiting.delete(socket);
      socket.off('data', take);
      socket.off('close', onClose);
      if (error === undefined) return;
      refused?.(error);
      socket.destroy();
    };
    const onClose = (): void => end(undefined);
    const take = (chunk: Buffer): void => {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      const header = parseProxyHeader(bytes);
      if (header.kind === 'partial') return;
      end(header.kind === 'invalid' ? new HttpError('bad_request', header.reason) : undefined);
      if (header.kind === 'invalid') return;
      socket.off('error', ignore);
      socket.pause();
      if (header.source !== undefined) setOtherEnd(socket, header.source.address);
      if (header.length < bytes.length) socket.unshift(bytes.subarray(header.length));
      pass(socket);
      if (socket.listenerCount('data') > 0) socket.resume();
    };
    waiting.add(socket);
    socket.on('error', ignore); // and 'close' follows
    socket.on('close', onClose);
    socket.on('data', take);
  };

  const setOtherEnd = (socket: Socket, address: string): void => {
    const key = endKey(socket);
    addresses.set(key, address);
    socket.once('close', () => addresses.delete(key));
    show(socket, address);
  };

  server.on('connection', (socket: Socket) => {
    if (isExpected(socket.remoteAddress ?? '')) read(socket);
    else pass(socket);
  });
  server.prependListener('secureConnection', (socket: Socket) => {
    const address = addresses.get(endKey(socket));
    if (address !== undefined) show(socket, address);
  });
  return {
    close() {
      for (const socket of waiting) socket.destroy();
    },
  };
}

function endKey({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

function show(socket: Socket, address: string): void {
  Object.defineProperty(socket, 'remoteAddress', { value: address, configurable: true });
}

function ignore(): void {
  // The connection has broken; it has no owner yet.
}
