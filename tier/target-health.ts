/**
 * Health of one target (an edge, a shield, an origin server): what its requests, and probes of this node's own, come to
 * decides whether it is asked. No visitor's request is a trial: a target that was left out is used again when its pause
 * is over and a probe was answered.
 *
 *     healthy ── cause ──▶ left out ── pause is over, and probes are answered ──▶ healthy, with a growing share
 *                             ▲                            │
 *                             └─── a probe fails, × 2 ─────┘
 *
 * After the circuit breaker of Nygard, "Release It!" (2007), and Envoy's outlier detection.
 * @module
 */
import type { Priority } from '../http/fields/priority.ts';
import type { UpstreamLoad } from '../http/upstream/connection-shares.ts';
import type { ShedReason } from '../http/upstream/shedding.ts';
import { Backoff } from '../lib/backoff.ts';
import { LONG_AGO, later, type MonotonicMs, monotonicNow, msBetween } from '../lib/clock.ts';
import { RecentQuantile } from '../lib/recent-quantile.ts';
import type { LeftOutCause } from '../telemetry/left-out-causes.ts';
import { type Probe, type ProbeResult, Prober } from './prober.ts';

export interface ProbingOptions {
  readonly probe: Probe;
  /** Beginning of the probes, which then go on; those of `left-out` end when the target is used again. */
  readonly begins: 'at-once' | 'first-request' | 'left-out';
  readonly intervalMs: () => number;
  readonly timeoutMs: () => number;
  /** Failed probes in a row for which the target is left out. */
  readonly unhealthyAfter: number;
  /** Answered probes in a row after which it is used again. */
  readonly healthyAfter: number;
}

export interface TargetHealthOptions {
  readonly name: string;
  /** Failed requests in a row for which the target is left out. */
  readonly failures: number;
  /** First pause after failed requests; it doubles up to the longest while probes fail, or it fails again soon. */
  readonly firstPauseMs: number;
  readonly maxPauseMs: number;
  /** The other servers of an origin; absent: what a response says is not the target's fault. */
  readonly siblings?: (() => Iterable<TargetHealth>) | undefined;
  /** Requests in flight and waiting; absent where they are not reported. */
  readonly load?: (() => UpstreamLoad) | undefined;
  /** Absent: the first request that is answered ends it. */
  readonly probing?: ProbingOptions | undefined;
  /** Called when requests that wait go elsewhere, and for as long as probes are not answered. */
  readonly onSilence?: () => void;
}

export type HedgeResult = 'won' | 'lost' | 'refused';

/** Reasons for which a request is sent to another target. */
export type RetryCause = 'failed' | 'silent' | 'late' | 'status' | 'body';

/** Receiver of changes, for log and metrics. */
export interface HealthEvents {
  /** @param isNew - The target has not answered since the process started: it may not run yet. */
  leftOut(target: string, cause: LeftOutCause, detail: string | undefined, isNew: boolean): void;
  readmitted(target: string, cause: LeftOutCause, afterMs: number): void;
  /** `won`: the second target answered first; `refused`: the budget did not allow it. */
  hedged(result: HedgeResult): void;
  retried(cause: RetryCause): void;
  /** A request was refused that would have had to wait for a connection. */
  shed(target: string, reason: ShedReason, priority: Priority): void;
  sheddingBegan(target: string, load: UpstreamLoad): void;
  sheddingEnded(target: string, count: number, ms: number): void;
}

/** A request that waits for the target's head. */
export interface Waiting {
  readonly since: MonotonicMs;
  /** The target was left out as it does not answer. */
  onSilence(): void;
  /** A probe takes longer than it does: the target may hang. */
  onLate(): void;
  /** It has waited for longer than nearly all others. */
  onOverdue(): void;
  /** For the list of those that wait, alone, as are the next two. */
  isReviewed: boolean;
  before: Waiting | undefined;
  after: Waiting | undefined;
}

type State =
  | { readonly phase: 'healthy'; readonly since: MonotonicMs; failuresInARow: number }
  | { readonly phase: 'left out'; readonly since: MonotonicMs; readonly cause: LeftOutCause; until: MonotonicMs };

/**
 * A request is overdue after the time that 99 of 100 take, and after this at least. A node is sent a heartbeat when a
 * request has waited for so long.
 */
const MIN_OVERDUE_MS = 50;

/** The same while that time is not known. */
const UNKNOWN_OVERDUE_MS = 1_000;

