/**
 * Traffic of a node, as it reports it to the control nodes once a second: what it has counted since the last report. A
 * second without any traffic is not reported.
 *
 *     {"sites":[{"site":"www","answers":[["hit",2,120,9600]],"durations":[118,2],"origin":3}],
 *      "urls":[["www.example.com/","www",96]],"misses":[["www.example.com/a?…","www","uri-miss",2]]}
 *
 * Sizes are bounded: `MAX_SITES` sites and `MAX_TOP` keys of each kind; `lib/space-saving.ts` picks the keys.
 * @module
 */

/** Answers of one result and class of status. */
export type AnswerCount = readonly [result: string, statusClass: number, count: number, bytes: number];

export interface SiteTraffic {
  /** Empty for requests that no site is known of. */
  readonly site: string;
  /** Answers to visitors. */
  readonly answers: readonly AnswerCount[];
  /** Answers to visitors by duration, at the places of `DURATION_SECONDS`; the last one has what took longer. */
  readonly durations: readonly number[];
  /** Requests to the origin. */
  readonly origin: number;
}

export type UrlCount = readonly [url: string, site: string, count: number];
export type MissCount = readonly [url: string, site: string, reason: string, count: number];
export type FailureCount = readonly [code: string, cause: string, count: number];
export type CertificateEnd = readonly [site: string, epochMs: number];

export interface Traffic {
  readonly sites: readonly SiteTraffic[];
  /** URLs that were asked for most; in some reports only, for the time since the last of those. */
  readonly urls?: readonly UrlCount[];
  /** Requests that no stored response answered, with the reason. */
  readonly misses?: readonly MissCount[];
  /** Requests upstream that have failed. */
  readonly failures?: readonly FailureCount[];
  /** Certificates that visitors are shown. */
  readonly certificates?: readonly CertificateEnd[];
}

/** Upper bounds of the places of `durations`, in seconds. */
export const DURATION_SECONDS: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

export const MAX_SITES = 200;
export const MAX_TOP = 20;
const MAX_FAILURES = 100;
const MAX_ANSWERS = 200;
const MAX_URL = 256;
const MAX_NAME = 64;
/** Name of the traffic of sites beyond `MAX_SITES`; no site can have it. */
export const OTHER_SITES = '(other sites)';

/** @returns The sum of what threads of one node report. */
export function addTraffic(parts: readonly Traffic[]): Traffic | undefined {
  if (parts.length <= 1) return parts[0];
  const sites = new Map<
    string,
    { site: string; answers: Map<string, number[]>; durations: number[]; origin: number }
  >();
  for (const { site, answers, durations, origin } of parts.flatMap((part) => part.sites)) {
    let sum = sites.get(site);
    if (sum === undefined) {
      sum = { site, answers: new Map(), durations: [], origin: 0 };
      sites.set(site, sum);
    }
    for (const [result, statusClass, count, bytes] of answers) {
      const key = `${statusClass}${result}`;
      const [n = 0, size = 0] = sum.answers.get(key) ?? [];
      sum.answers.set(key, [n + count, size + bytes]);
    }
    for (const [at, count] of durations.entries()) sum.durations[at] = (sum.durations[at] ?? 0) + count;
    sum.origin += origin;
  }
  const urls = addRows(parts.flatMap(({ urls: rows = [] }) => rows));
  const misses = addRows(parts.flatMap(({ misses: rows = [] }) => rows));
  const failures = addRows(parts.flatMap(({ failures: rows = [] }) => rows));
  const certificates = new Map(parts.flatMap(({ certificates: rows = [] }) => rows));
  return {
    sites: [...sites.values()].map(({ site, answers, durations, origin }) => ({
      site,
      answers: [...answers].map(([key, [count = 0, bytes = 0]]) => [key.slice(1), Number(key[0]), count, bytes]),
      durations: Array.from(durations, (count) => count ?? 0),
      origin,
    })),
    ...(urls.length > 0 && { urls }),
    ...(misses.length > 0 && { misses }),
    ...(failures.length > 0 && { failures }),
    ...(certificates.size > 0 && { certificates: [...certificates] }),
  };
}

