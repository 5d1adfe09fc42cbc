/**
 * One stream: a request's body on its way in, and the answer on its way out
 * (RFC 9113, section 5.1).
 * @module
 */
import { type MonotonicMs, monotonicNow } from '../../lib/clock.ts';
import type { ErrorCode } from './errors.ts';
import type { RequestBody } from './request-body.ts';

/** Bytes of an answer that are buffered here before the writer gets back-pressure. */
const HIGH_WATER_BYTES = 64 * 1024;

/** Callbacks of a stream for the exchange on it. */
export interface StreamListener {
  /** After `write` returned false: there is room again. */
  drained(): void;
  /** Called when the stream is closed; see `hasFinished`. */
  closed(): void;
}

/** Services of the connection for its streams. */
export interface StreamOwner {
  sendHeaders(stream: Stream, block: Buffer, isLast: boolean): void;
  /** There is something to send. */
  onQueued(stream: Stream): void;
  /** Ends the stream at once, and tells the other side why. */
  resetStream(stream: Stream, code: ErrorCode): void;
}

export class Stream {
  readonly id: number;
  /** Absent: the request is only a head. */
  readonly body: RequestBody | undefined;
  readonly #owner: StreamOwner;
  listener: StreamListener | undefined;
  /** Bytes that the other side takes (RFC 9113, section 5.2). */
  sendWindow: number;
  /** Bytes that the other side may send. */
  receiveWindow: number;
  /** Bytes that have been read, and of which the other side has not been told. */
  unacknowledged = 0;
  /** Bytes of the body that are still to come, where its length was announced. */
  bodyLeft: number | undefined;
  /** Start of the stream. */
  readonly startedAt: MonotonicMs;
  /** Time of the answer's last progress, or of its last moment without a backlog. */
  movedAt: MonotonicMs;
  /** Time at which the answer was finished before the request was. */
  finishedAt: MonotonicMs | undefined;
  headersSent = false;
  isClosed = false;
  #queue: Buffer[] = [];
  #queued = 0;
  #trailers: Buffer | undefined;
  #isEnding = false;
  #hasFinished = false;
  #needsDrain = false;

  constructor(options: {
    readonly id: number;
    readonly owner: StreamOwner;
    readonly body: RequestBody | undefined;
    readonly bodyBytes: number | undefined;
    readonly sendWindow: number;
    readonly receiveWindow: number;
    readonly now: MonotonicMs;
  }) {
    this.id = options.id;
    this.#owner = options.owner;
    this.body = options.body;
    this.bodyLeft = options.bodyBytes;
    this.sendWindow = options.sendWindow;
    this.receiveWindow = options.receiveWindow;
    this.startedAt = options.now;
    this.movedAt = options.now;
  }

  /** Bytes of the answer that wait to be sent. */
  get queued(): number {
    return this.#queued;
  }

  /** True once the whole answer has been sent. */
  get hasFinished(): boolean {
    return this.#hasFinished;
  }

  /** True once the whole request has arrived. */
  get isComplete(): boolean {
    return this.body === undefined || this.body.isComplete;
  }

  /** True if there is something to send now. */
  get canSend(): boolean {
    if (this.isClosed || this.#hasFinished) return false;
    return this.#queued > 0 ? this.sendWindow > 0 : this.#isEnding;
  }

  /** An interim response, or the head of the answer. @param isWhole - Whether nothing follows it. */
  sendHeaders(block: Buffer, { isInterim = false, isWhole = false } = {}): void {
    if (this.isClosed || this.headersSent) return;
    this.headersSent = !isInterim;
    this.#hasFinished = isWhole;
    this.#owner.sendHeaders(this, block, isWhole);
  }

  /** @returns Whether there is room for more; if not, `drained` is called when there is. */
  write(bytes: Buffer): boolean {
    if (this.isClosed || this.#isEnding || bytes.length === 0) return true;
    if (this.#queued === 0) this.movedAt = monotonicNow();
    this.#queue.push(bytes);
    this.#queued += bytes.length;
    this.#owner.onQueued(this);
    this.#needsDrain = this.#queued >= HIGH_WATER_BYTES;
    return !this.#needsDrain;
  }

  /** @param trailers - A header block. */
  end(trailers?: Buffer): void {
    if (this.isClosed || this.#isEnding || this.#hasFinished) return;
    this.#isEnding = true;
    this.#trailers = trailers;
    this.#owner.onQueued(this);
  }

  reset(code: ErrorCode): void {
    if (!this.isClosed) this.#owner.resetStream(this, code);
  }

  /** Takes up to so many bytes off the queue; for the connection only. */
  takeQueued(most: number): Buffer {
    const first = this.#queue[0] as Buffer;
    const part = first.length <= most ? first : first.subarray(0, most);
    if (part.length === first.length) this.#queue.shift();
    else this.#queue[0] = first.subarray(most);
    this.#queued -= part.length;
    return part;
  }

  /** Takes the end of the answer: trailers, if any; `undefined` if it is not there yet; for the connection only. */
  takeEnding(): { readonly trailers: Buffer | undefined } | undefined {
    if (!this.#isEnding || this.#queued > 0) return undefined;
    this.#hasFinished = true;
    return { trailers: this.#trailers };
  }

  /** Records that a part has been sent; for the connection only. */
  hasSent(): void {
    if (!this.#needsDrain || this.#queued >= HIGH_WATER_BYTES / 2) return;
    this.#needsDrain = false;
    this.listener?.drained();
  }

  /** Closes the stream at once; for the connection only. */
  close(): void {
    this.isClosed = true;
    this.#queue = [];
    this.#queued = 0;
    this.listener?.closed();
  }
}
