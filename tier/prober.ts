/**
 * Requests of this node's own by which it learns whether a target answers: heartbeats to other nodes, checks of origin
 * servers. One is on its way at a time.
 * @module
 */
import { type MonotonicMs, monotonicNow, msBetween } from '../lib/clock.ts';

/** Result of a probe. */
export type ProbeResult =
  | 'answered'
  /** No response within the time limit. */
  | 'silent'
  /** It was refused, reset, or answered badly. */
  | 'failed';

/**
 * Sends one probe.
 *
 * @param done - Called at most once, and never before the function returns. Not called: the probe is silent.
 * @returns Gives the probe up.
 */
export type Probe = (done: (isGood: boolean, detail?: string) => void) => () => void;

export interface ProberOptions {
  readonly probe: Probe;
  /** Asked before each pause; the pause is up to a tenth shorter or longer, so that nodes do not probe in step. */
  readonly intervalMs: () => number;
  readonly timeoutMs: () => number;
  readonly onResult: (result: ProbeResult, detail: string | undefined, now: MonotonicMs) => void;
  /** From 0 to below 1; `Math.random` but for tests. */
  readonly random?: () => number;
}

/**
 * The time limit is waited for in so many steps. One that ends late shows that this process has too much to do, or
 * stood still: the answer may be there, unread. It does not count.
 */
const STEPS = 6;

/** A step is late if it takes this many times its length. */
const LATE = 1.5;

/** Late steps, at most: a process that is always late has to call a target silent at some time. */
const MAX_LATE_STEPS = 24;

/** Steps of a time limit that are left. */
interface Patience {
  readonly stepMs: number;
  readonly left: number;
  readonly lateLeft: number;
}

export class Prober {
  readonly #options: ProberOptions;
  #timer: NodeJS.Timeout | undefined;
  #sentAt: MonotonicMs | undefined;
  #giveUp: (() => void) | undefined;
  #isStopped = true;
  #isClosed = false;

  constructor(options: ProberOptions) {
    this.#options = options;
  }

  /** Begins; the first probe is sent after a pause. */
  start(): void {
    if (this.#isClosed) return;
    this.#isStopped = false;
    this.#pause(this.#options.intervalMs());
  }

  /** Sends a probe now, unless one is on its way. */
  urge(): void {
    if (this.#sentAt === undefined && !this.#isClosed) this.#send();
  }

  /** Returns for how long a probe has been on its way; 0 if none is. */
  waitedMs(now: MonotonicMs): number {
    return this.#sentAt === undefined ? 0 : msBetween(this.#sentAt, now);
  }

  /** Sends none until it is started again. */
  stop(): void {
    this.#isStopped = true;
    this.#end();
  }

  close(): void {
    this.#isClosed = true;
    this.#end();
  }

  #pause(ms: number): void {
    clearTimeout(this.#timer);
    const { random = Math.random } = this.#options;
    this.#timer = setTimeout(() => this.#send(), ms * (0.9 + 0.2 * random())).unref();
  }

  #send(): void {
    const sentAt = monotonicNow();
    this.#sentAt = sentAt;
    this.#wait(sentAt, { stepMs: this.#options.timeoutMs() / STEPS, left: STEPS, lateLeft: MAX_LATE_STEPS });
    const giveUp = this.#options.probe((isGood, detail) => {
      if (this.#sentAt === sentAt) this.#finish(isGood ? 'answered' : 'failed', detail);
    });
    if (this.#sentAt === sentAt) this.#giveUp = giveUp;
    else giveUp();
  }

  #wait(sentAt: MonotonicMs, { stepMs, left, lateLeft }: Patience): void {
    const startedAt = monotonicNow();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      // What has arrived meanwhile is read in between.
      setImmediate(() => {
        if (this.#sentAt !== sentAt) return;
        const isLate = msBetween(startedAt, monotonicNow()) > stepMs * LATE && lateLeft > 0;
        if (!isLate && left === 1) this.#finish('silent', undefined);
        else this.#wait(sentAt, { stepMs, left: isLate ? left : left - 1, lateLeft: isLate ? lateLeft - 1 : lateLeft });
      });
    }, stepMs).unref();
  }

  #finish(result: ProbeResult, detail: string | undefined): void {
    this.#end();
    this.#options.onResult(result, detail, monotonicNow());
    if (!this.#isStopped && !this.#isClosed && this.#timer === undefined) this.#pause(this.#options.intervalMs());
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#sentAt = undefined;
    this.#giveUp?.();
    this.#giveUp = undefined;
  }
}
