/**
 * Passive health of one target (an edge, a shield, an origin server): what its
 * requests came to decides whether it is asked again.
 *
 *     closed ── failures in a row ──▶ open ── pause is over ──▶ half-open
 *       ▲                              ▲                            │
 *       │                              └── trial fails, pause × 2 ──┤
 *       └───────────────────────────────────────── any success ─────┘
 *
 * Named after the circuit breaker of Nygard, "Release It!" (2007).
 * @module
 */

import { Backoff } from '../lib/backoff.ts';
import { later, type MonotonicMs } from '../lib/clock.ts';

export interface BreakerOptions {
  /** Failures in a row that open the breaker. */
  readonly failures: number;
  /** First pause of a failing target, and the time that a trial may take before the next one. */
  readonly firstPauseMs: number;
  /** The pause doubles with each trial that fails, up to this. */
  readonly maxPauseMs: number;
}

type State =
  | { readonly phase: 'closed'; readonly failuresInARow: number }
  | { readonly phase: 'open'; readonly until: MonotonicMs }
  | { readonly phase: 'half-open'; readonly nextTrialAt: MonotonicMs };

const HEALTHY: State = { phase: 'closed', failuresInARow: 0 };

export class Breaker {
  readonly #options: BreakerOptions;
  readonly #pauses: Backoff;
  #state: State = HEALTHY;

  constructor(options: BreakerOptions) {
    this.#options = options;
    this.#pauses = new Backoff({ firstMs: options.firstPauseMs, maxMs: options.maxPauseMs });
  }

  /** True from the last failure in a row until a success. */
  get open(): boolean {
    return this.#state.phase !== 'closed';
  }

  /**
   * Returns whether a request may be sent now. Ask only when it will be: once the pause is over, the first to ask takes
   * the trial, and every other request is refused until it reports back, or for `firstPauseMs` if it never does.
   */
  allows(now: MonotonicMs): boolean {
    const state = this.#state;
    switch (state.phase) {
      case 'closed':
        return true;
      case 'open':
        if (now < state.until) return false;
        break;
      case 'half-open':
        if (now < state.nextTrialAt) return false;
        break;
    }
    this.#state = { phase: 'half-open', nextTrialAt: later(now, this.#options.firstPauseMs) };
    return true;
  }

  /** A request was answered. Whichever it was, a target that answers is a target to ask. */
  succeeded(): void {
    this.#state = HEALTHY;
    this.#pauses.reset();
  }

  /** A request failed through the target's fault. */
  failed(now: MonotonicMs): void {
    const state = this.#state;
    const { failures } = this.#options;
    switch (state.phase) {
      case 'closed': {
        const failuresInARow = state.failuresInARow + 1;
        if (failuresInARow < failures) this.#state = { phase: 'closed', failuresInARow };
        else this.#pause(now);
        break;
      }
      case 'half-open':
        this.#pause(now);
        break;
      case 'open':
        // Sent before the breaker opened: it tells nothing new, and must not prolong the pause.
        break;
    }
  }

  #pause(now: MonotonicMs): void {
    this.#state = { phase: 'open', until: later(now, this.#pauses.next()) };
  }
}
