/**
 * Threads that use the shared memory, and the slabs that each has pinned. A pin keeps a slab from being written anew
 * while bytes are sent from it. Each thread counts its own, so that the pins of one that has ended are known.
 *
 * A reader pins, then checks that the record is still where it was; a writer takes the record away, then looks for
 * pins. Both are atomic, so one of them sees the other.
 *
 * A thread is known by a token: the number of its place, and how often that place was taken. No two threads have the
 * same one, so marks with the token of a thread that has ended have no owner.
 * @module
 */
import { partsOf, pinWords, type Shape, type SharedMemory, THREAD_WORDS } from './layout.ts';

/** Fields of a place; TOKEN is 0 where no thread has it. Of the first place: PLACES that were ever in use. */
const [TOKEN, GENERATION, THREAD, PLACES] = [0, 1, 6, 7] as const;

/** Doubles of a place: bytes of its own outside of shared memory, in use and remembered. */
export const [IN_USE, REMEMBERED] = [1, 2] as const;

const PLACE_BITS = 9;
const PLACE_MASK = (1 << PLACE_BITS) - 1;

/** Threads at a time. */
export const MAX_THREADS: number = PLACE_MASK;

/** Bits of a generation: a token is a positive number. */
const GENERATION_MASK = (1 << (31 - PLACE_BITS)) - 1;

export class Threads {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #shape: Shape;
  readonly #pins: number;
  readonly #pinWords: number;

  constructor({ control, shape }: SharedMemory) {
    this.#words = new Int32Array(control);
    this.#doubles = new Float64Array(control);
    this.#shape = shape;
    this.#pins = partsOf(shape).pins;
    this.#pinWords = pinWords(shape);
  }

  /** Bytes that threads have of their own, outside of shared memory. @param of - `IN_USE` or `REMEMBERED`. */
  bytesOf(of: number): number {
    let bytes = 0;
    for (let place = 0; place < this.#places; place++) bytes += this.#doubles[bytesAt(place, of)] as number;
    return bytes;
  }

  setBytes(token: number, of: number, bytes: number): void {
    this.#doubles[bytesAt(placeOf(token), of)] = bytes;
  }

  /** Makes the token of a thread that is to be started. @throws {RangeError} if there are too many. */
  add(): number {
    for (let place = 0; place < this.#shape.threads; place++) {
      const at = place * THREAD_WORDS;
      if (Atomics.load(this.#words, at + TOKEN) !== 0) continue;
      const generation = Atomics.add(this.#words, at + GENERATION, 1) & GENERATION_MASK;
      const token = (generation << PLACE_BITS) | (place + 1);
      Atomics.store(this.#words, PLACES, Math.max(this.#places, place + 1));
      Atomics.store(this.#words, at + TOKEN, token);
      return token;
    }
    throw new RangeError(`more than ${this.#shape.threads} threads`);
  }

  /** Notes which thread of the process has the token: its `threadId`. */
  begin(token: number, threadId: number): void {
    Atomics.store(this.#words, placeOf(token) * THREAD_WORDS + THREAD, threadId);
  }

  /** @returns The `threadId` of the thread that has the token. */
  threadOf(token: number): number {
    return Atomics.load(this.#words, placeOf(token) * THREAD_WORDS + THREAD);
  }

  hasEnded(token: number): boolean {
    return Atomics.load(this.#words, placeOf(token) * THREAD_WORDS + TOKEN) !== token;
  }

  /** Notes that a thread runs no more: its place is free, and its pins are gone. */
  end(token: number): void {
    const place = placeOf(token);
    for (let i = 0; i < this.#pinWords; i++) Atomics.store(this.#words, this.#pinsOf(place) + i, 0);
    for (const kind of [IN_USE, REMEMBERED]) this.#doubles[bytesAt(place, kind)] = 0;
    Atomics.store(this.#words, place * THREAD_WORDS + TOKEN, 0);
  }

  pin(token: number, slab: number): void {
    Atomics.add(this.#words, this.#pinsOf(placeOf(token)) + slab, 1);
  }

  unpin(token: number, slab: number): void {
    Atomics.sub(this.#words, this.#pinsOf(placeOf(token)) + slab, 1);
  }

  isPinned(slab: number): boolean {
    for (let place = 0; place < this.#places; place++) {
      if (Atomics.load(this.#words, this.#pinsOf(place) + slab) > 0) return true;
    }
    return false;
  }

  /** Places beyond this number have never been in use. */
  get #places(): number {
    return Atomics.load(this.#words, PLACES);
  }

  #pinsOf(place: number): number {
    return this.#pins + place * this.#pinWords;
  }
}

function bytesAt(place: number, of: number): number {
  return (place * THREAD_WORDS) / 2 + of;
}

function placeOf(token: number): number {
  return (token & PLACE_MASK) - 1;
}
