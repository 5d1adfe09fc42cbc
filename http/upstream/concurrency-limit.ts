/**
 * Number of requests that one server takes at a time (docs/adr/0027-overload.md).
 *
 * The limit is lowered only as long as that costs no throughput. It stands at its maximum until the server seems to
 * have too much to do: requests wait for a connection, or take several times as long as they did with fewer of them, or
 * fail. Then fewer are sent, and the good responses of a second counted: a server that answers as many has been given
 * too much, and the limit is lowered again; one that answers fewer gets back what it had, and is left alone for a
 * while. So a server is never held below what it can take for longer than one such trial.
 *
 *     open ── too much to do? ──▶ lowering ── fewer good responses ──▶ holding ◀── no more of them ── raising
 *      ▲                             │ ▲ as many: lower                  │ requests wait: more? ───────▲ │ more of them
 *      └──── fewer at once ──────────┘ └─┘            no request waits ──┴──▶ a higher limit, in the end open
 *
 * After the hill climbing of .NET's thread pool (Hellerstein, Morrison and Eilebrecht, 2008), with the suspicion of
 * Netflix's Gradient2.
 * @module
 */
import { LONG_AGO, later, type MonotonicMs, msBetween } from '../../lib/clock.ts';

/** A limit is not lowered further than this. */
const MIN_LIMIT = 8;

/** Shortest time that responses are counted for, and the fewest of them. */
const WINDOW_MS = 250;
const WINDOW_RESPONSES = 150;

/** Longest time, after which fewer responses do; still fewer say nothing. A high limit is lowered in a hurry. */
const MAX_WINDOW_MS = 5_000;
const MAX_HURRIED_WINDOW_MS = 2_000;
const MIN_RESPONSES = 20;

/**
 * Factors by which the limit is lowered and raised; it is halved where requests take very much longer than usual, and
 * as long as that gains a fifth of the responses.
 */
const LOWER = 0.7;
const HALVE = 0.5;
const GAINS = 1.2;
const RAISE = 1.25;

/** Share of the good responses that must be left with a lower limit: a server that takes more loses 30 %. */
const COSTS_NOTHING = 0.9;

/** Share of good responses that a higher limit must bring: a server that takes more gives 25 %. */
const BRINGS_MORE = 1.1;

/** Factor by which requests take longer that seem to wait in the server. */
const SLOW = 2;

/** The same while none waits here. */
const VERY_SLOW = 4;

/** Share of failed responses for which a server seems to have too much to do. */
const FAILING = 0.2;

/** Windows without a trial after one that brought nothing: twice as many after each, up to the most. */
const MIN_REST_WINDOWS = 2;
const MAX_REST_WINDOWS = 16;

/** Part of the best rate that is left after another window: the server, or what it is asked for, may have changed. */
const BEST_FADES = 0.98;

/** Pause after a trial that showed that the server takes more; it doubles up to the longest. */
const FIRST_PAUSE_MS = 10_000;
const MAX_PAUSE_MS = 320_000;

type Phase = 'open' | 'lowering' | 'holding' | 'raising';

/** Responses that were counted for a while. */
class Window {
  since = LONG_AGO;
  good = 0;
  failed = 0;
  /** Sum of the times of the good ones. */
  totalMs = 0;
  /** Sum of the requests in flight at each. */
  inFlight = 0;
  /** Responses at which requests waited. */
  waiting = 0;

  begin(now: MonotonicMs): void {
    this.since = now;
    this.good = 0;
    this.failed = 0;
    this.totalMs = 0;
    this.inFlight = 0;
    this.waiting = 0;
  }

  get responses(): number {
    return this.good + this.failed;
  }
}

export class ConcurrencyLimit {
  readonly #max: number;
  readonly #min: number;
  #value: number;
  #phase: Phase = 'open';
  readonly #window = new Window();
  /** True once requests in flight are no more than the limit, so that responses show what it does. */
  #hasSettled = true;
  /** Mean time of responses while the server had no more to do than it could; `undefined`: not known. */
  #usualMs: number | undefined;
  /** Good responses a second, and limit, before a trial. */
  #rateBefore = 0;
  #valueBefore: number;
  /** Most good responses a second since it was last open. */
  #bestRate = 0;
  /** True if the last trial of a server that is held was with a lower limit: the next one is with a higher. */
  #loweredLast = false;
  #restWindows = 0;
  /** Windows without a trial after the next one that brings nothing. */
  #nextRestWindows = MIN_REST_WINDOWS;
  #pauseMs = FIRST_PAUSE_MS;
  #noTrialUntil = LONG_AGO;

  constructor(max: number) {
    this.#max = max;
    this.#min = Math.min(max, MIN_LIMIT);
    this.#value = max;
    this.#valueBefore = max;
  }

  /** Requests that may be in flight. */
  get value(): number {
    return this.#value;
  }

