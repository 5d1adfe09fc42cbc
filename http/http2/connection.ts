/**
 * One HTTP/2 connection: what its frames mean (RFC 9113, section 6), strictly,
 * and what they may cost.
 * @module
 */
import { performance } from 'node:perf_hooks';
import type { TLSSocket } from 'node:tls';
import type { LimitsConfig } from '../../config/schema.ts';
import { HttpError } from '../errors.ts';
import { shareReads } from '../shared-reads.ts';
import { ConnectionError, ERROR, type ErrorCode, FloodError } from './errors.ts';
import type { Peer } from './exchange.ts';
import { FLAG, FRAME, FrameReader, MAX_WINDOW, readUint31 } from './frames.ts';
import { type HeaderBlock, HeaderBlocks } from './header-blocks.ts';
import { ALLOWED, Allowance } from './limits.ts';
import { Output } from './output.ts';
import { Receiving } from './receiving.ts';
import { RequestBody } from './request-body.ts';
import type { Section } from './section.ts';
import { Sending } from './sending.ts';
import { ownSettings, readSettings, STREAM_WINDOW_BYTES } from './settings.ts';
import { Stream, type StreamOwner } from './stream.ts';

export interface ConnectionOptions {
  readonly socket: TLSSocket;
  readonly limits: () => LimitsConfig;
  /** Answers at once (`answer`), or on the stream (`open`). */
  readonly onRequest: (connection: Connection, request: Begun) => void;
  /** Told why a connection is closed that asked for too much or made no sense: a name for the log and the metric. */
  readonly onFlood: (reason: string) => void;
  /** Told of a fault of this program; the connection is closed. */
  readonly onProblem: (error: unknown) => void;
  readonly onClose: (connection: Connection) => void;
}

/** A request as it begins. */
export interface Begun {
  readonly id: number;
  readonly section: Section;
  readonly hasBody: boolean;
  /** Whether the section is beyond the bounds: it is not all there. */
  readonly isTooLarge: boolean;
}

/** How long what still comes is dropped after the last word, so that it reaches the other side. */
const LINGER_MS = 1_000;

/** Streams ended here of which the other side may not know yet. */
const MAX_FORGOTTEN = 256;

/** Asks whether the other side has heard that it is to open no more streams. */
const LEAVING = Buffer.from('leaving.', 'latin1');

export class Connection implements StreamOwner {
  readonly socket: TLSSocket;
  readonly peer: Peer;
  readonly streams = new Map<number, Stream>();
  readonly #options: ConnectionOptions;
  readonly #output: Output;
  readonly #sending: Sending;
  readonly #receiving: Receiving;
  readonly #reader: FrameReader;
  readonly #blocks: HeaderBlocks;
  readonly #forgotten = new Set<number>();
  readonly #calls: Allowance;
  readonly #resets: Allowance;
  readonly #refusals: Allowance;
  readonly #empties: Allowance;
  /** Of `performance.now()`: when what is being read came. */
  readAt: number;
  /** When the last request ended, or the connection began. */
  idleSince: number;
  requests = 0;
  /** Of requests. */
  bodyBytes = 0;
  /** Whether the other side has said something of itself, as it must first. */
  hasBegun = false;
  #isOver = false;
  #lastId = 0;
  /** Streams beyond this one are not answered any more. */
  #refusedBeyond = MAX_WINDOW;

