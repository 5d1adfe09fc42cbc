/**
 * Traffic of the network, as far as it has been reported to this control node: in memory, bounded, and new after a
 * restart.
 * @module
 */

import { OTHER_SITES, type SiteTraffic, type Traffic } from '../../lib/traffic.ts';
import { isHit } from '../../telemetry/results.ts';
import { FIELDS, type Field, Series, SLOT, sumOf, type TrafficSums, WINDOWS, type Window } from './series.ts';
import { WindowedTop } from './windowed-top.ts';

/** Series of a region and a site; about 80 KB each. */
const MAX_SERIES = 400;
const MAX_CERTIFICATES = 1_000;
const PLACES = 400;
/** Slots that the numbers of now are averaged over; the last one is not complete. */
const NOW_SLOTS = 10;

/** Node that reports. */
export interface ReportingNode {
  readonly name: string;
  readonly region: string;
}

/** Row of a table of what is most frequent. */
export interface TopRow {
  /** URL, site and reason; or site, result and class of status; or node, code and cause. */
  readonly names: readonly string[];
  readonly count: number;
}

export interface NodeTraffic {
  readonly requests: number;
  readonly hits: number;
  readonly errors: number;
}

/** Numbers of a region, a site, or all of them, and how they came about. */
export interface TrafficView {
  readonly window: Window;
  /** Milliseconds of a slot. */
  readonly stepMs: number;
  /** End of the last slot: milliseconds since the epoch. */
  readonly untilMs: number;
  readonly slots: Float64Array;
  readonly sum: TrafficSums;
}

/** Filter of what is read. */
export interface TrafficFilter {
  readonly region?: string | undefined;
  readonly site?: string | undefined;
  /** Returns whether the reader may know of the site. */
  readonly mayRead: (site: string) => boolean;
}

interface KnownSeries {
  readonly region: string;
  readonly site: string;
  readonly series: Series;
}

/** A node's requests of each of the last seconds. */
interface NodeNow {
  readonly slots: { step: number; requests: number; hits: number; errors: number }[];
}

