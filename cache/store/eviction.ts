/**
 * Chooses which stored key goes when there is no room.
 *
 * Keys stand in queues, one for each class: the magnitude of their bytes and of
 * their frequency of use. The victim is the head of a queue with the largest
 * `age × √bytes ÷ frequency²`: old, large and rarely used. A victim that was used
 * since it entered its queue enters the queue of its new frequency instead, as in
 * FIFO with reinsertion (SIEVE, Y. Zhang et al., 2024; S3-FIFO, J. Yang et al.,
 * 2023). Frequencies halve with age, and are remembered for a while after a key is
 * evicted (eviction-history.ts).
 *
 * A use writes at most two bits (a count up to three), and moves nothing. A scan
 * of keys that are used once evicts others that were used once: a key that was
 * used four times is kept sixteen times as long. docs/adr/0012-eviction.md has the
 * measurements.
 * @module
 */
import type { EvictionHistory } from './eviction-history.ts';
import { HASH, NEXT, NO_ROW, PREVIOUS, STATE, TIME } from './rows.ts';

/** Bits of STATE (rows.ts). */
const USES_SHIFT = 20;
const USES_MASK = 3 << USES_SHIFT;
const FREQUENCY_SHIFT = 22;
const SIZE_SHIFT = 27;
const FIVE_BITS = 31;
const OWN_BITS = -1 << USES_SHIFT;

const MAX_FREQUENCY = 31;

/** Classes by bytes, each with `FREQUENCIES` classes by use. */
const SIZES = 32;
const FREQUENCY_CLASS_BITS = 3;
const FREQUENCIES = 1 << FREQUENCY_CLASS_BITS;
const CLASSES = SIZES * FREQUENCIES;

/** Keys that are reinserted while one victim is looked for; then the next head goes, used or not. */
const MAX_REINSERTIONS = 64;

/** A frequency halves in the time in which so many keys enter queues, for each that is stored. */
const HALF_LIFE = 20;

/** Below this many keys frequencies halve as if there were so many. */
const LEAST_KEYS = 64;

/** Factor for a head's age, by class. */
const WEIGHTS: Float64Array = Float64Array.from({ length: CLASSES }, (_, at) => {
  const frequency = 2 ** (at & (FREQUENCIES - 1));
  return Math.sqrt(2 ** (at >>> FREQUENCY_CLASS_BITS)) / frequency ** 2;
});

/** Rows that stand in queues. */
export interface QueuedRows {
  get(row: number, field: number): number;
  set(row: number, field: number, value: number): void;
  /** Sets a field that another thread may have changed meanwhile; then nothing happens. */
  change(row: number, field: number, from: number, to: number): void;
}

/**
 * Words of the queues: heads, tails, times at which heads entered, classes that have a row, and what `FIELDS` names.
 */
const [HEADS, TAILS, TIMES, IN_USE, FIELDS] = [0, CLASSES, 2 * CLASSES, 3 * CLASSES, 4 * CLASSES] as const;

/**
 * Number of classes that have a row; rows; rows that have entered a queue, which wraps, as differences are all that
 * count.
 */
const [IN_USE_COUNT, SIZE, CLOCK, FIELD_COUNT] = [FIELDS, FIELDS + 1, FIELDS + 2, 3] as const;

/** Words that queues need. */
export const QUEUE_WORDS: number = FIELDS + FIELD_COUNT;

export class EvictionQueues {
  readonly #rows: QueuedRows;
  readonly #words: Int32Array;
  #history: EvictionHistory;

  /** @param words - `QUEUE_WORDS`, as `clear` or another object for them left them; absent: of its own. */
  constructor(rows: QueuedRows, history: EvictionHistory, words?: Int32Array) {
    this.#rows = rows;
    this.#history = history;
    this.#words = words ?? new Int32Array(QUEUE_WORDS);
    if (words === undefined) this.clear();
  }

  set history(history: EvictionHistory) {
    this.#history = history;
  }

  /** Forgets all rows: those that remain are `restore`d. */
  clear(): void {
    this.#words.fill(NO_ROW, HEADS, TIMES).fill(0, FIELDS);
  }

  /** Enters a row that was in a queue before, with the size and the frequency that it had. */
  restore(row: number): void {
    const state = this.#rows.get(row, STATE);
    this.#words[SIZE] = this.#size + 1;
    this.#enter(row, state >>> SIZE_SHIFT, Math.max(1, (state >>> FREQUENCY_SHIFT) & FIVE_BITS));
  }

  /** Enters a row whose key has been stored. @param bytes - That the key costs in memory. */
  add(row: number, bytes: number): void {
    this.#words[SIZE] = this.#size + 1;
    this.#enter(row, magnitudeOf(bytes), this.#history.frequencyOf(this.#rows.get(row, HASH)) + 1);
  }

  /** Notes that the row's key, stored already, has been stored anew: that is a use. */
  replace(row: number, bytes: number): void {
    this.#reenter(row, magnitudeOf(bytes), 1 + this.#usesOf(row));
  }

  /** Takes the row out of its queue. @param isEvicted - Whether to remember its frequency. */
  remove(row: number, isEvicted: boolean): void {
    this.#words[SIZE] = this.#size - 1;
    if (isEvicted) this.#history.remember(this.#rows.get(row, HASH), this.#agedFrequency(row));
    this.#unlink(row);
  }