  constructor(options: ConnectionOptions) {
    const { socket, limits } = options;
    const now = performance.now();
    this.#options = options;
    this.socket = socket;
    this.peer = { remoteAddress: socket.remoteAddress ?? '0.0.0.0', encrypted: true, known: undefined };
    this.readAt = now;
    this.idleSince = now;
    this.#calls = new Allowance(now, ALLOWED.calls);
    this.#resets = new Allowance(now, ALLOWED.resets);
    this.#refusals = new Allowance(now, ALLOWED.refusals);
    this.#empties = new Allowance(now, ALLOWED.empties);
    this.#output = new Output(socket, () => this.#sending.pump());
    this.#sending = new Sending(this.#output, (stream) => this.#hasFinished(stream));
    this.#blocks = new HeaderBlocks(limits);
    this.#reader = new FrameReader(this.#take);
    this.#output.settings(ownSettings(limits()));
    this.#receiving = new Receiving(this.#output);
    this.#output.flush();
    shareReads(socket, (bytes, length) => this.#read(bytes, length));
    socket.on('data', (bytes: Buffer) => this.#read(bytes, bytes.length)); // what was read before, or all of it
    socket.on('error', ignore); // 'close' follows
    socket.on('end', () => socket.destroySoon()); // who sends no more has gone
    socket.once('close', () => this.#onClose());
  }

  /** Whether the other side takes less than it is given. */
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
    const { window, initialWindow } = this.#sending;
    if (bodyBytes > window || bodyBytes > initialWindow) return false;
    if (this.#output.isFull || this.#output.mustEmptyTable) return false;
    this.#sending.window -= bodyBytes;
    this.#output.answer(id, frames, bodyBytes > 0);
    this.idleSince = this.readAt;
    return true;
  }

  /** @returns The stream to answer the request on, from within `onRequest`. */
  open({ id, section, hasBody }: Begun): Stream {
    const body = hasBody ? new RequestBody((bytes) => this.#receiving.settle(bytes, this.streams.get(id))) : undefined;
    const stream = new Stream({
      id,
      owner: this,
      body,
      bodyBytes: section.contentLength,
      sendWindow: this.#sending.initialWindow,
      receiveWindow: STREAM_WINDOW_BYTES,
      now: this.readAt,
    });
    this.streams.set(id, stream);
    return stream;
  }

  /** Answers the requests that are under way or come before the other side hears of it, and then closes. */
  leave(): void {
    if (this.#isOver || this.#refusedBeyond !== MAX_WINDOW) return;
    // RFC 9113, section 6.8: first that it is time to go, then which requests were the last.
    this.#output.goaway(MAX_WINDOW, ERROR.none);
    this.#output.ping(LEAVING, false);
    this.#output.flush();
  }

  /** No request beyond those that have come is answered. */
  leaveNow(): void {
    if (this.#isOver || this.#refusedBeyond !== MAX_WINDOW) return;
    this.#refusedBeyond = this.#lastId;
    this.#output.goaway(this.#lastId, ERROR.none);
    this.#output.flush();
    this.#endIfIdle();
  }

  /** Closes a connection that costs more than it is worth. */
  calm(reason: string): void {
    if (this.#isOver) return;
    this.#options.onFlood(reason);
    this.#say(ERROR.enhanceYourCalm);
    this.socket.destroySoon();
  }

  destroy(): void {
    this.socket.destroy();
  }

  sendHeaders(stream: Stream, block: Buffer, isLast: boolean): void {
    this.#output.headers(stream.id, block, isLast);
    this.#output.flushSoon();
    if (isLast) this.#hasFinished(stream);
  }

  onQueued(stream: Stream): void {
    this.#sending.add(stream);
  }

  resetStream(stream: Stream, code: ErrorCode): void {
    this.#output.reset(stream.id, code);
    this.#output.flushSoon();
    if (!stream.hasCome) this.#forget(stream.id);
    this.#end(stream);
  }

  #read(bytes: Buffer, length: number): boolean {
    if (this.#isOver) return true;
    this.readAt = performance.now();
    try {
      this.#reader.read(bytes, length, this.#goesOn);
    } catch (error) {
      this.#fail(error);
    }
    this.#output.flush();
    return true;
  }

  readonly #goesOn = (): boolean => !this.#isOver;

  #fail(error: unknown): void {
    if (error instanceof FloodError) {
      this.calm(error.reason);
      return;
    }
    const isKnown = error instanceof ConnectionError;
    if (!isKnown) this.#options.onProblem(error);
    this.#options.onFlood('http2_refused');
    this.#say(isKnown ? error.code : ERROR.internal);
    this.socket.end();
    setTimeout(() => this.socket.destroy(), LINGER_MS).unref();
  }

  /** The last word. */
  #say(code: ErrorCode): void {
    this.#isOver = true;
    this.#output.goaway(this.#lastId, code);
    this.#output.flush();
    this.#endAll();
  }

  readonly #take = (type: number, flags: number, id: number, bytes: Buffer, start: number, end: number): void => {
    this.#blocks.expect(type, id);
    if (!this.hasBegun && (type !== FRAME.settings || (flags & FLAG.ack) !== 0)) {
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
    else if (type === FRAME.data) this.#takeData(flags, id, bytes, start, end);
    else if (type === FRAME.windowUpdate) this.#takeWindowUpdate(id, bytes, start, size);
    else if (type === FRAME.reset) this.#takeReset(id, size);
    else if (type === FRAME.settings) this.#takeSettings(flags, bytes, start, end);
    else if (type === FRAME.ping) this.#takePing(flags, bytes, start, end);
    else if (type === FRAME.priority)
      expectSize(size === 5); // RFC 9113, section 5.3.2: not acted on
    else if (type === FRAME.goaway)
      expectSize(size >= 8); // it opens no more streams, and closes when it has its answers
    else if (type === FRAME.pushPromise) throw new ConnectionError(ERROR.protocol, 'PUSH_PROMISE of a client');
  };

  #takeBlock(block: HeaderBlock | undefined): void {
    if (block === undefined) return;
    const { id, isLast, section } = block;
    const stream = this.streams.get(id);
    if (stream !== undefined) this.#takeTrailers(stream, block);
    else if (id % 2 === 0) throw new ConnectionError(ERROR.protocol, 'a stream that is not a client’s');
    else if (id <= this.#lastId) {
      if (!this.#forgotten.has(id)) throw new ConnectionError(ERROR.streamClosed, 'HEADERS on a closed stream');
    } else if (id <= this.#refusedBeyond) {
      this.#lastId = id;
      this.requests++;
      const verdict = section.request();
      const isWrong = verdict === 'malformed' || (isLast && (section.contentLength ?? 0) > 0);
      if (isWrong) this.#refuse(id, ERROR.protocol, isLast);
      else if (this.streams.size >= this.#options.limits().max_streams) this.#refuse(id, ERROR.refusedStream, isLast);
      else {
        const request = { id, section, hasBody: !isLast, isTooLarge: verdict === 'too-large' };
        this.#options.onRequest(this, request);
      }
    }
  }

  /** What stands behind a body is read, and passed on to nobody. */
  #takeTrailers(stream: Stream, { isLast, section }: HeaderBlock): void {
    if (stream.body === undefined || stream.hasCome) stream.reset(ERROR.streamClosed);
    else if (!isLast || section.trailers() === 'malformed' || (stream.bodyLeft ?? 0) > 0) stream.reset(ERROR.protocol);
    else this.#hasCome(stream);
  }

  #takeData(flags: number, id: number, bytes: Buffer, from: number, to: number): void {
    this.#receiving.take(to - from);
    let [start, end] = [from, to];
    if (flags & FLAG.padded) {
      end -= start < end ? (bytes[start] as number) : 1;
      start++;
      if (start > end) throw new ConnectionError(ERROR.protocol, 'padding beyond the frame');
    }
    const stream = this.streams.get(id);
    if (stream?.body === undefined || stream.hasCome) {
      this.#receiving.settle(to - from, undefined);
      this.#takeDataOfNobody(id, stream);
      return;
    }
    const size = end - start;
    const isLast = (flags & FLAG.endStream) !== 0;
    if (size === 0 && !isLast) this.#spend(this.#empties);
    stream.receiveWindow -= to - from;
    if (stream.bodyLeft !== undefined) stream.bodyLeft -= size;
    const left = stream.bodyLeft ?? 0;
    if (stream.receiveWindow < 0 || left < 0 || (isLast && left > 0)) {
      this.#receiving.settle(to - from, undefined);
      stream.reset(stream.receiveWindow < 0 ? ERROR.flowControl : ERROR.protocol);
      return;
    }
    this.bodyBytes += size;
    if (to - from > size) this.#receiving.settle(to - from - size, stream);
    if (size > 0) stream.body.receive(Buffer.from(bytes.subarray(start, end)));
    if (isLast) this.#hasCome(stream);
  }

  #takeDataOfNobody(id: number, stream: Stream | undefined): void {
    if (stream !== undefined) stream.reset(ERROR.streamClosed);
    else if (id > this.#lastId && id <= this.#refusedBeyond) throw new ConnectionError(ERROR.protocol, 'DATA first');
    else if (id <= this.#lastId && !this.#forgotten.has(id)) this.#refuse(id, ERROR.streamClosed, true);
  }

  #takeWindowUpdate(id: number, bytes: Buffer, start: number, size: number): void {
    expectSize(size === 4);
    const increment = readUint31(bytes, start);
    if (id === 0) {
      this.#sending.window += increment;
      if (increment === 0) throw new ConnectionError(ERROR.protocol, 'a window that does not grow');
      if (this.#sending.window > MAX_WINDOW)
        throw new ConnectionError(ERROR.flowControl, 'a window beyond the largest');
      this.#sending.unblock();
      return;
    }
    this.#expectKnown(id);
    const stream = this.streams.get(id);
    if (stream === undefined) return;
    stream.sendWindow += increment;
    if (increment === 0) stream.reset(ERROR.protocol);
    else if (stream.sendWindow > MAX_WINDOW) stream.reset(ERROR.flowControl);
    else if (stream.canSend) this.#sending.add(stream);
  }

  #takeReset(id: number, size: number): void {
    expectSize(size === 4);
    this.#expectKnown(id);
    this.#spend(this.#resets);
    const stream = this.streams.get(id);
    if (stream !== undefined) this.#end(stream);
  }

  #takeSettings(flags: number, bytes: Buffer, start: number, end: number): void {
    if (flags & FLAG.ack) {
      expectSize(start === end);
      return;
    }
    this.#spend(this.#calls, 'http2_calls');
    this.hasBegun = true;
    const { initialWindow, hasLessTable } = readSettings(bytes, start, end);
    if (hasLessTable) this.#output.mustEmptyTable = true;
    this.#output.acknowledgeSettings();
    if (initialWindow === undefined) return;
    const change = initialWindow - this.#sending.initialWindow;
    this.#sending.initialWindow = initialWindow;
    for (const stream of this.streams.values()) {
      stream.sendWindow += change; // RFC 9113, section 6.9.2: it may become negative
      if (stream.sendWindow > MAX_WINDOW) throw new ConnectionError(ERROR.flowControl, 'a window beyond the largest');
      if (stream.canSend) this.#sending.add(stream);
    }
  }

  #takePing(flags: number, bytes: Buffer, start: number, end: number): void {
    expectSize(end - start === 8);
    if (flags & FLAG.ack) {
      if (bytes.compare(LEAVING, 0, 8, start, end) === 0) this.leaveNow();
      return;
    }
    this.#spend(this.#calls, 'http2_calls');
    this.#output.ping(bytes.subarray(start, end), true);
  }

  /** @throws {ConnectionError} for a stream that nothing has happened on (RFC 9113, section 5.1). */
  #expectKnown(id: number): void {
    if (id > this.#lastId && id <= this.#refusedBeyond) throw new ConnectionError(ERROR.protocol, 'an idle stream');
  }

  /** @throws {FloodError} when there is nothing left to spend. */
  #spend(allowance: Allowance, reason = 'http2_refused'): void {
    if (!allowance.take(this.readAt)) throw new FloodError(reason);
  }

  /** Ends a stream that was never opened. @param hasCome - Whether nothing more is to come on it. */
  #refuse(id: number, code: ErrorCode, hasCome: boolean): void {
    this.#output.reset(id, code);
    if (!hasCome) this.#forget(id);
    this.#spend(this.#refusals);
  }

