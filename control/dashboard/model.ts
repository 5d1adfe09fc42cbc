/**
 * Data of the dashboard's pages: what the server renders, and what it sends each second to pages that are open.
 * @module
 */
import type { Window } from '../traffic/series.ts';

export type PageName = 'overview' | 'network' | 'traffic' | 'purges' | 'jobs' | 'explain';

/** Reader of a page, and what the token lets do. */
export interface Reader {
  readonly name: string;
  /** Token of the session for forms. */
  readonly csrf: string;
  /** Kinds of selectors that it may purge. */
  readonly purges: readonly string[];
  readonly drains: boolean;
  readonly reads: boolean;
}

export interface Filter {
  readonly window: Window;
  /** Empty: all. */
  readonly site: string;
  readonly region: string;
}

/** Sites and regions to choose from. */
export interface Choices {
  readonly sites: readonly string[];
  readonly regions: readonly string[];
}

/** Rates a second, and shares between 0 and 1; null where nothing was counted. */
export interface Numbers {
  readonly requests: number;
  readonly bytes: number;
  readonly hitRatio: number | null;
  readonly byteHitRatio: number | null;
  /** Share of the requests that the origin did not see. */
  readonly offload: number | null;
  readonly errorRatio: number | null;
  readonly origin: number;
  /** Seconds; `Infinity` does not exist in JSON: 60 stands for more than the last bucket. */
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
}

/** Numbers of each slot of the window, the oldest first. */
export interface Chart {
  /** End of the last slot: milliseconds since the epoch. */
  readonly untilMs: number;
  readonly stepMs: number;
  readonly requests: readonly number[];
  readonly hits: readonly number[];
  readonly errors: readonly number[];
  readonly origin: readonly number[];
  /** Milliseconds; null where there was no request. */
  readonly p95: readonly (number | null)[];
}

export interface SiteRow {
  readonly site: string;
  readonly region: string;
  readonly numbers: Numbers;
  /** Requests a second in twentieths of the window. */
  readonly spark: readonly number[];
}

export type Health = 'ok' | 'warn' | 'bad' | 'unknown';

export interface NodeModel {
  readonly name: string;
  readonly role: 'edge' | 'shield' | 'control';
  readonly health: Health;
  /** State in a word or two. */
  readonly state: string;
  readonly lag: number | null;
  readonly version: string | null;
  /** Fingerprint of its config. */
  readonly config: string | null;
  readonly isOtherConfig: boolean;
  readonly since: string | null;
  readonly workers: number | null;
  /** Shares of what there is. */
  readonly memory: number | null;
  readonly disk: string | null;
  readonly certificateDays: number | null;
  readonly requests: number;
  readonly hitRatio: number | null;
}

export interface RegionModel {
  readonly name: string;
  readonly health: Health;
  readonly state: string;
  /** Reason of a drain, and who drained it. */
  readonly drain: string | null;
  readonly isDrainable: boolean;
  readonly isDrained: boolean;
  readonly file: string | null;
  readonly config: string | null;
  readonly requests: number;
  readonly nodes: readonly NodeModel[];
}

export interface CertificateRow {
  readonly what: string;
  readonly name: string;
  readonly expires: string;
  readonly days: number;
  readonly health: Health;
}

export interface CountRow {
  readonly names: readonly string[];
  readonly count: number;
}

export interface PurgeRow {
  readonly id: string;
  readonly time: string;
  readonly who: string;
  readonly what: string;
  readonly reason: string;
  readonly soft: boolean;
  readonly status: 'applied' | 'pending';
  readonly applied: number;
  readonly nodes: number;
  /** Nodes that have not applied it. */
  readonly waiting: readonly string[];
  readonly slowestMs: number | null;
}

export interface JobRow {
  readonly id: string;
  readonly state: string;
  readonly health: Health;
  readonly created: string;
  readonly by: string;
  readonly sites: readonly string[];
  readonly done: number;
  readonly total: number;
  readonly counts: string;
  readonly reason: string;
}

interface PageModel {
  /** Time of the server: ISO 8601. */
  readonly at: string;
  readonly filter: Filter;
  readonly choices: Choices;
}

export interface OverviewModel extends PageModel {
  readonly page: 'overview';
  readonly numbers: Numbers;
  readonly chart: Chart;
  readonly sites: readonly SiteRow[];
  readonly regions: readonly RegionModel[];
  readonly problems: readonly string[];
}

export interface NetworkModel extends PageModel {
  readonly page: 'network';
  readonly regions: readonly RegionModel[];
  readonly control: readonly NodeModel[];
  readonly certificates: readonly CertificateRow[];
  readonly problems: readonly string[];
}

export interface TrafficModel extends PageModel {
  readonly page: 'traffic';
  readonly sites: readonly SiteRow[];
  readonly urls: readonly CountRow[];
  readonly misses: readonly CountRow[];
  readonly results: readonly CountRow[];
  readonly errors: readonly CountRow[];
  readonly failures: readonly CountRow[];
}

export interface PurgesModel extends PageModel {
  readonly page: 'purges';
  readonly purges: readonly PurgeRow[];
  readonly purgers: readonly CountRow[];
  /** Reason why there are none to show. */
  readonly problem: string | null;
}

export interface JobsModel extends PageModel {
  readonly page: 'jobs';
  readonly jobs: readonly JobRow[];
  readonly problem: string | null;
}

export interface ExplainModel extends PageModel {
  readonly page: 'explain';
  readonly url: string;
  /** Answer of `GET /v1/explain`; null where nothing was asked. */
  readonly nodes: readonly ExplainedNode[] | null;
  readonly problem: string | null;
}

export interface ExplainedNode {
  readonly name: string;
  readonly role: string;
  readonly region: string;
  readonly problem: string | null;
  /** Members of the explanation, as name and text. */
  readonly lines: readonly (readonly [name: string, text: string])[];
}

export type AnyModel = OverviewModel | NetworkModel | TrafficModel | PurgesModel | JobsModel | ExplainModel;
