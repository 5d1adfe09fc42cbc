/**
 * One HTTP/2 connection: how it begins and ends, and the frames that are about
 * the connection itself (RFC 9113, sections 3.4, 6.5, 6.7 and 6.8). Those of
 * streams are in streams.ts.
 * @module
 */
import type { TLSSocket } from 'node:tls';
import type { LimitsConfig } from '../../config/schema.ts';
import { LONG_AGO, type MonotonicMs, monotonicNow } from '../../lib/clock.ts';
import { TokenBucket } from '../../lib/token-bucket.ts';
import type { ConnectionRefusal } from '../listener/connection-refusals.ts';
import { turns } from '../listener/turns.ts';
import { shareReads } from '../node-internals/shared-reads.ts';
import { ConnectionError, ERROR, type ErrorCode, FloodError } from './errors.ts';
import { type ExchangeConnection, Http2Peer } from './exchange.ts';
import { FLAG, FRAME, FrameReader, MAX_WINDOW, type Pace, readUint31 } from './frames.ts';
import { type HeaderBlock, HeaderBlocks } from './header-blocks.ts';
import { ALLOWED, DECODED, FRAMES_A_LOOK, unpaidBytes } from './limits.ts';
import { Output } from './output.ts';
import type { IncomingRequest } from './section.ts';
import { ownSettings, readSettings } from './settings.ts';
import type { Stream } from './stream.ts';
import { Streams } from './streams.ts';

export interface ConnectionOptions {
  /** Decrypted, without a reader. */
  readonly socket: TLSSocket;
  readonly limits: () => LimitsConfig;
  /** Answers at once (`answer`), or on the stream (`open`). */
  readonly onRequest: (connection: Connection, request: IncomingRequest) => void;
  /**
   * Called with the reason when a connection is closed for excessive or malformed input: a name for the log and the
   * metric.
   */
  readonly onFlood: (reason: ConnectionRefusal) => void;
  /** Called with an internal error; the connection is closed. */
  readonly onProblem: (error: unknown) => void;
  readonly onClose: (connection: Connection) => void;
}

/** Lingering close: time for which input is still read and dropped, so that the last frame reaches the other side. */
const LINGER_MS = 1_000;

/** Maximum output backlog; beyond it reading stops, as each request would add another head. */
const MAX_WAITING_BYTES = 256 * 1024;

/** Asks whether the other side has heard that it is to open no more streams. */
const DRAIN_PING = Buffer.from('leaving.', 'latin1');

export class Connection implements ExchangeConnection {
  readonly socket: TLSSocket;
  readonly peer: Http2Peer;
  readonly streams: Streams;
  readonly #options: ConnectionOptions;
  readonly #output: Output;
  readonly #reader: FrameReader;
  readonly #blocks: HeaderBlocks;
  readonly #calls: TokenBucket;
  /** Arrival time of the bytes being read. */
  readAt: MonotonicMs;
  /** True once the other side's SETTINGS, which must come first, have arrived. */
  hasSettings = false;
  #isOver = false;
  /** True while reading is paused until the backlog has been written. */
  #isPaused = false;
  /** Bytes that have arrived and are read later, from `#unreadAt` on. */
  #unread: Buffer | undefined;
  #unreadAt = 0;
  #waiting: NodeJS.Timeout | undefined;
  /** End of this connection's time slice. */
  #sliceEnd = LONG_AGO;
  #framesLeft = FRAMES_A_LOOK;
  /** Bytes of header sections that came without being sent. */
  readonly #decoded: TokenBucket;
  /** Path of the last request. */
  #lastPath = '';

