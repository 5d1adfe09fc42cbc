/**
 * Numbers of the journal's histories, the same in all threads: a stored response has the number of the history that its
 * position is of (cache/ledger.ts), and the ledgers of other threads, of which one may have started later, have to know
 * which one that is.
 *
 * A table of the terms that were the last one of a history when a ledger began with it, or went on with it. There is
 * one for each start of the journal. When it is full, further terms get a number that no other thread has: what is
 * stored under it is revalidated before other threads use it.
 *
 * Words: COUNT, LAST, then LOW and HIGH of each term's hash and its NUMBER.
 * @module
 */
import type { Epochs } from '../ledger.ts';
import { KeyBytes } from '../store/key-bytes.ts';
import { EPOCH_TERMS } from './layout.ts';
import type { StoreLock } from './store-lock.ts';

const [COUNT, LAST, TERMS] = [0, 1, 2] as const;
const [LOW, HIGH, NUMBER, TERM_WORDS] = [0, 1, 2, 3] as const;

export class SharedEpochs implements Epochs {
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #lock: StoreLock;
  readonly #thread: number;

  constructor(words: Int32Array, at: number, lock: StoreLock, thread: number) {
    this.#words = words;
    this.#at = at;
    this.#lock = lock;
    this.#thread = thread;
  }

  begin(term: string | undefined): number {
    return term === undefined ? this.#next() : this.#of(term, () => this.#next());
  }

  goOn(epoch: number, term: string | undefined): number {
    return term === undefined ? epoch : this.#of(term, () => epoch);
  }

  #next(): number {
    return Atomics.add(this.#words, this.#at + LAST, 1) + 1;
  }

  /** @returns The number of the term; it gets one if it has none. */
  #of(term: string, numberOf: () => number): number {
    const words = this.#words;
    const { hash, hashHigh } = sought.set(term);
    if (!this.#lock.acquire(this.#thread)) return this.#next();
    try {
      const count = words[this.#at + COUNT] as number;
      for (let i = 0; i < count; i++) {
        const at = this.#at + TERMS + i * TERM_WORDS;
        if (words[at + LOW] === hash && words[at + HIGH] === hashHigh) return words[at + NUMBER] as number;
      }
      const number = numberOf();
      if (count === EPOCH_TERMS) return number;
      const at = this.#at + TERMS + count * TERM_WORDS;
      words[at + LOW] = hash;
      words[at + HIGH] = hashHigh;
      words[at + NUMBER] = number;
      Atomics.store(words, this.#at + COUNT, count + 1);
      return number;
    } finally {
      this.#lock.release();
    }
  }
}

const sought = new KeyBytes();
