/**
 * Share of its visitors that an overloaded region sheds: its edges' visitor requests, as counted in /metrics, against
 * its capacity.
 *
 * The share changes in small steps: DNS answers are cached, so visitors follow late, and large steps would oscillate.
 * @module
 */
import type { Dispatcher } from 'undici';
import { type MonotonicMs, msBetween } from '../lib/clock.ts';

/** Fraction of the excess that is shed per measurement. */
const GAIN = 0.2;
/** Below this share of the capacity visitors come back. */
const ROOM = 0.9;
/** In how many steps a region sheds: smaller changes are not published. */
const STEPS = 50;
const MAX_SHED = 0.95;
const TIMEOUT_MS = 2_000;
const MAX_METRICS_BYTES = 4 * 2 ** 20;

export class Overload {
  /** Requests a second. */
  capacity: number;
  #shed = 0;
  #last: { readonly requests: number; readonly at: MonotonicMs; readonly edges: number } | undefined;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** From 0 to 1. */
  get shed(): number {
    return Math.round(this.#shed * STEPS) / STEPS;
  }

  /**
   * Counts anew.
   *
   * @param addresses - Of the edges' control listeners, as far as they can be reached.
   * @returns Never rejects; an edge that does not tell counts for nothing.
   */
  async measure(dispatcher: Dispatcher, addresses: readonly (string | undefined)[], now: MonotonicMs): Promise<void> {
    const counts = await Promise.all(addresses.map((address) => countedBy(dispatcher, address)));
    const reported = counts.filter((count) => count !== undefined);
    const requests = reported.reduce((sum, count) => sum + count, 0);
    const before = this.#last;
    this.#last = { requests, at: now, edges: reported.length };
    // An edge that came, went or began anew makes the difference mean nothing.
    if (before === undefined || before.edges !== reported.length || requests < before.requests || now <= before.at)
      return;
    this.observe(((requests - before.requests) * 1_000) / msBetween(before.at, now));
  }

  /** @param rate - Requests a second. */
  observe(rate: number): void {
    const load = rate / this.capacity;
    if (load > 1) this.#shed = Math.min(MAX_SHED, this.#shed + GAIN * (1 - 1 / load));
    else if (load < ROOM) this.#shed = Math.max(0, this.#shed - GAIN * (ROOM - load));
  }
}

async function countedBy(dispatcher: Dispatcher, control: string | undefined): Promise<number | undefined> {
  if (control === undefined) return undefined;
  try {
    const { statusCode, body } = await dispatcher.request({
      origin: `http://${control}`,
      path: '/metrics',
      method: 'GET',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    let text = '';
    for await (const chunk of body) {
      text += String(chunk);
      if (text.length > MAX_METRICS_BYTES) return undefined;
    }
    return statusCode === 200 ? publicRequests(text) : undefined;
  } catch {
    return undefined; // it does not tell; whether it is up is for others to say
  }
}

/** @param metrics - Prometheus text. @returns The requests of visitors that it counts. */
export function publicRequests(metrics: string): number {
  let sum = 0;
  for (const line of metrics.split('\n')) {
    if (!line.startsWith('seawall_requests_total{') || !line.includes('listener="public"')) continue;
    const value = Number(line.slice(line.lastIndexOf(' ') + 1));
    if (value > 0) sum += value;
  }
  return sum;
}
