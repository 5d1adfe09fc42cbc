/**
 * Numbers of the texts that many records share, the same in all threads. A text is written behind the last one, then
 * counted; it is never changed. Each thread has a copy of what it has seen.
 *
 * Words: LOCK, WAITERS, COUNT, END of the last text; then for each text its END and its kind.
 * @module
 */
import { isLatin1 } from '../../http/fields/headers.ts';
import { MAX_LENGTH, type Texts, TextTable } from '../store/texts.ts';
import { MAX_TEXTS, type SharedMemory, TEXTS_HEAD } from './layout.ts';
import { StoreLock } from './store-lock.ts';
import type { Threads } from './threads.ts';

const COUNT = 2;
const [NAME, VALUE] = [0, 1] as const;

export class SharedTexts implements Texts {
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #bytes: Buffer;
  readonly #lock: StoreLock;
  readonly #thread: number;
  readonly #known = new TextTable();

  constructor({ control, texts }: SharedMemory, at: number, threads: Threads, thread: number) {
    this.#words = new Int32Array(control);
    this.#at = at;
    this.#bytes = Buffer.from(texts);
    this.#thread = thread;
    this.#lock = new StoreLock(this.#words, at, threads, () => undefined); // all that counts is COUNT
  }

  numberOfName(name: string): number | undefined {
    return this.#known.numberOf(name) ?? this.#add(name, NAME);
  }

  numberOfValue(name: number, value: string): number | undefined {
    if (!this.#hasCommonValues(name)) return undefined;
    return this.#known.numberOf(value) ?? this.#add(value, VALUE);
  }

  textOf(number: number): string {
    if (number >= this.#known.size) this.#learn();
    return this.#known.textOf(number);
  }

  #hasCommonValues(name: number): boolean {
    if (name >= this.#known.size) this.#learn();
    return this.#known.hasCommonValues(name);
  }

  #add(text: string, kind: number): number | undefined {
    if (text.length > MAX_LENGTH || !isLatin1(text)) return undefined;
    this.#learn();
    const known = this.#known.numberOf(text);
    if (known !== undefined || this.#known.isFull(kind === NAME)) return known;
    if (!this.#lock.acquire(this.#thread)) return undefined;
    try {
      this.#learn(); // another thread may have added it
      const added = this.#known.numberOf(text);
      if (added !== undefined || this.#known.isFull(kind === NAME)) return added;
      const number = this.#known.size;
      const from = this.#endOf(number - 1);
      this.#bytes.write(text, from, 'latin1');
      Atomics.store(this.#words, this.#wordOf(number), from + text.length);
      Atomics.store(this.#words, this.#wordOf(number) + 1, kind);
      Atomics.store(this.#words, this.#at + COUNT, number + 1);
      this.#learn();
      return number;
    } finally {
      this.#lock.release();
    }
  }

  /** Copies what other threads have added. */
  #learn(): void {
    const count = Math.min(MAX_TEXTS, Atomics.load(this.#words, this.#at + COUNT));
    for (let number = this.#known.size; number < count; number++) {
      const text = this.#bytes.toString('latin1', this.#endOf(number - 1), this.#endOf(number));
      if (Atomics.load(this.#words, this.#wordOf(number) + 1) === NAME) this.#known.addName(text);
      else this.#known.addValue(text);
    }
  }

  #endOf(number: number): number {
    return number < 0 ? 0 : Atomics.load(this.#words, this.#wordOf(number));
  }

  #wordOf(number: number): number {
    return this.#at + TEXTS_HEAD + 2 * number;
  }
}
