/**
 * Accepting of connections: a server is bound to its address, asks for each connection, and drains when it closes.
 * @module
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { endLingering } from './linger.ts';
import { listenOptions } from './sockets.ts';

/** Interval of checks for idle connections while closing. */
const IDLE_CHECK_MS = 50;

export function bind(server: Server, address: string, reusePort: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...listenOptions(address), backlog: 4_096, reusePort }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

export function drain(server: Server, upgraded: ReadonlySet<Duplex>, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cutOff = setTimeout(() => {
      server.closeAllConnections();
      for (const socket of upgraded) socket.destroy();
      endLingering(server);
    }, timeoutMs);
    const idle = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS); // Node closes those of now only
    server.close(() => {
      clearTimeout(cutOff);
      clearInterval(idle);
      resolve();
    });
  });
}

/** Asks for each connection before those who listen to the server for connections by now. */
export function admitOnly(server: Server, admits: (socket: Socket) => boolean): void {
  const listeners = server.listeners('connection');
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    if (!admits(socket)) socket.destroy();
    else for (const listener of listeners) listener.call(server, socket);
  });
}
