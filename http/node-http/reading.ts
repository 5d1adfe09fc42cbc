/**
 * Connections that `node:http` reads, and how they are taken back from it.
 *
 * Its parser would take all that one read brings, a thousand requests, before other connections are read. So it is
 * given pieces (http/node-http/framing.ts), for as long as a slice of time lasts (http/listener/turns.ts), and none
 * while the connection is paused; the rest follows in a later turn.
 * @module
 */
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import { monotonicNow } from '../../lib/clock.ts';
import { turns } from '../listener/turns.ts';
import { isHeldByNode, keepFromParser, onMessageBegin, reportSwallowedErrors } from '../node-internals/parser-input.ts';
import { type ChunkFault, GROUP_BYTES, NodeFraming } from './framing.ts';

type Listener = (...args: unknown[]) => void;

/** Events of a connection that `node:http` listens to. */
const EVENTS = ['data', 'error', 'end', 'close', 'drain', 'timeout', 'pause', 'resume'] as const;

type Added = readonly (readonly [event: string, listener: Listener])[];

export interface NodeReadingOptions {
  /**
   * Called when the first byte of a request has been read; not at all where `PARSER_BEGIN` is not usable.
   */
  readonly onRequestStart: (socket: Socket) => void;
  /** Called for chunks that are malformed, of which the parser is not told. */
  readonly onFault: (socket: Socket, fault: ChunkFault) => void;
  /** Bytes of trailers; asked for each body. */
  readonly maxTrailerBytes: () => number;
}

export class NodeReading {
  readonly #server: Server;
  /** A server reads each connection that it accepts; here only those that it is given. */
  readonly #readers: readonly Listener[];
  readonly #added = new WeakMap<Socket, Added>();
  readonly #feeds = new WeakMap<Socket, Feed>();
  readonly #options: NodeReadingOptions;

  /** @param accepting - The event by which the server is told of its connections. */
  constructor(server: Server, accepting: string, options: NodeReadingOptions) {
    this.#server = server;
    this.#options = options;
    this.#readers = server.listeners(accepting) as Listener[];
    server.removeAllListeners(accepting);
  }

