/**
 * Requests of this node's own by which it learns whether a target answers: heartbeats to other nodes, checks of origin
 * servers. One is on its way at a time.
 * @module
 */
import { LONG_AGO, type MonotonicMs, monotonicNow, msBetween } from '../lib/clock.ts';
import { RoundTrip } from '../lib/round-trip.ts';

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
  /** Called when an answer takes longer than answers do, and again while it does; `onResult` follows. */
  readonly onLate?: (now: MonotonicMs) => void;
  /** Returns whether an answer tells how long answers take: those of a target that has just hung do not. */
  readonly measures?: () => boolean;
  readonly onResult: (result: ProbeResult, detail: string | undefined, now: MonotonicMs) => void;
  /** From 0 to below 1; `Math.random` but for tests. */
  readonly random?: () => number;
}

/**
 * The time limit is waited for in so many steps. One that ends late shows that this process has too much to do, or
 * stood still: the answer may be there, unread. It does not count.
 */
const STEPS = 6;

/** No answer is late before this: an event loop may stand still for as long in passing. */
const MIN_LATE_MS = 100;

/** Pause between two probes, if they are urged. */
const MIN_PAUSE_MS = 100;

/** A step is late if it takes this many times its length. */
const LATE = 1.5;

/** Late steps, at most: a process that is always late has to call a target silent at some time. */
const MAX_LATE_STEPS = 24;

/** Steps of a time limit that are left. */
interface Patience {
  readonly stepMs: number;
  readonly left: number;
  readonly lateLeft: number;
  /** Length of the steps behind this one, which ends when the answer is late; absent: it has ended, or is not known. */
  readonly lateThenMs?: number;
  /** True if it is known how long answers take. */
  readonly canBeLate: boolean;
}

export class Prober {
  readonly #options: ProberOptions;
  #timer: NodeJS.Timeout | undefined;
  #sentAt: MonotonicMs | undefined;
  #lastSentAt = LONG_AGO;
  readonly #roundTrip = new RoundTrip();
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

  /** Sends a probe now, unless one is on its way or was sent just now. */
  urge(now: MonotonicMs): void {
    if (this.#sentAt !== undefined || this.#isClosed || msBetween(this.#lastSentAt, now) < MIN_PAUSE_MS) return;
    this.#send();
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
    this.#lastSentAt = sentAt;
    this.#wait(sentAt, this.#patience());
    const giveUp = this.#options.probe((isGood, detail) => {
      if (this.#sentAt !== sentAt) return;
      if (isGood && this.#options.measures?.() !== false) {
        this.#roundTrip.observe(msBetween(sentAt, monotonicNow()), MIN_LATE_MS);
      }
      this.#finish(isGood ? 'answered' : 'failed', detail);
    });
    if (this.#sentAt === sentAt) this.#giveUp = giveUp;
    else giveUp();
  }

  #patience(): Patience {
    const timeoutMs = this.#options.timeoutMs();
    const whole = { stepMs: timeoutMs / STEPS, left: STEPS, lateLeft: MAX_LATE_STEPS, canBeLate: false };
    const lateMs = Math.max(MIN_LATE_MS, this.#roundTrip.lateAfterMs ?? timeoutMs);
    if (lateMs >= timeoutMs) return whole;
    return { ...whole, stepMs: lateMs, lateThenMs: (timeoutMs - lateMs) / (STEPS - 1), canBeLate: true };
  }

  #wait(sentAt: MonotonicMs, patience: Patience): void {
    const { stepMs, left, lateLeft, lateThenMs, canBeLate } = patience;
    const startedAt = monotonicNow();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      // What has arrived meanwhile is read in between.
      setImmediate(() => {
        if (this.#sentAt !== sentAt) return;
        // That the answer is late is no more than a suspicion: what has arrived by now is read, and that is enough.
        const isLate = lateThenMs === undefined && msBetween(startedAt, monotonicNow()) > stepMs * LATE && lateLeft > 0;
        if (isLate) {
          this.#wait(sentAt, { ...patience, lateLeft: lateLeft - 1 });
          return;
        }
        if (canBeLate) this.#options.onLate?.(monotonicNow());
        if (left === 1) this.#finish('silent', undefined);
        else this.#wait(sentAt, { stepMs: lateThenMs ?? stepMs, left: left - 1, lateLeft, canBeLate });
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