  #forget(id: number): void {
    this.#forgotten.add(id);
    if (this.#forgotten.size <= MAX_FORGOTTEN) return;
    for (const oldest of this.#forgotten) {
      this.#forgotten.delete(oldest);
      break;
    }
  }

  #hasCome(stream: Stream): void {
    stream.body?.finish();
    if (stream.hasFinished) this.#end(stream);
  }

  /** The answer is on its way. */
  #hasFinished(stream: Stream): void {
    stream.listener?.onFinish();
    // What the request still has to send is read no more (RFC 9113, section 8.1).
    if (stream.hasCome) this.#end(stream);
    else stream.reset(ERROR.none);
  }

  #end(stream: Stream): void {
    if (stream.isClosed) return;
    this.streams.delete(stream.id);
    this.#sending.forget(stream);
    if (!stream.hasCome) stream.body?.destroy(new HttpError('abandoned', 'the visitor left while sending'));
    stream.close();
    if (this.streams.size > 0) return;
    this.idleSince = performance.now();
    this.#endIfIdle();
  }

  #endIfIdle(): void {
    if (this.#refusedBeyond === MAX_WINDOW || this.streams.size > 0 || this.#isOver) return;
    this.#output.flush();
    this.socket.destroySoon();
  }

  #onClose(): void {
    this.#isOver = true;
    this.#endAll();
    this.#options.onClose(this);
  }

  #endAll(): void {
    for (const stream of [...this.streams.values()]) this.#end(stream);
  }
}

/** @throws {ConnectionError} */
function expectSize(isRight: boolean): void {
  if (!isRight) throw new ConnectionError(ERROR.frameSize, 'a frame of a size that its type does not have');
}

function ignore(): void {
  // nothing to do
}
