/**
 * The streams of a connection: what comes on them (RFC 9113, sections 5.1, 6.1,
 * 6.2, 6.4 and 8.1), and what becomes of them.
 * @module
 */
import type { LimitsConfig } from '../../config/schema.ts';
import { type MonotonicMs, monotonicNow, msBetween } from '../../lib/clock.ts';
import { TokenBucket } from '../../lib/token-bucket.ts';
import { HttpError } from '../errors.ts';
import { ConnectionError, ERROR, type ErrorCode, FloodError } from './errors.ts';
import { FLAG, MAX_WINDOW } from './frames.ts';
import type { HeaderBlock } from './header-blocks.ts';
import { ALLOWED } from './limits.ts';
import type { Output } from './output.ts';
import { Receiving } from './receiving.ts';
import { RequestBody } from './request-body.ts';
import type { IncomingRequest } from './section.ts';
import { Sending } from './sending.ts';
import { STREAM_WINDOW_BYTES } from './settings.ts';
import { Stream, type StreamOwner } from './stream.ts';

export interface StreamsOptions {
  readonly output: Output;
  readonly limits: () => LimitsConfig;
  /** Answers at once (`answer`), or on the stream (`open`). */
  readonly onRequest: (request: IncomingRequest) => void;
  /** Called when no request is in flight any more. */
  readonly onIdle: () => void;
  /** Current time. */
  readonly now: MonotonicMs;
}

/** Time in which a client that is still sending is expected to read its answer. */
const LINGER_MS = 1_000;

const WAKE_PING = Buffer.from('answered', 'latin1');

/** Streams ended here of which the other side may not know yet. */
const MAX_FORGOTTEN = 256;

export class Streams implements StreamOwner {
  readonly #options: StreamsOptions;
  readonly #output: Output;
  readonly #sending: Sending;
  readonly #receiving: Receiving;
  readonly #open = new Map<number, Stream>();
  readonly #forgotten = new Set<number>();
  readonly #resets: TokenBucket;
  readonly #refusals: TokenBucket;
  readonly #empties: TokenBucket;
  /** Requests with a body that are handled later, each by a call. */
  readonly #waiting = new Map<Stream, () => void>();
  /** Bodies with small frames that have not been handed on. */
  #gathering: RequestBody[] = [];
  /** True if a request was ended after its answer since the last check. */
  #hasDropped = false;
  #lastId = 0;
  /** Streams beyond this one are not answered any more. */
  #refusedBeyond = MAX_WINDOW;
  /** Arrival time of the bytes being read. */
  now: MonotonicMs;
  /** Time at which the last request ended. */
  idleSince: MonotonicMs;
  requests = 0;
  /** Bytes of request bodies. */
  bodyBytes = 0;