  /**
   * Counts a response.
   *
   * @param ms - Time to its head.
   * @param isGood - Whether it is one that the server has succeeded at.
   * @param inFlight - Requests in flight, this one among them.
   * @param waits - Whether requests wait for a connection.
   */
  responded(ms: number, isGood: boolean, inFlight: number, waits: boolean, now: MonotonicMs): void {
    const window = this.#window;
    if (!this.#hasSettled) {
      if (inFlight > this.#value) return;
      this.#hasSettled = true;
      window.begin(now);
    }
    if (window.since === LONG_AGO) window.begin(now);
    if (isGood) {
      window.good++;
      window.totalMs += ms;
    } else window.failed++;
    window.inFlight += inFlight;
    if (waits) window.waiting++;
    const elapsedMs = msBetween(window.since, now);
    if (elapsedMs < WINDOW_MS) return;
    if (window.responses < WINDOW_RESPONSES && elapsedMs < this.#maxWindowMs(window)) return;
    this.#judge(window, elapsedMs, now);
    window.begin(now);
  }

  #maxWindowMs({ responses }: Window): number {
    const isHurried = this.#phase === 'open' || this.#phase === 'lowering';
    return isHurried && responses >= MIN_RESPONSES ? MAX_HURRIED_WINDOW_MS : MAX_WINDOW_MS;
  }

  #judge(window: Window, elapsedMs: number, now: MonotonicMs): void {
    const rate = (window.good * 1_000) / elapsedMs;
    const isWaitedFor = window.waiting >= window.responses / 2;
    if (window.responses < MIN_RESPONSES) {
      if (this.#phase !== 'open') this.#open(now); // it is hardly used, or takes seconds for each
      return;
    }
    this.#bestRate = Math.max(rate, this.#bestRate * BEST_FADES);
    switch (this.#phase) {
      case 'open':
        if (now >= this.#noTrialUntil && this.#seemsOverloaded(window, isWaitedFor)) {
          this.#bestRate = rate;
          const factor = isWaitedFor && this.#isSlow(window, VERY_SLOW) ? HALVE : LOWER;
          this.#lower(rate, Math.min(this.#value, window.inFlight / window.responses), factor);
        } else this.#learn(window, isWaitedFor);
        break;
      case 'lowering':
        if (!isWaitedFor) this.#hold();
        else if (rate >= this.#bestRate * COSTS_NOTHING) {
          this.#nextRestWindows = MIN_REST_WINDOWS;
          this.#lower(rate, this.#value, rate >= this.#rateBefore * GAINS ? HALVE : LOWER);
        } else if (this.#valueBefore >= this.#max) this.#open(now);
        else {
          this.#set(this.#valueBefore);
          this.#hold();
          this.#loweredLast = true; // it has just shown that it takes no less
        }
        break;
      case 'holding':
        if (isFailing(window)) this.#lower(rate, this.#value, LOWER);
        else if (!isWaitedFor) this.#raise(rate);
        else if (--this.#restWindows <= 0) {
          this.#loweredLast = !this.#loweredLast;
          if (this.#loweredLast) this.#lower(rate, this.#value, LOWER);
          else this.#raise(rate);
        }
        break;
      case 'raising':
        if (!isWaitedFor || rate >= this.#rateBefore * BRINGS_MORE) {
          this.#nextRestWindows = MIN_REST_WINDOWS;
          this.#raise(rate);
        } else {
          this.#set(this.#valueBefore);
          this.#hold();
        }
    }
  }

  #seemsOverloaded(window: Window, isWaitedFor: boolean): boolean {
    if (window.inFlight / window.responses < MIN_LIMIT) return false;
    if (isFailing(window)) return true;
    if (this.#usualMs === undefined) return isWaitedFor;
    return this.#isSlow(window, isWaitedFor ? SLOW : VERY_SLOW);
  }

  /** Returns whether responses take so many times as long as usual. */
  #isSlow(window: Window, times: number): boolean {
    return this.#usualMs !== undefined && window.totalMs / window.good > this.#usualMs * times;
  }

  /** Learns how long responses take; what takes longer is learned slowly. */
  #learn(window: Window, isWaitedFor: boolean): void {
    if (isWaitedFor || window.good === 0) return;
    const ms = window.totalMs / window.good;
    const usualMs = this.#usualMs;
    this.#usualMs = usualMs === undefined || ms < usualMs ? ms : usualMs + (ms - usualMs) * 0.02;
  }

  /** @param from - Requests in flight, of which this part is sent from now on. */
  #lower(rate: number, from: number, factor: number): void {
    const value = Math.max(this.#min, Math.floor(from * factor));
    if (value >= this.#value) {
      this.#hold();
      return;
    }
    this.#phase = 'lowering';
    this.#rateBefore = rate;
    this.#valueBefore = this.#value;
    this.#set(value);
  }

  #hold(): void {
    this.#phase = 'holding';
    this.#restWindows = this.#nextRestWindows;
    this.#nextRestWindows = Math.min(this.#nextRestWindows * 2, MAX_REST_WINDOWS);
    this.#pauseMs = FIRST_PAUSE_MS; // there is a limit: the suspicion was right
  }

  #raise(rate: number): void {
    this.#phase = 'raising';
    this.#rateBefore = rate;
    this.#valueBefore = this.#value;
    this.#set(Math.min(this.#max, Math.ceil(this.#value * RAISE)));
    if (this.#value >= this.#max) this.#phase = 'open';
  }

  /** The server takes as much as it may get. */
  #open(now: MonotonicMs): void {
    this.#phase = 'open';
    this.#set(this.#max);
    this.#noTrialUntil = later(now, this.#pauseMs);
    this.#pauseMs = Math.min(this.#pauseMs * 2, MAX_PAUSE_MS);
  }

  #set(value: number): void {
    this.#value = value;
    this.#hasSettled = false;
  }
}

function isFailing({ failed, responses }: Window): boolean {
  return failed >= responses * FAILING;
}