/** Time without an answer to any request before which a target does not hang. */
const MIN_STILL_MS = 100;

/** Requests in a row that another server answered first, for which a target is left out. */
const SLOW_IN_A_ROW = 3;

/** Errors within the window for which a target may be left out, if they are half of its responses. */
const MIN_ERRORS = 5;

/** Longest pause that a server may ask for. */
const MAX_RETRY_AFTER_MS = 60_000;

/** Smallest share of a server's requests after it was left out. */
const MIN_SHARE = 0.1;

/** Causes that a probe finds, and so ends: there is no pause. */
const FOUND_BY_PROBES: ReadonlySet<LeftOutCause> = new Set(['silent', 'unreachable']);

/** Causes that an answered request refutes; of the others, one says too little. */
const ENDED_BY_ANSWERS: ReadonlySet<LeftOutCause> = new Set(['failures']);

/** Time that a generation of responses is counted for. */
const GENERATION_MS = 5_000;

/** Good and bad responses of the last five to ten seconds. */
class ResponseWindow {
  #since = LONG_AGO;
  #good = 0;
  #bad = 0;
  #goodBefore = 0;
  #badBefore = 0;

  add(isError: boolean, now: MonotonicMs): void {
    this.#turn(now);
    if (isError) this.#bad++;
    else this.#good++;
  }