  /** Notes that the row's key was used. */
  use(row: number): void {
    const state = this.#rows.get(row, STATE);
    if ((state & USES_MASK) !== USES_MASK) this.#rows.change(row, STATE, state, state + (1 << USES_SHIFT));
  }

  /**
   * The row to evict next; it stays in its queue until `remove`.
   *
   * @param except - A row that is not chosen.
   * @returns `NO_ROW` when there is no other.
   */
  victim(except: number = NO_ROW): number {
    for (let left = MAX_REINSERTIONS; ; left--) {
      const row = this.#worst(except);
      if (row === NO_ROW || left === 0) return row;
      const uses = this.#usesOf(row);
      if (uses === 0) return row;
      this.#reenter(row, this.#rows.get(row, STATE) >>> SIZE_SHIFT, uses);
    }
  }

  #worst(except: number): number {
    const halfLife = this.#halfLife();
    let found = NO_ROW;
    let most = -1;
    const words = this.#words;
    const end = IN_USE + (words[IN_USE_COUNT] as number);
    for (let i = IN_USE; i < end; i++) {
      const at = words[i] as number;
      const head = words[HEADS + at] as number;
      const row = head === except ? this.#rows.get(head, NEXT) : head;
      if (row === NO_ROW) continue;
      const time = row === head ? (words[TIMES + at] as number) : this.#rows.get(row, TIME);
      const age = ((this.#clock - time) | 0) + 1;
      const value = age * (WEIGHTS[at] as number) * 4 ** (age / halfLife);
      if (value <= most) continue;
      most = value;
      found = row;
    }
    return found;
  }

  #halfLife(): number {
    return HALF_LIFE * Math.max(this.#size, LEAST_KEYS);
  }

  /** Frequency of use of a row, halved as often as its time in the queue says; at least 1. */
  #agedFrequency(row: number): number {
    const frequency = (this.#rows.get(row, STATE) >>> FREQUENCY_SHIFT) & FIVE_BITS;
    const age = (this.#clock - this.#rows.get(row, TIME)) | 0;
    return Math.max(1, frequency >> Math.min(FIVE_BITS, Math.floor(age / this.#halfLife())));
  }

  #usesOf(row: number): number {
    return (this.#rows.get(row, STATE) & USES_MASK) >>> USES_SHIFT;
  }

  #reenter(row: number, size: number, uses: number): void {
    const frequency = this.#agedFrequency(row) + uses;
    this.#unlink(row);
    this.#enter(row, size, frequency);
  }

  #enter(row: number, size: number, frequency: number): void {
    const rows = this.#rows;
    const words = this.#words;
    const bounded = Math.min(frequency, MAX_FREQUENCY);
    const others = rows.get(row, STATE) & ~OWN_BITS;
    rows.set(row, STATE, others | (bounded << FREQUENCY_SHIFT) | (size << SIZE_SHIFT));
    const clock = (this.#clock + 1) | 0;
    words[CLOCK] = clock;
    rows.set(row, TIME, clock);
    rows.set(row, NEXT, NO_ROW);
    const at = this.#classOf(row);
    const tail = words[TAILS + at] as number;
    rows.set(row, PREVIOUS, tail);
    words[TAILS + at] = row;
    if (tail !== NO_ROW) {
      rows.set(tail, NEXT, row);
      return;
    }
    words[HEADS + at] = row;
    words[TIMES + at] = clock;
    const count = words[IN_USE_COUNT] as number;
    words[IN_USE + count] = at;
    words[IN_USE_COUNT] = count + 1;
  }

  #unlink(row: number): void {
    const rows = this.#rows;
    const words = this.#words;
    const at = this.#classOf(row);
    const next = rows.get(row, NEXT);
    const previous = rows.get(row, PREVIOUS);
    if (next === NO_ROW) words[TAILS + at] = previous;
    else rows.set(next, PREVIOUS, previous);
    if (previous !== NO_ROW) {
      rows.set(previous, NEXT, next);
      return;
    }
    words[HEADS + at] = next;
    if (next !== NO_ROW) {
      words[TIMES + at] = rows.get(next, TIME);
      return;
    }
    const count = (words[IN_USE_COUNT] as number) - 1;
    words[IN_USE_COUNT] = count;
    const last = words[IN_USE + count] as number;
    if (last !== at) words[words.indexOf(at, IN_USE)] = last;
  }

  get #size(): number {
    return this.#words[SIZE] as number;
  }

  get #clock(): number {
    return this.#words[CLOCK] as number;
  }

  #classOf(row: number): number {
    const state = this.#rows.get(row, STATE);
    const frequency = (state >>> FREQUENCY_SHIFT) & FIVE_BITS;
    return ((state >>> SIZE_SHIFT) << FREQUENCY_CLASS_BITS) | (FIVE_BITS - Math.clz32(frequency));
  }
}

/** Magnitude of a key's bytes, for its class. */
function magnitudeOf(bytes: number): number {
  return Math.min(SIZES - 1, Math.floor(Math.log2(bytes + 1)));
}