  constructor(options: StreamsOptions) {
    const { output, now } = options;
    this.#options = options;
    this.#output = output;
    this.#sending = new Sending(output, (stream) => this.#hasFinished(stream));
    this.#receiving = new Receiving(output);
    this.#resets = new TokenBucket(ALLOWED.resets, now);
    this.#refusals = new TokenBucket(ALLOWED.refusals, now);
    this.#empties = new TokenBucket(ALLOWED.empties, now);
    this.now = now;
    this.idleSince = now;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Time at which a part of a body was last sent. */
  get sentAt(): MonotonicMs {
    return this.#sending.sentAt;
  }

  /** The last request that has come. */
  get lastId(): number {
    return this.#lastId;
  }

  /** True if new requests are no longer answered. */
  get isDraining(): boolean {
    return this.#refusedBeyond !== MAX_WINDOW;
  }

  values(): IterableIterator<Stream> {
    return this.#open.values();
  }

  /** As `Connection.answer`. */
  answer(id: number, frames: Uint8Array, bodyBytes: number): boolean {
    const { window, initialWindow } = this.#sending;
    if (bodyBytes > window || bodyBytes > initialWindow) return false;
    if (this.#output.isFull || this.#output.mustEmptyTable) return false;
    this.#sending.window -= bodyBytes;
    this.#output.answer(id, frames, bodyBytes > 0);
    this.idleSince = this.now;
    return true;
  }

  /** As `Connection.open`. */
  open({ id, section, hasBody }: IncomingRequest): Stream {
    const body = hasBody ? new RequestBody((bytes) => this.#receiving.settle(bytes, this.#open.get(id))) : undefined;
    const stream = new Stream({
      id,
      owner: this,
      body,
      bodyBytes: section.contentLength,
      sendWindow: this.#sending.initialWindow,
      receiveWindow: STREAM_WINDOW_BYTES,
      now: this.now,
    });
    this.#open.set(id, stream);
    return stream;
  }

  /**
   * Handles a request with a body as soon as that is complete, or when what has come by now has been read: most bodies
   * are small, and there as a whole by then.
   */
  handleWithBody(stream: Stream, handle: () => void): void {
    if (this.#waiting.size === 0) setImmediate(this.#handleWaiting);
    this.#waiting.set(stream, handle);
  }

  readonly #handleWaiting = (): void => {
    for (const stream of this.#waiting.keys()) this.#handleNow(stream);
  };

  #handleNow(stream: Stream): void {
    const handle = this.#waiting.get(stream);
    if (handle === undefined) return;
    this.#waiting.delete(stream);
    handle();
  }

  /** Bodies go on, if there is room. */
  goOn(): void {
    this.#sending.pump();
  }

  /** Hands on the small frames of bodies: all that has been read now is in them. */
  handOnBodies(): void {
    if (this.#gathering.length === 0) return;
    for (const body of this.#gathering.splice(0)) body.handOn();
  }

  refuseFurther(): void {
    this.#refusedBeyond = this.#lastId;
  }

  endAll(): void {
    for (const stream of [...this.#open.values()]) this.#end(stream);
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
    if (!stream.isComplete) this.#forget(stream.id);
    this.#end(stream);
  }

  /** @throws {ConnectionError} when the connection cannot go on. */
  takeBlock(block: HeaderBlock): void {
    const { id, isLast, section } = block;
    const stream = this.#open.get(id);
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
      else if (this.#open.size >= this.#options.limits().max_streams) this.#refuse(id, ERROR.refusedStream, isLast);
      else {
        const request = { id, section, hasBody: !isLast, isTooLarge: verdict === 'too-large' };
        this.#options.onRequest(request);
      }
    }
  }

  /** Reads trailers and drops them. */
  #takeTrailers(stream: Stream, { isLast, section }: HeaderBlock): void {
    if (stream.body === undefined || stream.isComplete) this.#fault(stream, ERROR.streamClosed);
    else if (stream.hasFinished && isLast) this.#endDropped(stream);
    else if (!isLast || section.trailers() === 'malformed' || (stream.bodyLeft ?? 0) > 0)
      this.#fault(stream, ERROR.protocol);
    else this.#onRequestEnd(stream);
  }

  /** @throws {ConnectionError} when the connection cannot go on. */
  takeData(flags: number, id: number, bytes: Buffer, from: number, to: number): void {
    this.#receiving.take(to - from);
    let [start, end] = [from, to];
    if (flags & FLAG.padded) {
      end -= start < end ? (bytes[start] as number) : 1;
      start++;
      if (start > end) throw new ConnectionError(ERROR.protocol, 'padding beyond the frame');
    }
    const stream = this.#open.get(id);
    if (stream?.body === undefined || stream.isComplete) {
      this.#receiving.settle(to - from, undefined);
      this.#discardData(id, stream);
      return;
    }
    const size = end - start;
    const isLast = (flags & FLAG.endStream) !== 0;
    if (size === 0 && !isLast) this.#spend(this.#empties);
    stream.receiveWindow -= to - from;
    if (stream.hasFinished) {
      this.bodyBytes += size;
      this.#receiving.settle(to - from, stream);
      if (isLast) this.#endDropped(stream);
      return;
    }
    if (stream.bodyLeft !== undefined) stream.bodyLeft -= size;
    const left = stream.bodyLeft ?? 0;
    if (stream.receiveWindow < 0 || left < 0 || (isLast && left > 0)) {
      this.#receiving.settle(to - from, undefined);
      this.#fault(stream, stream.receiveWindow < 0 ? ERROR.flowControl : ERROR.protocol);
      return;
    }
    this.bodyBytes += size;
    if (to - from > size) this.#receiving.settle(to - from - size, stream);
    if (size > 0 && stream.body.receive(bytes, start, end)) this.#gathering.push(stream.body);
    if (isLast) this.#onRequestEnd(stream);
  }

  #discardData(id: number, stream: Stream | undefined): void {
    if (stream !== undefined) this.#fault(stream, ERROR.streamClosed);
    else if (id > this.#lastId && id <= this.#refusedBeyond) throw new ConnectionError(ERROR.protocol, 'DATA first');
    else if (id <= this.#lastId && !this.#forgotten.has(id)) this.#refuse(id, ERROR.streamClosed, true);
  }

  /** The window of the connection for `id` 0. @throws {ConnectionError} when the connection cannot go on. */
  takeWindowUpdate(id: number, increment: number): void {
    if (id === 0) {
      this.#sending.window += increment;
      if (increment === 0) throw new ConnectionError(ERROR.protocol, 'a window that does not grow');
      if (this.#sending.window > MAX_WINDOW)
        throw new ConnectionError(ERROR.flowControl, 'a window beyond the largest');
      this.#sending.unblock();
      return;
    }
    this.#expectKnown(id);
    const stream = this.#open.get(id);
    if (stream === undefined) return;
    stream.sendWindow += increment;
    if (increment === 0) this.#fault(stream, ERROR.protocol);
    else if (stream.sendWindow > MAX_WINDOW) this.#fault(stream, ERROR.flowControl);
    else if (stream.canSend) this.#sending.add(stream);
  }

  /** @throws {ConnectionError} when the connection cannot go on. */
  takeReset(id: number): void {
    this.#expectKnown(id);
    this.#spend(this.#resets);
    const stream = this.#open.get(id);
    if (stream !== undefined) this.#end(stream);
  }

  /** @param initialWindow - Bytes that the other side takes on a stream that begins. @throws {ConnectionError} */
  changeWindows(initialWindow: number): void {
    const change = initialWindow - this.#sending.initialWindow;
    this.#sending.initialWindow = initialWindow;
    for (const stream of this.#open.values()) {
      stream.sendWindow += change; // RFC 9113, section 6.9.2: it may become negative
      if (stream.sendWindow > MAX_WINDOW) throw new ConnectionError(ERROR.flowControl, 'a window beyond the largest');
      if (stream.canSend) this.#sending.add(stream);
    }
  }

  /** @throws {ConnectionError} for a stream that nothing has happened on (RFC 9113, section 5.1). */
  #expectKnown(id: number): void {
    if (id > this.#lastId && id <= this.#refusedBeyond) throw new ConnectionError(ERROR.protocol, 'an idle stream');
  }

  /** @throws {FloodError} when there is nothing left to spend. */
  #spend(allowed: TokenBucket): void {
    if (!allowed.tryTake(1, this.now)) throw new FloodError('http2_refused');
  }

  /** Ends a stream that was never opened. @param hasCome - Whether nothing more is to come on it. */
  #refuse(id: number, code: ErrorCode, hasCome: boolean): void {
    this.#output.reset(id, code);
    if (!hasCome) this.#forget(id);
    this.#spend(this.#refusals);
  }

  /** Handles an invalid frame on the stream. */
  #fault(stream: Stream, code: ErrorCode): void {
    stream.reset(code);
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

  #onRequestEnd(stream: Stream): void {
    stream.body?.finish();
    this.#handleNow(stream);
    if (stream.hasFinished) this.#end(stream);
  }

  /**
   * The answer is on its way. What the request still has to send is dropped, and the stream ends when the client ends
   * it, or with `endLingering`.
   */
  #hasFinished(stream: Stream): void {
    if (stream.isComplete) {
      this.#end(stream);
      return;
    }
    stream.finishedAt = monotonicNow();
    stream.body?.destroy(new HttpError('client_closed', 'the answer came before the end of the request'));
  }

  /**
   * Tells clients that still send long after their answer to stop (RFC 9113, section 8.1). Told together with the
   * answer, some lose it: curl 7 drops what it has not handed on when a stream is reset. Those that have ended their
   * request themselves get a PING: curl 7 may sleep on a stream that has ended until some frame arrives.
   */
  endLingering(now: MonotonicMs): void {
    if (this.#hasDropped) {
      this.#output.ping(WAKE_PING, false);
      this.#output.flushSoon();
      this.#hasDropped = false;
    }
    for (const stream of this.#open.values()) {
      const { finishedAt } = stream;
      if (finishedAt !== undefined && msBetween(finishedAt, now) >= LINGER_MS) stream.reset(ERROR.none);
    }
  }

  /** A client has ended a request whose answer it had before. */
  #endDropped(stream: Stream): void {
    this.#end(stream);
    this.#hasDropped = true;
  }

  #end(stream: Stream): void {
    if (stream.isClosed) return;
    this.#open.delete(stream.id);
    this.#sending.forget(stream);
    this.#waiting.delete(stream);
    if (!stream.isComplete) stream.body?.destroy(new HttpError('client_closed', 'the visitor left while sending'));
    else stream.body?.settle();
    stream.close();
    if (this.#open.size > 0) return;
    this.idleSince = monotonicNow();
    this.#options.onIdle();
  }
}