  /** A good response turned out not to be one. */
  takeBack(now: MonotonicMs): void {
    this.#turn(now);
    if (this.#good > 0) this.#good--;
    else if (this.#goodBefore > 0) this.#goodBefore--;
  }

  clear(): void {
    this.#since = LONG_AGO;
    this.#good = 0;
    this.#bad = 0;
  }

  /** @param least - Errors below which the share is 0. */
  errorShare(now: MonotonicMs, least = 1): number {
    this.#turn(now);
    const bad = this.#bad + this.#badBefore;
    return bad < least ? 0 : bad / (bad + this.#good + this.#goodBefore);
  }

  #turn(now: MonotonicMs): void {
    const elapsed = msBetween(this.#since, now);
    if (elapsed < GENERATION_MS) return;
    this.#goodBefore = elapsed < 2 * GENERATION_MS ? this.#good : 0;
    this.#badBefore = elapsed < 2 * GENERATION_MS ? this.#bad : 0;
    this.#good = 0;
    this.#bad = 0;
    this.#since = now;
  }
}

export class TargetHealth {
  readonly name: string;
  /** Time from a request to the head of its response. */
  readonly headMs: RecentQuantile = new RecentQuantile(0.99);
  readonly #options: TargetHealthOptions;
  readonly #events: () => HealthEvents | undefined;
  readonly #onWaiting: () => void;
  readonly #pauses: Backoff;
  readonly #prober: Prober | undefined;
  #isLate = false;
  #hasAnswered = false;
  /** Time of the last answer to a request. */
  #answeredAt = LONG_AGO;
  #state: State = { phase: 'healthy', since: LONG_AGO, failuresInARow: 0 };
  /** True once probes of `first-request` have begun. */
  #isProbed = false;
  readonly #responses = new ResponseWindow();
  #slowInARow = 0;
  #goodProbes = 0;
  #badProbes = 0;
  #first: Waiting | undefined;
  #last: Waiting | undefined;

  /**
   * @param events - Receiver of changes at the time.
   * @param onWaiting - Called for each request that waits, so that `review` is called from time to time.
   */
  constructor(
    options: TargetHealthOptions,
    events: () => HealthEvents | undefined = () => undefined,
    onWaiting: () => void = () => undefined,
  ) {
    this.#onWaiting = onWaiting;
    this.name = options.name;
    this.#options = options;
    this.#events = events;
    this.#pauses = new Backoff({ firstMs: options.firstPauseMs, maxMs: options.maxPauseMs });
    const { probing } = options;
    if (probing === undefined) return;
    this.#prober = new Prober({
      probe: probing.probe,
      intervalMs: () => this.#probeInMs(probing),
      timeoutMs: probing.timeoutMs,
      onLate: (now) => this.#late(now),
      measures: () => !this.isLeftOut,
      onResult: (result, detail, now) => this.#probed(probing, result, detail, now),
    });
    if (probing.begins === 'at-once') this.#prober.start();
  }

  /** True if the target is asked only when no other is left. */
  get isLeftOut(): boolean {
    return this.#state.phase === 'left out';
  }

  /** True while a probe takes longer than it does: another target is asked, if there is one as good. */
  get isLate(): boolean {
    return this.#isLate;
  }

  get cause(): LeftOutCause | undefined {
    return this.#state.phase === 'left out' ? this.#state.cause : undefined;
  }

  get load(): UpstreamLoad | undefined {
    return this.#options.load?.();
  }

  get hasWaiting(): boolean {
    return this.#first !== undefined;
  }

  /** Sends a heartbeat to a node for which a request waits: the node is asked, and not what it waits for itself. */
  reviewNode(now: MonotonicMs): void {
    if (this.#options.probing?.begins !== 'at-once' || this.#first === undefined) return;
    if (msBetween(this.#first.since, now) > MIN_OVERDUE_MS) this.#prober?.urge(now);
  }

  /** Calls `onOverdue` of those that have waited for longer than nearly all requests; nodes get heartbeats instead. */
  review(now: MonotonicMs): void {
    if (this.#options.probing?.begins === 'at-once') return;
    const overdueMs = Math.max(MIN_OVERDUE_MS, this.headMs.value ?? UNKNOWN_OVERDUE_MS);
    for (let one = this.#first; one !== undefined && msBetween(one.since, now) > overdueMs; ) {
      const { after } = one; // it may leave the list
      if (!one.isReviewed) {
        one.isReviewed = true;
        one.onOverdue();
      }
      one = after;
    }
  }

  /**
   * Part of its weight that a server gets, from a tenth to all of it, while it is used again.
   *
   * @param slowStartMs - Time until it gets all.
   */
  shareAt(now: MonotonicMs, slowStartMs: number): number {
    if (this.#state.since === LONG_AGO) return 1;
    const elapsed = msBetween(this.#state.since, now);
    return elapsed >= slowStartMs ? 1 : Math.max(MIN_SHARE, elapsed / slowStartMs);
  }

  /** Notes a request that waits for the head; `settled` ends it. */
  waits(one: Waiting): void {
    if (!this.#isProbed && this.#options.probing?.begins === 'first-request') {
      this.#isProbed = true;
      this.#prober?.start();
    }
    one.before = this.#last;
    if (this.#last === undefined) this.#first = one;
    else this.#last.after = one;
    this.#last = one;
    this.#onWaiting();
  }

  /** The request waits no more. Idempotent. */
  settled(one: Waiting): void {
    const { before, after } = one;
    if (before === undefined && this.#first !== one) return;
    if (before === undefined) this.#first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    one.before = undefined;
    one.after = undefined;
  }

  /**
   * A request was answered by the target itself.
   *
   * @param isError - Whether the response says that the server failed.
   */
  succeeded(now: MonotonicMs, isError = false): void {
    this.#hasAnswered = true;
    this.#answeredAt = now;
    this.#isLate = false;
    const state = this.#state;
    if (state.phase === 'healthy') {
      state.failuresInARow = 0;
      this.#slowInARow = 0;
      if (this.#options.siblings !== undefined) this.#responded(isError, now);
      return;
    }
    const isRefuted =
      ENDED_BY_ANSWERS.has(state.cause) || (this.#prober === undefined && !FOUND_BY_PROBES.has(state.cause));
    if (!isError && isRefuted) this.#readmit(now);
  }

  /** A body broke off, after a head that was noted as an answer. */
  brokeOff(now: MonotonicMs): void {
    if (this.#options.siblings === undefined || this.isLeftOut) return;
    this.#responses.takeBack(now);
    this.#responded(true, now);
  }

  /** Another server has answered a request that still waits here. */
  wasSlow(now: MonotonicMs): void {
    if (++this.#slowInARow >= SLOW_IN_A_ROW && this.#hasBetter()) this.leaveOut('slow', now);
  }

  /** A 503 asks for a pause. */
  asksForPause(ms: number, now: MonotonicMs): void {
    if (this.isLeftOut || !this.#hasBetter()) return;
    this.leaveOut('retry_after', now);
    if (this.#state.phase === 'left out') this.#state.until = later(now, Math.min(ms, MAX_RETRY_AFTER_MS));
  }

  #responded(isError: boolean, now: MonotonicMs): void {
    this.#responses.add(isError, now);
    if (!isError) return;
    const share = this.#responses.errorShare(now, MIN_ERRORS);
    if (share >= 0.5 && this.#hasBetter(share, now)) this.leaveOut('errors', now);
  }

  /** Returns whether another server is used, of whose responses less than half as many are errors. */
  #hasBetter(share?: number, now?: MonotonicMs): boolean {
    for (const other of this.#options.siblings?.() ?? []) {
      if (other === this || other.isLeftOut) continue;
      if (share === undefined || now === undefined || other.#responses.errorShare(now) < share / 2) return true;
    }
    return false;
  }

  /** A request failed through the target's fault. */
  failed(now: MonotonicMs): void {
    const state = this.#state;
    // Sent before the target was left out: it tells nothing new, and must not prolong the pause.
    if (state.phase === 'left out') return;
    state.failuresInARow++;
    if (this.#options.siblings !== undefined) this.#responded(true, now);
    if (state.failuresInARow >= this.#options.failures) this.leaveOut('failures', now);
  }

  leaveOut(cause: LeftOutCause, now: MonotonicMs, detail?: string): void {
    const state = this.#state;
    if (state.phase === 'left out') return;
    if (msBetween(state.since, now) > this.#options.maxPauseMs) this.#pauses.reset();
    const until = FOUND_BY_PROBES.has(cause) ? now : later(now, this.#pauses.next());
    this.#state = { phase: 'left out', since: now, cause, until };
    this.#isLate = false;
    this.#goodProbes = 0;
    this.#badProbes = 0;
    this.#events()?.leftOut(this.name, cause, detail, !this.#hasAnswered);
    if (this.#options.probing?.begins === 'left-out') this.#prober?.start();
    if (cause === 'silent' || cause === 'slow') this.#moveWaiting();
  }

  /** Ends the probes. */
  close(): void {
    this.#prober?.close();
  }

  #readmit(now: MonotonicMs): void {
    const state = this.#state;
    if (state.phase === 'healthy') return;
    this.#state = { phase: 'healthy', since: now, failuresInARow: 0 };
    this.#badProbes = 0;
    this.#slowInARow = 0;
    this.#responses.clear();
    this.#events()?.readmitted(this.name, state.cause, msBetween(state.since, now));
    if (this.#options.probing?.begins === 'left-out') this.#prober?.stop();
  }

  /** Requests that wait go to the next target, as far as they may. */
  #moveWaiting(): void {
    for (const one of this.#waiting()) one.onSilence();
    this.#options.onSilence?.();
  }

  /** One that answers requests meanwhile has much to do, and does not hang: to ask others as well would be worse. */
  #late(now: MonotonicMs): void {
    if (this.isLeftOut || this.#isLate || msBetween(this.#answeredAt, now) < MIN_STILL_MS) return;
    this.#isLate = true;
    for (const one of this.#waiting()) one.onLate();
  }

  /** Returns those that wait now; they may leave the list. */
  #waiting(): Waiting[] {
    const waiting: Waiting[] = [];
    for (let one = this.#first; one !== undefined; one = one.after) waiting.push(one);
    return waiting;
  }

  /**
   * A target that is probed only while it is left out is probed at the end of its pause. A failed probe is repeated at
   * once.
   */
  #probeInMs({ begins, intervalMs }: ProbingOptions): number {
    const state = this.#state;
    if (state.phase === 'healthy') return this.#badProbes > 0 ? 0 : intervalMs();
    if (begins !== 'left-out') return intervalMs();
    return Math.max(intervalMs(), msBetween(monotonicNow(), state.until));
  }

  #probed(probing: ProbingOptions, result: ProbeResult, detail: string | undefined, now: MonotonicMs): void {
    // A node that answers requests does not hang, however long its heartbeat waits in the queue with them.
    const isAlive = probing.begins === 'at-once' && msBetween(this.#answeredAt, now) < probing.timeoutMs();
    if (result === 'silent' && isAlive) return;
    const isGood = result === 'answered';
    if (isGood) {
      this.#isLate = false;
      this.#hasAnswered = true;
    }
    this.#goodProbes = isGood ? this.#goodProbes + 1 : 0;
    this.#badProbes = isGood ? 0 : this.#badProbes + 1;
    const state = this.#state;
    if (state.phase === 'healthy') {
      if (this.#badProbes >= probing.unhealthyAfter) {
        this.leaveOut(result === 'silent' ? 'silent' : 'unreachable', now, detail);
      }
    } else {
      if (result === 'silent') this.#options.onSilence?.(); // one more body may have stopped meanwhile
      if (now < state.until) return;
      if (!isGood && !FOUND_BY_PROBES.has(state.cause)) state.until = later(now, this.#pauses.next());
      else if (isGood && this.#goodProbes >= probing.healthyAfter) this.#readmit(now);
    }
  }
}
