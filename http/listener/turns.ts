/**
 * Turns of the event loop: what connections have sent at once is read in slices of time, so that others are answered
 * in between. A connection that has more than a slice continues in a later turn, one after the other.
 * @module
 */
import { earlierOf, LONG_AGO, later, type MonotonicMs, monotonicNow } from '../../lib/clock.ts';

/** Time slice of a connection before others get theirs. */
const SLICE_MS = 1;

/** Time limit for continued work in one turn. */
const TURN_MS = 5;

/**
 * A read of so many bytes may be followed by others at once: as much as a record of TLS holds, but for what it adds.
 */
const LARGE_BYTES = 16_000;

export class Turns {
  readonly #now: () => MonotonicMs;
  #queue: (() => void)[] = [];
  #at = 0;
  #isRunning = false;
  /** Time at which the first waiting connection was put off. */
  #waitingSince = LONG_AGO;
  /** Arrival time of the turn's first large read. */
  #largeSince: MonotonicMs | undefined;

  constructor(now: () => MonotonicMs = monotonicNow) {
    this.#now = now;
  }

  /**
   * While connections wait that have been stopped, all that begin to read have one slice together, from when the first
   * was stopped: else one that takes long, or the system giving the processor to another process, would cut in two what
   * all others have sent in that turn, and each would be answered by two writes.
   *
   * @param now - The current time, where the caller knows it.
   * @returns When the connection that begins to read now is to stop. Once it is over, after what it has begun.
   */
  sliceEnd(now: MonotonicMs = this.#now()): MonotonicMs {
    if (this.#isRunning) return later(now, SLICE_MS);
    const from = this.#largeSince ?? now;
    return later(this.#queue.length > 0 ? earlierOf(from, this.#waitingSince) : from, SLICE_MS);
  }

  /**
   * Takes note of a read. The system is asked for more at once after one that filled its buffer, up to 32 times (libuv,
   * `uv__read`): all large reads of a turn have one slice together, or each would have one.
   */
  hasRead(bytes: number): void {
    if (bytes < LARGE_BYTES || this.#largeSince !== undefined) return;
    this.#largeSince = this.#now();
    setImmediate(this.#endLarge);
  }

  readonly #endLarge = (): void => {
    this.#largeSince = undefined;
  };

  /** @param goOn - Called in a later turn. */
  later(goOn: () => void): void {
    this.#queue.push(goOn);
    if (this.#queue.length > 1 || this.#isRunning) return;
    this.#waitingSince = this.#now();
    setImmediate(this.#run);
  }

  readonly #run = (): void => {
    const end = later(this.#now(), TURN_MS);
    this.#isRunning = true;
    try {
      // Those that are put off again come after all others, and not in this turn.
      for (const { length } = this.#queue; this.#at < length && this.#now() < end; ) {
        (this.#queue[this.#at++] as () => void)();
      }
    } finally {
      this.#isRunning = false;
      if (this.#at === this.#queue.length || this.#at > MOST_PASSED) {
        this.#queue = this.#queue.slice(this.#at);
        this.#at = 0;
      }
      if (this.#queue.length > this.#at) setImmediate(this.#run);
    }
  };
}

/** Entries that are kept though they are done: a queue is not copied for each. */
const MOST_PASSED = 256;

/** Scheduler of this process. */
export const turns: Turns = new Turns();
