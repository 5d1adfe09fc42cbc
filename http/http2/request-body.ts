/**
 * The body of a request as it arrives on a stream. The other side may send more
 * as far as what it has sent is read (RFC 9113, section 5.2).
 *
 * Small frames that come in one read are one piece. A body that is complete before
 * its reader begins is a whole one, as in HTTP/1.1.
 * @module
 */
import { Readable } from 'node:stream';
import { WholeBody } from '../http1/whole-body.ts';

/** Frames of less are gathered. */
const SMALL_BYTES = 2 * 1024;

/** Data up to this is moved byte by byte, which is cheaper than a call. */
const SHORT_BYTES = 24;

/** Memory for small frames: at first, doubled as they come, and at most. */
const FIRST_BYTES = 256;
const MOST_BYTES = 16 * 1024;

export class RequestBody extends Readable {
  readonly #onTaken: (bytes: number) => void;
  /** Bytes that have come and the other side has not been told may be followed by others. */
  #unacknowledged = 0;
  #isComplete = false;
  /** Pieces that came before the reader began; `undefined` from then on. */
  #early: Buffer[] | undefined = [];
  /** Small frames that have come and are not handed on: the first `#gatheredBytes` of it. */
  #gathered: Buffer | undefined;
  #gatheredBytes = 0;

  /** @param onTaken - Told of bytes that have been read, or are dropped. */
  constructor(onTaken: (bytes: number) => void) {
    super();
    this.#onTaken = onTaken;
    this.on('error', ignore); // its reader listens as well
  }

  /** True once all of it has arrived. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /**
   * Takes the data of a frame, from `start` to `end`; the bytes may be written over once this returns.
   *
   * @returns Whether something now waits for `handOn`, and nothing did before.
   */
  receive(bytes: Buffer, start: number, end: number): boolean {
    const size = end - start;
    this.#unacknowledged += size;
    if (this.destroyed) {
      this.#settle();
      return false;
    }
    if (size >= SMALL_BYTES) {
      this.handOn();
      this.#hand(Buffer.from(bytes.subarray(start, end)));
      return false;
    }
    const hadNothing = this.#gathered === undefined;
    if (this.#gatheredBytes + size > MOST_BYTES) this.handOn();
    const into = this.#roomFor(size);
    let to = this.#gatheredBytes;
    this.#gatheredBytes += size;
    if (size > SHORT_BYTES) bytes.copy(into, to, start, end);
    else for (let at = start; at < end; at++) into[to++] = bytes[at] as number;
    return hadNothing;
  }

  /** Hands on the frames that have been gathered. */
  handOn(): void {
    const gathered = this.#gathered;
    if (gathered === undefined) return;
    const bytes = this.#gatheredBytes;
    this.#gathered = undefined;
    this.#gatheredBytes = 0;
    if (!this.destroyed) this.#hand(gathered.subarray(0, bytes));
  }

  finish(): void {
    this.handOn();
    this.#isComplete = true;
    if (this.#early === undefined) this.push(null);
  }

  /** @returns The body for its reader; called once. */
  open(): Readable {
    this.handOn();
    const early = this.#early ?? [];
    this.#early = undefined;
    if (!this.#isComplete || this.destroyed) {
      for (const piece of early) this.#hand(piece);
      return this;
    }
    this.#settle();
    return new WholeBody(early.length === 1 ? (early[0] as Buffer) : Buffer.concat(early));
  }

  /** Settles what its reader has not taken of it: the stream is over, and nothing more comes on it. */
  settle(): void {
    if (this.#early !== undefined) this.discard();
    else this.#settle();
  }

  /** Drops what has come and still comes, as there is no reader. */
  discard(): void {
    this.#early = undefined;
    this.resume();
    this.#settle();
  }

  #hand(piece: Buffer): void {
    if (this.#early !== undefined) this.#early.push(piece);
    else if (this.push(piece) || this.destroyed) this.#settle();
  }

  #roomFor(size: number): Buffer {
    const before = this.#gathered;
    const wanted = this.#gatheredBytes + size;
    if (before !== undefined && before.length >= wanted) return before;
    let length = before === undefined ? FIRST_BYTES : before.length;
    while (length < wanted) length *= 2;
    const gathered = Buffer.allocUnsafe(length);
    before?.copy(gathered, 0, 0, this.#gatheredBytes);
    this.#gathered = gathered;
    return gathered;
  }

  override _read(): void {
    this.#settle();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#early = undefined;
    this.#settle();
    done(error);
  }

  #settle(): void {
    const bytes = this.#unacknowledged;
    this.#unacknowledged = 0;
    if (bytes > 0) this.#onTaken(bytes);
  }
}

function ignore(): void {
  // there may be no reader
}
