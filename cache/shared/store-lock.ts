/**
 * Lock of writers: the token of the thread that holds it, 0 for none. It is held for microseconds,
 * never across an await.
 *
 * A thread may end while it holds it. Then either the thread that supervises (SharedStore.ended) or one that waits
 * takes the lock over, and repairs what it guards first.
 * @module
 */
import { LOCK, WAITERS } from './layout.ts';
import type { Threads } from './threads.ts';

/** Attempts before a thread sleeps. */
const SPINS = 100;

/** Sleep between checks of whether the holder has ended. */
const SLEEP_MS = 2;

/** Time for which a thread waits: longer than the supervisor takes to see that a thread has ended. */
const PATIENCE_MS = 1_000;

/** Token that stands for the thread that supervises, which never waits. */
export const SUPERVISOR = -1;

export class StoreLock {
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #threads: Threads;
  readonly #repair: () => void;

  /** @param at - Of LOCK and WAITERS. @param repair - Called with the lock, when its last holder has ended with it. */
  constructor(words: Int32Array, at: number, threads: Threads, repair: () => void) {
    this.#words = words;
    this.#at = at;
    this.#threads = threads;
    this.#repair = repair;
  }

  /** @returns False if the lock was not to be had for a second. */
  acquire(thread: number): boolean {
    const [words, at] = [this.#words, this.#at + LOCK];
    for (let i = 0; i < SPINS; i++) if (this.tryAcquire(thread)) return true;
    Atomics.add(words, this.#at + WAITERS, 1);
    try {
      for (let slept = 0; slept < PATIENCE_MS; slept += SLEEP_MS) {
        const holder = Atomics.compareExchange(words, at, 0, thread);
        if (holder === 0 || this.takeOver(holder, thread)) return true;
        Atomics.wait(words, at, holder, SLEEP_MS);
      }
      return false;
    } finally {
      Atomics.sub(words, this.#at + WAITERS, 1);
    }
  }

  release(): void {
    Atomics.store(this.#words, this.#at + LOCK, 0);
    // A thread that has ended asleep counts as one that waits for ever: that costs a call, and nothing else.
    if (Atomics.load(this.#words, this.#at + WAITERS) > 0) Atomics.notify(this.#words, this.#at + LOCK, 1);
  }

  /** Takes the lock if no thread has it. */
  tryAcquire(thread: number): boolean {
    return Atomics.compareExchange(this.#words, this.#at + LOCK, 0, thread) === 0;
  }

  get holder(): number {
    return Atomics.load(this.#words, this.#at + LOCK);
  }

  /** Takes the lock from a holder that has ended, and repairs what it guards. @returns Whether it has the lock now. */
  takeOver(holder: number, thread: number): boolean {
    if (holder <= 0 || !this.#threads.hasEnded(holder)) return false;
    if (Atomics.compareExchange(this.#words, this.#at + LOCK, holder, thread) !== holder) return false;
    this.#repair();
    return true;
  }
}
