/**
 * Connections that `node:http` reads, and how they are taken back from it.
 * @module
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

type Listener = (...args: unknown[]) => void;

/** What `node:http` listens to on a connection. */
const EVENTS = ['data', 'error', 'end', 'close', 'drain', 'timeout'] as const;

type Added = readonly (readonly [event: string, listener: Listener])[];

export class NodeReading {
  readonly #server: Server;
  /** A server reads each connection that it accepts; here only those that it is given. */
  readonly #readers: readonly Listener[];
  readonly #added = new WeakMap<Socket, Added>();

  /** @param accepting - The event by which the server is told of its connections. */
  constructor(server: Server, accepting: string) {
    this.#server = server;
    this.#readers = server.listeners(accepting) as Listener[];
    server.removeAllListeners(accepting);
  }

  begin(socket: Socket): void {
    const before = EVENTS.map((event) => new Set(socket.listeners(event)));
    for (const reader of this.#readers) reader.call(this.#server, socket);
    const added = EVENTS.flatMap((event, index) =>
      socket
        .listeners(event)
        .filter((listener) => !before[index]?.has(listener))
        .map((listener) => [event, listener] as const),
    );
    this.#added.set(socket, added as unknown as Added);
  }

  /** Nothing more is read; between two requests. Its parser goes as it does when a connection closes. */
  end(socket: Socket): void {
    for (const [event, listener] of this.#added.get(socket) ?? []) {
      if (event === 'close') listener.call(socket);
      socket.off(event, listener);
    }
    this.#added.delete(socket);
    socket.setTimeout(0);
  }
}