  /** Takes note of a connection before others change how it is paused. Idempotent. */
  watch(socket: Socket): void {
    if (!this.#feeds.has(socket)) this.#feeds.set(socket, new Feed(socket, this.#options));
  }

  /**
   * @param socket - One that is watched.
   * @param unread - Read before what the socket reads: its end may have been read already, and nothing be put back.
   */
  begin(socket: Socket, unread?: Buffer): void {
    const before = EVENTS.map((event) => new Set(socket.listeners(event)));
    keepFromParser(socket);
    for (const reader of this.#readers) reader.call(this.#server, socket);
    const added = EVENTS.flatMap((event, index) =>
      socket
        .listeners(event)
        .filter((listener) => !before[index]?.has(listener))
        .map((listener) => [event, this.#inPieces(socket, event, listener as Listener)] as const),
    );
    this.#added.set(socket, added);
    onMessageBegin(socket, () => this.#options.onRequestStart(socket));
    reportSwallowedErrors(socket);
    const feed = this.#feeds.get(socket);
    if (unread !== undefined && unread.length > 0) feed?.take(unread);
    if (socket.readableEnded) feed?.end();
  }

  /** The parser has read the head of a request. */
  hasHead({ socket, rawHeaders }: IncomingMessage): void {
    this.#feeds.get(socket)?.framing.hasHead(rawHeaders);
  }

  /** The packet of which the parser has a piece. */
  packet(socket: Socket): Buffer | undefined {
    return this.#feeds.get(socket)?.packet;
  }

  /** Stops reading, between two requests. Its parser is freed as when a connection closes. */
  end(socket: Socket): void {
    const feed = this.#feeds.get(socket);
    feed?.stop();
    feed?.release();
    for (const [event, listener] of this.#added.get(socket) ?? []) {
      // After an Upgrade it has gone already, and listens to some events still.
      if (event === 'close' && socket.listeners(event).includes(listener)) listener.call(socket);
      socket.off(event, listener);
    }
    this.#added.delete(socket);
    socket.setTimeout(0);
    if (socket.readableFlowing === false) socket.resume();
  }

  /**
   * Takes note that `node:http` has left the connection, with answers that it still writes. Nothing more is read, until
   * `release` or `end`.
   *
   * @returns What it has not read of what has come.
   */
  left(socket: Socket): Buffer {
    const feed = this.#feeds.get(socket);
    const rest = feed?.stop();
    feed?.hold();
    for (const [event, listener] of this.#added.get(socket) ?? []) {
      if (event === 'data' || event === 'end') socket.off(event, listener);
      // It has removed this one, by which those answers go on.
      if (event === 'drain' && !socket.listeners('drain').includes(listener)) socket.on('drain', listener);
    }
    return rest ?? Buffer.alloc(0);
  }

  /** Other code reads the connection that `node:http` has left. */
  release(socket: Socket): void {
    this.#feeds.get(socket)?.release();
    socket.read(0); // or that the other side goes would be noticed late
  }

  /** The parser is given nothing more, and what follows is dropped. */
  drop(socket: Socket): void {
    this.#feeds.get(socket)?.drop();
  }

  #inPieces(socket: Socket, event: string, listener: Listener): Listener {
    const feed = this.#feeds.get(socket);
    if ((event !== 'data' && event !== 'end') || feed === undefined) return listener;
    socket.off(event, listener);
    const own = (event === 'data' ? feed.begin(listener) : feed.ending(listener)) as Listener;
    socket.on(event, own);
    return own;
  }
}

/** Passes a connection's bytes on to the parser. */
class Feed {
  readonly #socket: Socket;
  readonly #options: NodeReadingOptions;
  framing: NodeFraming;
  readonly #pause: () => Socket;
  readonly #resume: () => Socket;
  /** Parser function; absent if `node:http` does not read. */
  #parse: ((piece: Buffer) => void) | undefined;
  packet: Buffer | undefined;
  /** From where the packet is not parsed yet. */
  #at = 0;
  /** True if other code has paused the connection. */
  #isPaused = false;
  /** True while nothing may be read, though other code resumes the connection. */
  #isHeld = false;
  #isParsing = false;
  #isScheduled = false;
  /** Tells the parser that nothing follows. */
  #onEnd: (() => void) | undefined;
  /** True if nothing follows what is not parsed yet. */
  #hasEnded = false;

  constructor(socket: Socket, options: NodeReadingOptions) {
    this.#socket = socket;
    this.#options = options;
    this.framing = new NodeFraming(options);
    this.#pause = socket.pause.bind(socket);
    this.#resume = socket.resume.bind(socket);
    socket.pause = () => {
      this.#isPaused = true;
      return this.#pause();
    };
    socket.resume = () => {
      if (this.#isHeld) return socket;
      this.#isPaused = false;
      if (this.packet === undefined) return this.#resume();
      this.#goOnLater();
      return socket;
    };
  }

  begin(parse: (piece: Buffer) => void): (packet: Buffer) => void {
    this.#parse = parse;
    this.framing = new NodeFraming(this.#options);
    this.#isPaused = false;
    this.#hasEnded = false;
    return this.take;
  }

  /** @param end - Of the parser. @returns It, for when all that came before is parsed. */
  ending(end: () => void): () => void {
    this.#onEnd = end.bind(this.#socket);
    return this.end;
  }

  readonly take = (packet: Buffer): void => {
    turns.hasRead(packet.length);
    this.packet = this.packet === undefined ? packet : Buffer.concat([this.packet.subarray(this.#at), packet]);
    this.#at = 0;
    this.#goOn();
  };

  readonly end = (): void => {
    this.#hasEnded = true;
    if (this.packet === undefined) this.#finish();
  };

  #finish(): void {
    const onEnd = this.#onEnd;
    this.#onEnd = undefined;
    onEnd?.();
  }

  /** @returns What is not parsed. */
  stop(): Buffer | undefined {
    const rest = this.packet?.subarray(this.#at);
    this.#parse = undefined;
    this.#onEnd = undefined;
    this.packet = undefined;
    return rest;
  }

  hold(): void {
    this.#isHeld = true;
    this.#pause();
  }

  release(): void {
    this.#isHeld = false;
  }

  drop(): void {
    this.#parse = ignore;
    this.framing.giveUp();
    this.packet = undefined;
    if (!this.#isParsing) this.#readOn();
  }

  #goOn(): void {
    const sliceEnd = turns.sliceEnd();
    let [bytes, groupBytes] = [0, GROUP_BYTES];
    this.#isParsing = true;
    try {
      while (this.packet !== undefined && this.#parse !== undefined) {
        const { framing } = this;
        const from = this.#at;
        const { piece, end, fault } = framing.next(this.packet, from);
        this.#at = end;
        const isLast = end === this.packet.length;
        if (piece !== undefined) this.#parse(piece);
        framing.hasParsed();
        if (fault !== undefined && this.#parse !== undefined) this.#refuse(fault);
        if (isLast) this.packet = undefined;
        bytes += end - from;
        if (bytes < groupBytes && !isHeldByNode(this.#socket)) continue;
        if (this.packet !== undefined && (this.#isPaused || monotonicNow() >= sliceEnd)) break;
        groupBytes *= 2;
      }
    } finally {
      this.#isParsing = false;
    }
    if (this.packet === undefined) {
      this.#readOn();
      if (this.#hasEnded) this.#finish();
    } else {
      this.#pause();
      if (!this.#isPaused) this.#goOnLater();
    }
  }

  #refuse(fault: ChunkFault): void {
    this.drop();
    this.#options.onFault(this.#socket, fault);
  }

  #goOnLater(): void {
    if (this.#isScheduled || this.#isParsing) return;
    this.#isScheduled = true;
    turns.later(() => {
      this.#isScheduled = false;
      if (this.packet !== undefined && !this.#isPaused && !this.#socket.destroyed) this.#goOn();
    });
  }

  #readOn(): void {
    if (this.#parse !== undefined && !this.#isPaused && this.#socket.isPaused()) this.#resume();
  }
}

function ignore(): void {
  // it cannot be parsed
}
