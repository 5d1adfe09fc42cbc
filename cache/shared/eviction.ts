/**
 * Choice of the row that goes when a shard is full. What it remembers lies in shared memory; all but `use` is called
 * with the shard's lock.
 *
 * The policy is one queue with reinsertion: the head goes, unless it was used since it entered; then it enters again.
 * @module
 */
import { HEAD, NEXT, PREVIOUS, ROW_WORDS, STATE, TAIL } from './layout.ts';

export const NO_ROW = -1;

/** Hooks of a shard: the seam at which a policy is chosen. */
export interface Eviction {
  /** A row has been taken for a new key. */
  add(row: number): void;
  /** A row's key is removed. */
  remove(row: number): void;
  /** Notes a use; without the lock, by any thread, perhaps of a row that is another key's by now. */
  use(row: number): void;
  /** @returns The row that is to go, or `NO_ROW`. */
  victim(except: number): number;
  /** Forgets all rows: those that remain are added again. */
  clear(): void;
}

/** Makes the policy of a shard. @param at - Of the shard's header. @param rowsAt - Of its rows. */
export type MakeEviction = (words: Int32Array, at: number, rowsAt: number) => Eviction;

/** Bits of STATE: used once, used more often. */
const [ONCE, MORE] = [1, 2] as const;
const USED = ONCE | MORE;

/** Rows that are reinserted for one victim; then the next head goes, used or not. */
const MAX_REINSERTIONS = 64;

export class ReinsertionQueue implements Eviction {
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #rowsAt: number;

  /** @param at - Of the shard's header. @param rowsAt - Of its rows. */
  constructor(words: Int32Array, at: number, rowsAt: number) {
    this.#words = words;
    this.#at = at;
    this.#rowsAt = rowsAt;
  }

  add(row: number): void {
    Atomics.store(this.#words, this.#field(row, STATE), 0);
    this.#enter(row);
  }

  use(row: number): void {
    const at = this.#field(row, STATE);
    const used = Atomics.load(this.#words, at) & USED;
    if (used !== USED) Atomics.or(this.#words, at, used === 0 ? ONCE : MORE); // what is hot is not written at all
  }

  remove(row: number): void {
    const words = this.#words;
    const [next, previous] = [words[this.#field(row, NEXT)] as number, words[this.#field(row, PREVIOUS)] as number];
    words[previous === 0 ? this.#at + HEAD : this.#field(previous - 1, NEXT)] = next;
    words[next === 0 ? this.#at + TAIL : this.#field(next - 1, PREVIOUS)] = previous;
  }

  victim(except: number): number {
    let reinserted = 0;
    for (;;) {
      const row = (this.#words[this.#at + HEAD] as number) - 1;
      if (row === NO_ROW) return NO_ROW;
      const isUsed = (Atomics.load(this.#words, this.#field(row, STATE)) & USED) !== 0;
      if (row === except) {
        if (this.#words[this.#at + TAIL] === row + 1) return NO_ROW;
      } else if (!isUsed || reinserted++ === MAX_REINSERTIONS) return row;
      Atomics.and(this.#words, this.#field(row, STATE), ~USED);
      this.remove(row);
      this.#enter(row);
    }
  }

  clear(): void {
    this.#words[this.#at + HEAD] = 0;
    this.#words[this.#at + TAIL] = 0;
  }

  #enter(row: number): void {
    const words = this.#words;
    const tail = words[this.#at + TAIL] as number;
    words[this.#field(row, NEXT)] = 0;
    words[this.#field(row, PREVIOUS)] = tail;
    words[tail === 0 ? this.#at + HEAD : this.#field(tail - 1, NEXT)] = row + 1;
    words[this.#at + TAIL] = row + 1;
  }

  #field(row: number, field: number): number {
    return this.#rowsAt + row * ROW_WORDS + field;
  }
}
