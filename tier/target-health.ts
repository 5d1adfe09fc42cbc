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
import { Backoff } from '../lib/backoff.ts';
import { LONG_AGO, later, type MonotonicMs, monotonicNow, msBetween } from '../lib/clock.ts';
import { RecentQuantile } from '../lib/recent-quantile.ts';
import type { LeftOutCause } from '../telemetry/left-out-causes.ts';
import { type Probe, Prober, type ProbeResult } from './prober.ts';

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
  /** Absent: the first request that is answered ends it. */
  readonly probing?: ProbingOptions | undefined;
}

/** Receiver of changes, for log and metrics. */
export interface HealthEvents {
  leftOut(target: string, cause: LeftOutCause, detail: string | undefined): void;
  readmitted(target: string, cause: LeftOutCause, afterMs: number): void;
}

/** A request that waits for the target's head. */
export interface Waiting {
  readonly since: MonotonicMs;
  /** The target was left out as it does not answer. */
  onSilence(): void;
  /** For the list of those that wait, alone. */
  before: Waiting | undefined;
  after: Waiting | undefined;
}

type State =
  | { readonly phase: 'healthy'; readonly since: MonotonicMs; failuresInARow: number }
  | { readonly phase: 'left out'; readonly since: MonotonicMs; readonly cause: LeftOutCause; until: MonotonicMs };

/** Causes that a probe finds, and so ends: there is no pause. */
const FOUND_BY_PROBES: ReadonlySet<LeftOutCause> = new Set(['silent', 'unreachable']);

export class TargetHealth {
  readonly name: string;
  /** Time from a request to the head of its response. */
  readonly headMs: RecentQuantile = new RecentQuantile(0.99);
  readonly #options: TargetHealthOptions;
  readonly #events: () => HealthEvents | undefined;
  readonly #pauses: Backoff;
  readonly #prober: Prober | undefined;
  #state: State = { phase: 'healthy', since: LONG_AGO, failuresInARow: 0 };
  /** True once probes of `first-request` have begun. */
  #isProbed = false;
  #goodProbes = 0;
  #badProbes = 0;
  #first: Waiting | undefined;
  #last: Waiting | undefined;

  constructor(options: TargetHealthOptions, events: () => HealthEvents | undefined = () => undefined) {
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
      onResult: (result, detail, now) => this.#probed(probing, result, detail, now),
    });
    if (probing.begins === 'at-once') this.#prober.start();
  }

  /** True if the target is asked only when no other is left. */
  get isLeftOut(): boolean {
    return this.#state.phase === 'left out';
  }

  get cause(): LeftOutCause | undefined {
    return this.#state.phase === 'left out' ? this.#state.cause : undefined;
  }

  /** The oldest request that waits for a head. */
  get oldest(): Waiting | undefined {
    return this.#first;
  }

  /** Sends a probe now, if it is one that is probed and none is on its way. */
  urgeProbe(): void {
    this.#prober?.urge();
  }

  /** Returns for how long a heartbeat has been waiting; `undefined` for a target that gets none. */
  probeWaitedMs(now: MonotonicMs): number | undefined {
    return this.#options.probing?.begins === 'at-once' ? this.#prober?.waitedMs(now) : undefined;
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

  /** A request was answered by the target itself, whatever it said. */
  succeeded(now: MonotonicMs): void {
    const state = this.#state;
    if (state.phase === 'healthy') state.failuresInARow = 0;
    // What only came late, or was in flight when the listener closed, says nothing about the next request.
    else if (!FOUND_BY_PROBES.has(state.cause)) this.#readmit(now);
  }

  /** A request failed through the target's fault. */
  failed(now: MonotonicMs): void {
    const state = this.#state;
    // Sent before the target was left out: it tells nothing new, and must not prolong the pause.
    if (state.phase === 'left out') return;
    state.failuresInARow++;
    if (state.failuresInARow >= this.#options.failures) this.leaveOut('failures', now);
  }

  leaveOut(cause: LeftOutCause, now: MonotonicMs, detail?: string): void {
    const state = this.#state;
    if (state.phase === 'left out') return;
    if (msBetween(state.since, now) > this.#options.maxPauseMs) this.#pauses.reset();
    const until = FOUND_BY_PROBES.has(cause) ? now : later(now, this.#pauses.next());
    this.#state = { phase: 'left out', since: now, cause, until };
    this.#goodProbes = 0;
    this.#badProbes = 0;
    this.#events()?.leftOut(this.name, cause, detail);
    if (this.#options.probing?.begins === 'left-out') this.#prober?.start();
    if (cause === 'silent') this.#moveWaiting();
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
    this.#events()?.readmitted(this.name, state.cause, msBetween(state.since, now));
    if (this.#options.probing?.begins === 'left-out') this.#prober?.stop();
  }

  /** Requests that wait go to the next target, as far as they may. */
  #moveWaiting(): void {
    const waiting: Waiting[] = [];
    for (let one = this.#first; one !== undefined; one = one.after) waiting.push(one);
    for (const one of waiting) one.onSilence();
  }

  /** A target that is probed only while it is left out is probed at the end of its pause. A failed probe is repeated at once. */
  #probeInMs({ begins, intervalMs }: ProbingOptions): number {
    const state = this.#state;
    if (state.phase === 'healthy') return this.#badProbes > 0 ? 0 : intervalMs();
    if (begins !== 'left-out') return intervalMs();
    return Math.max(intervalMs(), msBetween(monotonicNow(), state.until));
  }

  #probed(probing: ProbingOptions, result: ProbeResult, detail: string | undefined, now: MonotonicMs): void {
    const isGood = result === 'answered';
    this.#goodProbes = isGood ? this.#goodProbes + 1 : 0;
    this.#badProbes = isGood ? 0 : this.#badProbes + 1;
    const state = this.#state;
    if (state.phase === 'healthy') {
      if (this.#badProbes >= probing.unhealthyAfter) {
        this.leaveOut(result === 'silent' ? 'silent' : 'unreachable', now, detail);
      }
    } else if (now >= state.until) {
      if (!isGood && !FOUND_BY_PROBES.has(state.cause)) state.until = later(now, this.#pauses.next());
      else if (isGood && this.#goodProbes >= probing.healthyAfter) this.#readmit(now);
    }
  }
}