  constructor(options: ConnectionOptions) {
    const { socket, limits } = options;
    const now = monotonicNow();
    this.#options = options;
    this.socket = socket;
    this.peer = new Http2Peer(socket.remoteAddress ?? '0.0.0.0');
    this.readAt = now;
    this.#calls = new TokenBucket(ALLOWED.calls, now);
    this.#decoded = new TokenBucket(DECODED, now);
    this.#reader = new FrameReader(this.#take);
    this.#blocks = new HeaderBlocks(limits);
    this.#output = new Output(socket, () => this.#goOn());
    this.#output.settings(ownSettings(limits()));
    this.streams = new Streams({
      output: this.#output,
      limits,
      onRequest: (request) => options.onRequest(this, request),
      onIdle: () => this.#endIfLeft(),
      now,
    });
    this.#output.flush();
    shareReads(socket, (bytes, length) => this.#read(bytes, length));
    socket.on('data', (bytes: Buffer) => this.#read(bytes, bytes.length)); // what was read before, or all of it
    socket.on('error', ignore); // 'close' follows
    socket.on('end', () => socket.destroySoon()); // who sends no more has gone
    socket.once('close', () => this.#onClose());
  }

  /** Bytes that the other side, or the system on its behalf, has taken. */
  get bytesTaken(): number {
    return this.socket.bytesWritten - this.socket.writableLength; // the one counts what waits as well
  }

  /** True if the other side reads more slowly than it is sent to. */
  get isHeldUp(): boolean {
    return this.#output.isFull;
  }

  /**
   * Answers a request that is only a head, from within `onRequest`.
   *
   * @param frames - Of `answerFrames`, and the body behind them.
   * @returns Whether there is room for it.
   */
  answer(id: number, frames: Uint8Array, bodyBytes: number): boolean {
    return this.streams.answer(id, frames, bodyBytes);
  }

  /** @returns The stream to answer the request on, from within `onRequest`. */
  open(request: IncomingRequest): Stream {
    return this.streams.open(request);
  }

  /** Answers the requests that are under way or come before the other side hears of it, and then closes. */
  drain(): void {
    if (this.#isOver || this.streams.isDraining) return;
    // RFC 9113, section 6.8: first that it is time to go, then which request was the last.
    this.#output.goaway(MAX_WINDOW, ERROR.none);
    this.#output.ping(DRAIN_PING, false);
    this.#output.flush();
  }

  /** No request beyond those that have come is answered. */
  shutdown(): void {
    if (this.#isOver || this.streams.isDraining) return;
    this.streams.refuseFurther();
    this.#output.goaway(this.streams.lastId, ERROR.none);
    this.#output.flush();
    this.#endIfLeft();
  }

  /** Closes a connection that costs more than it is worth. */
  closeForFlood(reason: ConnectionRefusal): void {
    if (this.#isOver) return;
    this.#options.onFlood(reason);
    this.#send(ERROR.enhanceYourCalm);
    this.socket.destroySoon();
    this.#linger();
  }

  destroy(): void {
    this.socket.destroy();
  }

  #read(bytes: Buffer, length: number): boolean {
    if (this.#isOver) return true;
    if (this.#unread === undefined) {
      const end = this.#readFrames(bytes, 0, length);
      if (end < length && !this.#isOver) this.#readLater(Buffer.from(bytes.subarray(end, length)), 0);
    } else {
      // What TLS had decrypted already when the socket was paused.
      const before = this.#unread.subarray(this.#unreadAt);
      this.#unread = Buffer.concat([before, bytes.subarray(0, length)]);
      this.#unreadAt = 0;
    }
    return true;
  }

  /** @returns How far they are read. */
  #readFrames(bytes: Buffer, from: number, end: number): number {
    this.readAt = monotonicNow();
    this.streams.now = this.readAt;
    this.#sliceEnd = turns.sliceEnd(this.readAt);
    this.#framesLeft = FRAMES_A_LOOK;
    let at = end;
    try {
      at = this.#reader.read(bytes, from, end, this.#pace);
    } catch (error) {
      this.#fail(error);
    }
    this.streams.handOnBodies();
    this.#output.flush();
    if (this.#output.isFull && this.socket.writableLength > MAX_WAITING_BYTES) {
      this.#isPaused = true;
      this.socket.pause();
    }
    return at;
  }

  /** Others have their turn first; those who have decoded more than they may wait until they may again. */
  #readLater(unread: Buffer, at: number): void {
    this.#unread = unread;
    this.#unreadAt = at;
    this.socket.pause();
    const waitMs = Math.ceil(this.#decoded.waitMs(0, monotonicNow()));
    clearTimeout(this.#waiting);
    if (waitMs > 0) this.#waiting = setTimeout(this.#readUnread, waitMs);
    else turns.later(this.#readUnread);
  }

  readonly #readUnread = (): void => {
    const unread = this.#unread;
    if (unread === undefined || this.#isOver || this.socket.destroyed) return;
    if (this.#isPaused) return; // until what waits has been written
    this.#unread = undefined;
    const end = this.#readFrames(unread, this.#unreadAt, unread.length);
    if (this.#isOver) return;
    if (end < unread.length) this.#readLater(unread, end);
    else if (!this.#isPaused) this.socket.resume();
  };

  /** Resumes after the backlog has been written. */
  #goOn(): void {
    if (this.#isPaused) {
      this.#isPaused = false;
      if (this.#unread === undefined) this.socket.resume();
      else this.#readLater(this.#unread, this.#unreadAt); // who still has to wait does
    }
    this.streams.goOn();
  }

  readonly #pace = (): Pace => {
    if (this.#isOver) return 'never';
    if (this.#isPaused) return 'later';
    if (--this.#framesLeft > 0) return 'now';
    this.#framesLeft = FRAMES_A_LOOK;
    const now = monotonicNow();
    return now < this.#sliceEnd && this.#decoded.waitMs(0, now) === 0 ? 'now' : 'later';
  };

  #fail(error: unknown): void {
    if (error instanceof FloodError) {
      this.closeForFlood(error.reason);
      return;
    }
    const isKnown = error instanceof ConnectionError;
    if (!isKnown) this.#options.onProblem(error);
    this.#options.onFlood('http2_refused');
    this.#send(isKnown ? error.code : ERROR.internal);
    this.socket.end();
    this.#linger();
  }

  #linger(): void {
    const timer = setTimeout(() => this.socket.destroy(), LINGER_MS).unref();
    this.socket.once('close', () => clearTimeout(timer));
  }

  /** The last word. */
  #send(code: ErrorCode): void {
    this.#isOver = true;
    this.#output.goaway(this.streams.lastId, code);
    this.#output.flush();
    this.streams.endAll();
  }

  readonly #take = (type: number, flags: number, id: number, bytes: Buffer, start: number, end: number): void => {
    this.#blocks.expect(type, id);
    if (!this.hasSettings && (type !== FRAME.settings || (flags & FLAG.ack) !== 0)) {
      throw new ConnectionError(ERROR.protocol, 'SETTINGS are to come first');
    }
    const isOfStream = type <= FRAME.reset || type === FRAME.continuation;
    const isOfConnection = type === FRAME.settings || type === FRAME.ping || type === FRAME.goaway;
    if (isOfStream ? id === 0 : isOfConnection && id !== 0) {
      throw new ConnectionError(ERROR.protocol, `frame ${type} on stream ${id}`);
    }
    const size = end - start;
    if (type === FRAME.headers) this.#takeBlock(this.#blocks.begin(flags, id, bytes, start, end));
    else if (type === FRAME.continuation) this.#takeBlock(this.#blocks.goOn(flags, bytes, start, end));
    else if (type === FRAME.data) this.streams.takeData(flags, id, bytes, start, end);
    else if (type === FRAME.windowUpdate) {
      expectSize(size === 4);
      this.streams.takeWindowUpdate(id, readUint31(bytes, start));
    } else if (type === FRAME.reset) {
      expectSize(size === 4);
      this.streams.takeReset(id);
    } else if (type === FRAME.settings) this.#takeSettings(flags, bytes, start, end);
    else if (type === FRAME.ping) this.#takePing(flags, bytes, start, end);
    else if (type === FRAME.priority)
      expectSize(size === 5); // RFC 9113, section 5.3.2: not acted on
    else if (type === FRAME.goaway)
      expectSize(size >= 8); // it opens no more streams, and closes when it has its answers
    else if (type === FRAME.pushPromise) throw new ConnectionError(ERROR.protocol, 'PUSH_PROMISE of a client');
  };

  #takeBlock(block: HeaderBlock | undefined): void {
    if (block === undefined) return;
    this.streams.takeBlock(block);
    const { section, wireBytes } = block;
    const isPathKnown = section.path === this.#lastPath;
    const unpaid = unpaidBytes(section, isPathKnown, wireBytes, this.#options.limits().max_header);
    this.#lastPath = section.path;
    if (unpaid === 0) return;
    this.#decoded.spend(unpaid, this.readAt);
    this.#framesLeft = Math.min(this.#framesLeft, 2); // the clock is looked at the sooner
  }

  #takeSettings(flags: number, bytes: Buffer, start: number, end: number): void {
    if (flags & FLAG.ack) {
      expectSize(start === end);
      return;
    }
    this.#spendCall();
    this.hasSettings = true;
    const { initialWindow, hasLessTable } = readSettings(bytes, start, end);
    if (hasLessTable) this.#output.mustEmptyTable = true;
    if (initialWindow !== undefined) this.streams.changeWindows(initialWindow);
    this.#output.acknowledgeSettings();
  }

  #takePing(flags: number, bytes: Buffer, start: number, end: number): void {
    expectSize(end - start === 8);
    if (flags & FLAG.ack) {
      if (bytes.compare(DRAIN_PING, 0, 8, start, end) === 0) this.shutdown();
      return;
    }
    this.#spendCall();
    this.#output.ping(bytes.subarray(start, end), true);
  }

  #spendCall(): void {
    if (!this.#calls.tryTake(1, this.readAt)) throw new FloodError('http2_calls');
  }

  #endIfLeft(): void {
    if (!this.streams.isDraining || this.streams.size > 0 || this.#isOver) return;
    this.#output.flush();
    this.socket.destroySoon();
  }

  #onClose(): void {
    this.#isOver = true;
    this.streams.endAll();
    this.#options.onClose(this);
  }
}

/** @throws {ConnectionError} */
function expectSize(isRight: boolean): void {
  if (!isRight) throw new ConnectionError(ERROR.frameSize, 'a frame of a size that its type does not have');
}

function ignore(): void {
  // nothing to do
}
