/**
 * Traffic as the dashboard shows it.
 * @module
 */
import { FIELDS, type Field, SLOT, sumOf, TrafficSums, type Window } from '../traffic/series.ts';
import {
  rateNow,
  type TopRow,
  type TrafficFilter,
  type TrafficStore,
  type TrafficView,
} from '../traffic/traffic-store.ts';
import type { Chart, CountRow, Filter, Numbers, SiteRow } from './model.ts';

const ROWS = 25;
const SITE_ROWS = 100;
const SPARK_POINTS = 20;
/** Stands for what took longer than the last bucket. */
const BEYOND_SECONDS = 60;

export function numbersOf(view: TrafficView): Numbers {
  const { sum, window } = view;
  // Live: rates of now. A day: the mean of what was counted.
  const rate = window === 'live' ? rateNow(view) : meanOf(view);
  const requests = sum.get('requests');
  return {
    requests: rate.requests,
    bytes: rate.bytes,
    origin: rate.origin,
    hitRatio: ratio(sum.get('hits'), requests),
    byteHitRatio: ratio(sum.get('hitBytes'), sum.get('bytes')),
    offload: requests === 0 ? null : Math.max(0, 1 - sum.get('origin') / requests),
    errorRatio: ratio(sum.get('errors'), requests),
    p50: seconds(sum, 0.5),
    p95: seconds(sum, 0.95),
    p99: seconds(sum, 0.99),
  };
}

function meanOf({ sum, slots, stepMs }: TrafficView): Record<Field, number> {
  const filled = slots.length / SLOT - firstSlot(slots);
  const duration = (Math.max(1, filled) * stepMs) / 1_000;
  return Object.fromEntries(FIELDS.map((field) => [field, sum.get(field) / duration])) as Record<Field, number>;
}

/** @returns Number of the first slot with a request. */
function firstSlot(slots: Float64Array): number {
  const count = slots.length / SLOT;
  for (let at = 0; at < count; at++) if ((slots[at * SLOT] ?? 0) > 0) return at;
  return count;
}

function ratio(part: number, all: number): number | null {
  return all === 0 ? null : part / all;
}

function seconds(sum: TrafficSums, part: number): number | null {
  const value = sum.quantile(part);
  return value === undefined ? null : Math.min(value, BEYOND_SECONDS);
}

export function chartOf({ slots, stepMs, untilMs }: TrafficView): Chart {
  const count = slots.length / SLOT;
  const perSecond = (field: Field): number[] => {
    const place = FIELDS.indexOf(field);
    return Array.from({ length: count }, (_, at) => rounded(((slots[at * SLOT + place] ?? 0) * 1_000) / stepMs));
  };
  return {
    untilMs,
    stepMs,
    requests: perSecond('requests'),
    hits: perSecond('hits'),
    errors: perSecond('errors'),
    origin: perSecond('origin'),
    p95: Array.from({ length: count }, (_, at) => {
      const value = seconds(new TrafficSums(slots.subarray(at * SLOT, (at + 1) * SLOT)), 0.95);
      return value === null ? null : rounded(value * 1_000);
    }),
  };
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

/** Sites by region, those with the most requests first. */
export function siteRows(
  traffic: TrafficStore,
  { window, site, region }: Filter,
  mayRead: TrafficFilter['mayRead'],
): SiteRow[] {
  const chosen = traffic.known.filter(
    (one) => (site === '' || one.site === site) && (region === '' || one.region === region) && mayRead(one.site),
  );
  return chosen
    .map((one) => {
      const view = traffic.view(window, { ...one, mayRead });
      return { ...one, view };
    })
    .filter(({ view }) => view.sum.get('requests') > 0)
    .sort((one, other) => other.view.sum.get('requests') - one.view.sum.get('requests'))
    .slice(0, SITE_ROWS)
    .map(({ site: name, region: where, view }) => ({
      site: name,
      region: where,
      numbers: numbersOf(view),
      spark: sparkOf(view),
    }));
}

function sparkOf({ slots }: TrafficView): number[] {
  const count = slots.length / SLOT;
  const step = Math.ceil(count / SPARK_POINTS);
  return Array.from({ length: SPARK_POINTS }, (_, at) =>
    sumOf(slots.subarray(at * step * SLOT, (at + 1) * step * SLOT)).get('requests'),
  );
}

type TopKind = Parameters<TrafficStore['top']>[0];

/** Place of the site in the names of a row. */
const SITE_AT: Readonly<Partial<Record<TopKind, number>>> = { urls: 1, misses: 1, answers: 0 };

export function topRows(
  traffic: TrafficStore,
  kind: TopKind,
  filter: { readonly window: Window; readonly site: string; readonly region: string },
  mayRead: TrafficFilter['mayRead'],
  isShown: (row: TopRow) => boolean = () => true,
): CountRow[] {
  const place = SITE_AT[kind];
  return traffic
    .top(kind, filter.window)
    .filter((row) => {
      if (!isShown(row)) return false;
      if (kind === 'answers' && filter.region !== '' && row.names[1] !== filter.region) return false;
      // Failures upstream are those of nodes, whatever the site.
      if (place === undefined) return mayRead('*');
      const site = row.names[place] ?? '';
      return mayRead(site) && (filter.site === '' || site === filter.site);
    })
    .slice(0, ROWS);
}
