/**
 * Traffic of this thread, for reports to the control nodes (lib/traffic.ts): differences of counters that are there
 * anyway, and samples of URLs. A hit pays a decrement.
 * @module
 */

import { fieldValue, type RawHeaders } from '../http/fields/headers.ts';
import type { Certificates } from '../http/listener/certificates.ts';
import { SpaceSaving } from '../lib/space-saving.ts';
import {
  type AnswerCount,
  type CertificateEnd,
  MAX_SITES,
  MAX_TOP,
  OTHER_SITES,
  reportedUrl,
  type SiteTraffic,
  type Traffic,
} from '../lib/traffic.ts';
import type { AnswerCounter, ListenerName } from './metrics.ts';
import { isForwarded, isHit, type Result } from './results.ts';

/** One of how many answers is sampled, and how many are left until the next. */
export interface Sampling {
  left: number;
  /** Mean distance of two samples. */
  stride: number;
  /** Samples since the last report. */
  samples: number;
  /** Answers that these stand for. */
  answers: number;
}

/** Samples a second of each kind; twice as many at a new rate. */
const SAMPLES = 256;
/** A small integer for V8: one that is no such would make the count of all answers dearer. */
const FAR = 2 ** 30;
/** Keys that are counted between two reports of them. */
const PLACES = 128;
/** Reports between two that have URLs, and between two that have certificates. */
const URLS_EACH = 10;
const CERTIFICATES_EACH = 60;

interface SampledRequest {
  readonly target: string;
  readonly headers: RawHeaders;
}

export class TrafficMeter {
  /** Counters by site and result. */
  readonly #answers: ReadonlyMap<string, ReadonlyMap<Result, AnswerCounter>>;
  readonly #hits: Sampling = { left: 1, stride: 1, samples: 0, answers: 0 };
  readonly #others: Sampling = { left: 1, stride: 1, samples: 0, answers: 0 };
  /** For answers that are not sampled. */
  readonly #never: Sampling = { left: FAR, stride: 1, samples: 0, answers: 0 };
  readonly #urls = new SpaceSaving(PLACES);
  readonly #misses = new SpaceSaving(PLACES);
  readonly #failures = new SpaceSaving(PLACES);
  readonly #reported = new Map<AnswerCounter, { counts: number[]; bytes: number }>();
  readonly #durationsReported = new Map<number[], number[]>();
  readonly #originReported = new Map<string, number>();
  #reports = 0;
  /** Requests that were sent to the origins of sites. */
  origin: ReadonlyMap<string, { readonly value: number }> = new Map();
  certificates: Pick<Certificates, 'expiries'> | undefined;

  constructor(answers: ReadonlyMap<string, ReadonlyMap<Result, AnswerCounter>>) {
    this.#answers = answers;
  }

  samplingOf(listener: ListenerName, result: Result): Sampling {
    if (listener !== 'public') return this.#never;
    return isHit(result) ? this.#hits : this.#others;
  }

  /** Takes note of an answer to a visitor. @param answered - Fields of an answer that is no hit. */
  note(counter: AnswerCounter, request: SampledRequest, answered?: RawHeaders): void {
    if (--counter.sampling.left <= 0) this.#sample(counter, request, answered);
  }

  failed(code: string, cause: string): void {
    this.#failures.add(JSON.stringify([code, cause]), 1);
  }

  /** @returns Traffic since the last call; `undefined` where there was none. */
  take(): Traffic | undefined {
    this.#reports++;
    const hasUrls = this.#reports % URLS_EACH === 0;
    const certificates = this.#reports % CERTIFICATES_EACH === 1 ? this.#certificateEnds() : [];
    const sites = this.#sites();
    for (const sampling of [this.#hits, this.#others]) {
      sampling.stride = Math.max(1, Math.ceil(sampling.answers / SAMPLES));
      sampling.samples = 0;
      sampling.answers = 0;
      // What was a long way off at the old rate may be far too far at the new one.
      sampling.left = Math.min(sampling.left, distance(sampling.stride));
    }
    const rows = hasUrls ? this.#takeRows() : {};
    if (sites.length === 0 && certificates.length === 0 && Object.keys(rows).length === 0) return undefined;
    return { sites, ...rows, ...(certificates.length > 0 && { certificates }) };
  }

  #sample(counter: AnswerCounter, { target, headers }: SampledRequest, answered: RawHeaders | undefined): void {
    const { sampling, site, result } = counter;
    const { stride } = sampling;
    if (sampling === this.#never) {
      sampling.left = FAR;
      return;
    }
    sampling.answers += stride;
    // So that there are not many before the first report, nor where no control node gets any.
    if (++sampling.samples % (2 * SAMPLES) === 0) sampling.stride = Math.min(2 * stride, FAR / 4);
    sampling.left = distance(sampling.stride);
    const url = reportedUrl(fieldValue(headers, 'host') ?? '', target);
    this.#urls.add(JSON.stringify([url, site]), stride);
    if (!isForwarded(result)) return;
    const refusal = answered === undefined ? undefined : DETAIL.exec(fieldValue(answered, 'cache-status') ?? '')?.[1];
    const reason = refusal === undefined ? result : `${result}, ${refusal}`;
    this.#misses.add(JSON.stringify([url, site, reason]), stride);
  }