/** Adds up rows that differ in nothing but their count, which stands last. */
function addRows<Row extends readonly (string | number)[]>(rows: readonly Row[]): Row[] {
  const sums = new Map<string, Row>();
  for (const row of rows) {
    const names = row.slice(0, -1);
    const key = JSON.stringify(names);
    const before = sums.get(key)?.at(-1) ?? 0;
    sums.set(key, [...names, Number(before) + Number(row.at(-1))] as unknown as Row);
  }
  return [...sums.values()].sort((one, other) => Number(other.at(-1)) - Number(one.at(-1))).slice(0, MAX_TOP);
}

/**
 * Reads a report that came over the network: what is not as described is refused as a whole.
 *
 * @throws {TypeError} that names the member.
 */
export function readTraffic(value: unknown): Traffic {
  if (typeof value !== 'object' || value === null) throw new TypeError('traffic is no object');
  const { sites, urls, misses, failures, certificates } = value as Record<string, unknown>;
  return {
    sites: list(sites, MAX_SITES + 2, 'sites', readSite),
    urls: rows<UrlCount>(urls, MAX_TOP, 'urls', [MAX_URL, MAX_NAME]),
    misses: rows<MissCount>(misses, MAX_TOP, 'misses', [MAX_URL, MAX_NAME, MAX_NAME]),
    failures: rows<FailureCount>(failures, MAX_FAILURES, 'failures', [MAX_NAME, MAX_NAME]),
    certificates: rows<CertificateEnd>(certificates, MAX_SITES, 'certificates', [MAX_NAME]),
  };
}

function readSite(value: unknown): SiteTraffic {
  if (typeof value !== 'object' || value === null) throw new TypeError('sites');
  const { site, answers, durations, origin } = value as Record<string, unknown>;
  return {
    site: text(site, MAX_NAME, 'site'),
    answers: list(answers, MAX_ANSWERS, 'answers', (row) => {
      if (!Array.isArray(row)) throw new TypeError('answers');
      const [result, statusClass, count, bytes] = row;
      const known = Number(amount(statusClass, 'status class'));
      if (known > 9) throw new TypeError('status class');
      return [text(result, MAX_NAME, 'result'), known, amount(count, 'count'), amount(bytes, 'bytes')] as const;
    }),
    durations: list(durations, DURATION_SECONDS.length + 1, 'durations', (count) => amount(count, 'durations')),
    origin: amount(origin, 'origin'),
  };
}

/** Rows of texts that end with a number. */
function rows<Row>(value: unknown, most: number, name: string, lengths: readonly number[]): readonly Row[] {
  return list(value ?? [], most, name, (row) => {
    if (!Array.isArray(row) || row.length !== lengths.length + 1) throw new TypeError(name);
    return [...lengths.map((length, at) => text(row[at], length, name)), amount(row.at(-1), name)] as Row;
  });
}

function list<T>(value: unknown, most: number, name: string, read: (one: unknown) => T): T[] {
  if (!Array.isArray(value) || value.length > most) throw new TypeError(name);
  return value.map(read);
}

function text(value: unknown, most: number, name: string): string {
  if (typeof value !== 'string' || value.length > most) throw new TypeError(name);
  return value;
}

function amount(value: unknown, name: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) throw new TypeError(name);
  return value;
}

/** @returns A URL as it is reported: without its query, which may hold what is only for the visitor. */
export function reportedUrl(host: string, target: string): string {
  const query = target.indexOf('?');
  const path = query === -1 ? target : `${target.slice(0, query)}?…`;
  const url = `${host}${path}`;
  return url.length > MAX_URL ? `${url.slice(0, MAX_URL - 1)}…` : url;
}