export class TrafficStore {
  readonly #now: () => number;
  readonly #series = new Map<string, KnownSeries>();
  readonly #nodes = new Map<string, NodeNow>();
  readonly #certificates = new Map<string, number>();
  readonly #tops = {
    urls: new WindowedTop(PLACES),
    misses: new WindowedTop(PLACES),
    answers: new WindowedTop(PLACES),
    failures: new WindowedTop(PLACES),
  };

  constructor(now: () => number) {
    this.#now = now;
  }

  report({ name, region }: ReportingNode, traffic: Traffic): void {
    const now = this.#now();
    const sums = { requests: 0, hits: 0, errors: 0 };
    for (const one of traffic.sites) {
      const values = slotOf(one);
      this.#seriesOf(region, one.site).add(values, now);
      sums.requests += values[FIELDS.indexOf('requests')] ?? 0;
      sums.hits += values[FIELDS.indexOf('hits')] ?? 0;
      sums.errors += values[FIELDS.indexOf('errors')] ?? 0;
      for (const [result, statusClass, count] of one.answers) {
        this.#tops.answers.add(JSON.stringify([one.site, region, result, `${statusClass}xx`]), count, now);
      }
    }
    this.#noteNode(name, sums, now);
    for (const [url, site, count] of traffic.urls ?? []) this.#tops.urls.add(JSON.stringify([url, site]), count, now);
    for (const [url, site, reason, count] of traffic.misses ?? []) {
      this.#tops.misses.add(JSON.stringify([url, site, reason]), count, now);
    }
    for (const [code, cause, count] of traffic.failures ?? []) {
      this.#tops.failures.add(JSON.stringify([name, code, cause]), count, now);
    }
    for (const [site, at] of traffic.certificates ?? []) {
      if (this.#certificates.size < MAX_CERTIFICATES || this.#certificates.has(site)) this.#certificates.set(site, at);
    }
  }

  /** Regions and sites with traffic. */
  get known(): readonly { readonly region: string; readonly site: string }[] {
    return [...this.#series.values()];
  }

  view(window: Window, { region, site, mayRead }: TrafficFilter): TrafficView {
    const { stepMs, slots: count } = WINDOWS[window];
    const step = Math.floor(this.#now() / stepMs);
    const slots = new Float64Array(count * SLOT);
    for (const { region: where, site: what, series } of this.#series.values()) {
      if ((region ?? where) === where && (site ?? what) === what && mayRead(what)) series.addTo(slots, window, step);
    }
    return { window, stepMs, untilMs: (step + 1) * stepMs, slots, sum: sumOf(slots) };
  }

  top(kind: 'urls' | 'misses' | 'answers' | 'failures', window: Window): TopRow[] {
    return this.#tops[kind].top(window, this.#now()).map(([key, count]) => ({ names: JSON.parse(key), count }));
  }

  /** @returns Requests a second of a node, of late. */
  node(name: string): NodeTraffic {
    const step = Math.floor(this.#now() / 1_000);
    const sums = { requests: 0, hits: 0, errors: 0 };
    for (const slot of this.#nodes.get(name)?.slots ?? []) {
      if (slot.step >= step || slot.step < step - NOW_SLOTS) continue;
      for (const field of ['requests', 'hits', 'errors'] as const) sums[field] += slot[field] / NOW_SLOTS;
    }
    return sums;
  }

  /** @returns Ends of the certificates that visitors are shown, by site: milliseconds since the epoch. */
  get certificates(): ReadonlyMap<string, number> {
    return this.#certificates;
  }

  /** Forgets nodes that are not among these. */
  keep(names: ReadonlySet<string>): void {
    for (const name of this.#nodes.keys()) if (!names.has(name)) this.#nodes.delete(name);
  }

  #seriesOf(region: string, site: string): Series {
    const name = this.#series.size >= MAX_SERIES && !this.#series.has(`${region}\n${site}`) ? OTHER_SITES : site;
    const key = `${region}\n${name}`;
    let known = this.#series.get(key);
    if (known === undefined) {
      known = { region, site: name, series: new Series() };
      this.#series.set(key, known);
    }
    return known.series;
  }

  #noteNode(name: string, sums: NodeTraffic, now: number): void {
    const step = Math.floor(now / 1_000);
    const node = this.#nodes.get(name) ?? { slots: [] };
    this.#nodes.set(name, node);
    const last = node.slots.at(-1);
    if (last?.step === step) {
      last.requests += sums.requests;
      last.hits += sums.hits;
      last.errors += sums.errors;
      return;
    }
    node.slots.push({ step, ...sums });
    if (node.slots.length > NOW_SLOTS + 2) node.slots.shift();
  }
}

/** @returns Sums over the last complete slots, for each second. */
export function rateNow({ slots, stepMs }: TrafficView): Record<Field, number> {
  const count = slots.length / SLOT;
  const recent = Math.min(NOW_SLOTS, count - 1);
  const sum = sumOf(slots.subarray(0, (count - 1) * SLOT), count - 1 - recent);
  const seconds = (recent * stepMs) / 1_000;
  return Object.fromEntries(FIELDS.map((field) => [field, sum.get(field) / seconds])) as Record<Field, number>;
}

function slotOf({ answers, durations, origin }: SiteTraffic): Float64Array {
  const sums: Record<Field, number> = { requests: 0, hits: 0, bytes: 0, hitBytes: 0, errors: 0, origin };
  for (const [result, statusClass, count, bytes] of answers) {
    sums.requests += count;
    sums.bytes += bytes;
    if (isHit(result)) {
      sums.hits += count;
      sums.hitBytes += bytes;
    }
    if (statusClass === 5) sums.errors += count;
  }
  const slot = new Float64Array(SLOT);
  for (const [at, field] of FIELDS.entries()) slot[at] = sums[field];
  for (const [at, count] of durations.entries()) if (FIELDS.length + at < SLOT) slot[FIELDS.length + at] = count;
  return slot;
}