  #takeRows(): Pick<Traffic, 'urls' | 'misses' | 'failures'> {
    const taken: Record<string, unknown> = {};
    for (const [name, counts] of [
      ['urls', this.#urls],
      ['misses', this.#misses],
      ['failures', this.#failures],
    ] as const) {
      if (counts.isEmpty) continue;
      taken[name] = counts.top(MAX_TOP).map(([key, count]) => [...JSON.parse(key), count]);
      counts.clear();
    }
    return taken;
  }

  #sites(): SiteTraffic[] {
    const active: SiteTraffic[] = [];
    const origin = this.#takeOrigin();
    for (const [site, results] of this.#answers) {
      const answers: AnswerCount[] = [];
      for (const [result, counter] of results) answers.push(...this.#takeAnswers(result, counter));
      const asked = origin.get(site) ?? 0;
      origin.delete(site);
      if (answers.length === 0 && asked === 0) continue;
      const [first] = results.values();
      active.push({ site, answers, durations: first ? this.#takeDurations(first.siteDurations) : [], origin: asked });
    }
    for (const [site, asked] of origin) active.push({ site, answers: [], durations: [], origin: asked });
    return bounded(active);
  }

  #takeAnswers(result: string, counter: AnswerCounter): AnswerCount[] {
    const before = this.#reported.get(counter);
    const { counts, bytes } = counter;
    const taken: AnswerCount[] = [];
    // Bytes are not counted by status: they stand in the first row.
    let size = bytes - (before?.bytes ?? 0);
    for (const [statusClass, count] of counts.entries()) {
      const added = count - (before?.counts[statusClass] ?? 0);
      if (added === 0) continue;
      taken.push([result, statusClass, added, size]);
      size = 0;
    }
    if (taken.length > 0) this.#reported.set(counter, { counts, bytes });
    return taken;
  }

  #takeDurations(now: number[]): number[] {
    const before = this.#durationsReported.get(now);
    this.#durationsReported.set(now, [...now]);
    return now.map((count, at) => count - (before?.[at] ?? 0));
  }

  #takeOrigin(): Map<string, number> {
    const taken = new Map<string, number>();
    for (const [site, { value }] of this.origin) {
      const added = value - (this.#originReported.get(site) ?? 0);
      if (added > 0) taken.set(site, added);
      this.#originReported.set(site, value);
    }
    return taken;
  }

  #certificateEnds(): CertificateEnd[] {
    return [...(this.certificates?.expiries() ?? [])].slice(0, MAX_SITES);
  }
}

const DETAIL = /;detail=([a-z0-9_-]+)[^,]*$/;

/** Distances differ, or traffic that repeats itself would be sampled at the same places always. */
function distance(stride: number): number {
  return 1 + Math.floor(Math.random() * (2 * stride - 1));
}

/** Adds up what is beyond the bound: the sites with the fewest answers. */
function bounded(sites: SiteTraffic[]): SiteTraffic[] {
  if (sites.length <= MAX_SITES) return sites;
  const answersOf = ({ answers }: SiteTraffic): number => answers.reduce((sum, [, , count]) => sum + count, 0);
  const sorted = sites.toSorted((one, other) => answersOf(other) - answersOf(one));
  const others = new Map<string, [count: number, bytes: number]>();
  const durations: number[] = [];
  let origin = 0;
  for (const site of sorted.slice(MAX_SITES)) {
    origin += site.origin;
    for (const [at, count] of site.durations.entries()) durations[at] = (durations[at] ?? 0) + count;
    for (const [result, statusClass, count, bytes] of site.answers) {
      const key = `${statusClass}${result}`;
      const [n, size] = others.get(key) ?? [0, 0];
      others.set(key, [n + count, size + bytes]);
    }
  }
  const answers = [...others].map(([key, [count, bytes]]) => [key.slice(1), Number(key[0]), count, bytes] as const);
  return [...sorted.slice(0, MAX_SITES), { site: OTHER_SITES, answers, durations, origin }];
}
