/**
 * Connections that `node:http` reads, and how they are taken back from it.
 * @module
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

type Listener = (...args: unknown[]) => void;

/** What `node:http` listens to on a connection. */
const EVENTS = ['data', 'error', 'end', 'close', 'drain', 'timeout', 'pause', 'resume'] as const;

type Added = readonly (readonly [event: string, listener: Listener])[];

/** Slot of the parser for what it calls at the beginning of a message; `null` while nobody is called. */
const ON_MESSAGE_BEGIN = 0;

interface Parsed {
  readonly parser?: { [ON_MESSAGE_BEGIN]?: (() => void) | null } | null;
}

export class NodeReading {
  readonly #server: Server;
  /** A server reads each connection that it accepts; here only those that it is given. */
  readonly #readers: readonly Listener[];
  readonly #added = new WeakMap<Socket, Added>();
  readonly #onBegun: (socket: Socket) => void;

  /**
   * @param accepting - The event by which the server is told of its connections.
   * @param onBegun - Told when the first byte of a request has been read. There is no public way to know; where the
   *   parser does not look as expected, it is not called.
   */
  constructor(server: Server, accepting: string, onBegun: (socket: Socket) => void) {
    this.#server = server;
    this.#onBegun = onBegun;
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
    const { parser } = socket as Parsed;
    if (parser?.[ON_MESSAGE_BEGIN] === null) parser[ON_MESSAGE_BEGIN] = () => this.#onBegun(socket);
  }

  /** Nothing more is read; between two requests. Its parser goes as it does when a connection closes. */
  end(socket: Socket): void {
    for (const [event, listener] of this.#added.get(socket) ?? []) {
      // After an Upgrade it has gone already, and listens to some events still.
      if (event === 'close' && socket.listeners(event).includes(listener)) listener.call(socket);
      socket.off(event, listener);
    }
    this.#added.delete(socket);
    socket.setTimeout(0);
  }
}
