/**
 * Makes the data of each page, as far as the token of the reader lets see it. Whatever the API has an address for is
 * asked of that address's own handler, so that no rule is written twice.
 * @module
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import type { RegionConfig } from '../../config/schema.ts';
import { isForwarded } from '../../telemetry/results.ts';
import { ApiError } from '../errors.ts';
import type { JobSummary } from '../jobs/schemas.ts';
import type { NetworkEntry, NodeList } from '../node-list.ts';
import type { Caller } from '../purge-api.ts';
import type { Regions } from '../regions.ts';
import type { Route } from '../routes.ts';
import type { Page, Receipt, Summary } from '../schemas.ts';
import { maySite, type Token } from '../tokens.ts';
import type { TrafficStore } from '../traffic/traffic-store.ts';
import type {
  AnyModel,
  Choices,
  CountRow,
  ExplainedNode,
  Filter,
  Health,
  JobRow,
  PageName,
  PurgeRow,
} from './model.ts';
import { certificateRows, controlModels, type NetworkSources, problemsOf, regionModels } from './network-model.ts';
import { chartOf, numbersOf, siteRows, topRows } from './traffic-model.ts';

export interface PageParts {
  /** Addresses of the API. */
  readonly routes: readonly Route[];
  readonly nodes: () => NodeList;
  readonly regions: () => readonly RegionConfig[];
  readonly status: Pick<Regions, 'list'>;
  readonly traffic: TrafficStore;
  /** Returns the fingerprint of the config that a node, or `control/NAME`, runs. */
  readonly configOf: (node: string) => string | null;
  readonly now: () => number;
}

export const PAGE_NAMES: readonly PageName[] = ['overview', 'network', 'traffic', 'purges', 'jobs', 'explain'];

/** Purges that are shown, and those that purgers are counted of. */
const SHOWN_PURGES = 20;
const COUNTED_PURGES = 500;
const DAY_MS = 86_400_000;
const PURGERS_MS = 10_000;
const MAX_RECEIPTS = 500;
const NETWORK_MS = 2_000;
const MAX_READERS = 100;
const SHOWN_PURGERS = 15;
const SHOWN_LINES = 80;

export class Pages {
  readonly #parts: PageParts;
  /** Receipts that nothing changes any more, by purge. */
  readonly #receipts = new LRUCache<string, Receipt>({ max: MAX_RECEIPTS });
  readonly #purgers = new LRUCache<string, { readonly at: number; readonly rows: Promise<readonly CountRow[]> }>({
    max: MAX_READERS,
  });
  #network: { readonly at: number; readonly entry: Promise<NetworkEntry> } | undefined;

  constructor(parts: PageParts) {
    this.#parts = parts;
  }

  /** Returns a text that is the same for callers who may see the same. */
  static viewOf({ token: { sites, read } }: Caller): string {
    return `${read} ${[...sites].sort().join(' ')}`;
  }

  /** @throws What the network or the store fails with. */
  async model(page: PageName, caller: Caller, filter: Filter, url = ''): Promise<AnyModel> {
    const mayRead = readable(caller.token);
    const base = { at: new Date(this.#parts.now()).toISOString(), filter, choices: this.#choices(mayRead) };
    switch (page) {
      case 'overview': {
        const view = this.#view(filter, mayRead);
        const { regions, problems } = await this.#networkParts(mayRead);
        const sites = siteRows(this.#parts.traffic, filter, mayRead);
        return { ...base, page, numbers: numbersOf(view), chart: chartOf(view), sites, regions, problems };
      }
      case 'network':
        return { ...base, page, ...(await this.#networkParts(mayRead)) };
      case 'traffic': {
        const { traffic } = this.#parts;
        const isError = ({ names }: CountRow): boolean => names[3] === '5xx' && !isForwarded(names[2] ?? '');
        return {
          ...base,
          page,
          sites: siteRows(traffic, filter, mayRead),
          urls: topRows(traffic, 'urls', filter, mayRead),
          misses: topRows(traffic, 'misses', filter, mayRead),
          results: topRows(traffic, 'answers', filter, mayRead),
          errors: topRows(traffic, 'answers', filter, mayRead, isError),
          failures: topRows(traffic, 'failures', filter, mayRead),
        };
      }
      case 'purges':
        return { ...base, page, ...(await this.#purges(caller)) };
      case 'jobs':
        return { ...base, page, ...(await this.#jobs(caller)) };
      case 'explain':
        return { ...base, page, url, ...(await this.#explain(caller, url)) };
    }
  }

  /** Calls an address of the API. @throws {ApiError} */
  async call(method: Route['method'], path: string, request: Partial<ApiCall>): Promise<unknown> {
    const route = this.#parts.routes.find((one) => one.method === method && one.path === path);
    if (route === undefined) throw new ApiError('not_found');
    return route.handle({ params: {}, query: {}, headers: {}, ...request } as FastifyRequest, NO_REPLY);
  }

  #view({ window, site, region }: Filter, mayRead: (site: string) => boolean) {
    return this.#parts.traffic.view(window, { site: site || undefined, region: region || undefined, mayRead });
  }

  #choices(mayRead: (site: string) => boolean): Choices {
    const regions = this.#parts.regions();
    const sites = new Set(regions.flatMap((region) => region.sites.map(({ name }) => name)).filter(mayRead));
    return { sites: [...sites].sort(), regions: regions.map(({ region }) => region) };
  }

  async #networkParts(mayRead: (site: string) => boolean) {
    const { regions, status, configOf, traffic, now } = this.#parts;
    const nowMs = now();
    if (this.#network === undefined || nowMs - this.#network.at >= NETWORK_MS || nowMs < this.#network.at) {
      this.#network = { at: nowMs, entry: this.#parts.nodes().read() };
    }
    const network = await this.#network.entry;
    traffic.keep(new Set(network.regions.flatMap(({ nodes }) => nodes.map(({ name }) => name))));
    const sources: NetworkSources = {
      network,
      regions: regions(),
      status: status.list(),
      configOf,
      traffic,
      nowMs,
      mayRead,
    };
    const models = regionModels(sources);
    const control = controlModels(sources);
    const certificates = certificateRows(sources);
    return { regions: models, control, certificates, problems: problemsOf(sources, models, control, certificates) };
  }

  async #purges(caller: Caller) {
    try {
      const { purges } = (await this.call('GET', '/v1/purges', {
        caller,
        query: { limit: String(SHOWN_PURGES) },
      })) as Page;
      const rows = await Promise.all(purges.map((purge) => this.#purgeRow(caller, purge)));
      return { purges: rows, purgers: await this.#topPurgers(caller), problem: null };
    } catch (error) {
      return { purges: [], purgers: [], problem: problemText(error) };
    }
  }

  async #purgeRow(caller: Caller, { id, time, who, reason, soft, status, sites, kinds }: Summary): Promise<PurgeRow> {
    const receipt = this.#receipts.get(id) ?? (await this.#receipt(caller, id));
    const nodes = receipt?.nodes ?? [];
    const done = nodes.filter(({ applied, validates }) => applied || validates);
    const times = nodes.flatMap(({ after_ms: ms }) => ms ?? []);
    const named = receipt?.selectors?.slice(0, 3).map(({ kind, selector }) => `${kind} ${selector}`) ?? [];
    const counts = Object.entries(kinds).map(([kind, count]) => `${count} × ${kind}`);
    const more = (receipt?.selectors?.length ?? 0) > 3 ? ', …' : '';
    return {
      id,
      time,
      who,
      what: `${named.length > 0 ? named.join(', ') + more : counts.join(', ')} of ${sites.join(', ')}`,
      reason,
      soft,
      status,
      applied: done.length,
      nodes: nodes.length,
      waiting: nodes.filter((node) => !done.includes(node)).map(({ name }) => name),
      slowestMs: times.length === 0 ? null : Math.max(...times),
    };
  }

  async #receipt(caller: Caller, id: string): Promise<Receipt | undefined> {
    try {
      const receipt = (await this.call('GET', '/v1/purges/:id', { caller, params: { id } })) as Receipt;
      const isFinal = receipt.nodes.every(({ applied, validates }) => applied || validates);
      if (isFinal && receipt.status === 'applied') this.#receipts.set(id, receipt);
      return receipt;
    } catch (error) {
      if (error instanceof ApiError && error.code === 'not_found') return undefined; // forgotten meanwhile
      throw error;
    }
  }

  #topPurgers(caller: Caller): Promise<readonly CountRow[]> {
    const view = Pages.viewOf(caller);
    const known = this.#purgers.get(view);
    const now = this.#parts.now();
    if (known !== undefined && Math.abs(now - known.at) < PURGERS_MS) return known.rows;
    const rows = this.#countPurgers(caller, now - DAY_MS);
    rows.catch(() => this.#purgers.delete(view)); // and is said by the one who waits for it
    this.#purgers.set(view, { at: now, rows });
    return rows;
  }

  async #countPurgers(caller: Caller, since: number): Promise<readonly CountRow[]> {
    const counts = new Map<string, number>();
    let cursor: string | null | undefined;
    let seen = 0;
    while (cursor !== null && seen < COUNTED_PURGES) {
      const query = { limit: '100', ...(cursor !== undefined && { cursor }) };
      const { purges, next } = (await this.call('GET', '/v1/purges', { caller, query })) as Page;
      const recent = purges.filter(({ time }) => Date.parse(time) >= since);
      for (const { who } of recent) counts.set(who, (counts.get(who) ?? 0) + 1);
      seen += 100;
      cursor = recent.length < purges.length ? null : next;
    }
    return [...counts]
      .sort((one, other) => other[1] - one[1])
      .slice(0, SHOWN_PURGERS)
      .map(([who, count]) => ({ names: [who], count }));
  }

  async #jobs(caller: Caller) {
    try {
      const { jobs } = (await this.call('GET', '/v1/jobs', { caller, query: { limit: '20' } })) as {
        jobs: readonly JobSummary[];
      };
      return { jobs: jobs.map(jobRow), problem: null };
    } catch (error) {
      return { jobs: [], problem: problemText(error) };
    }
  }

  async #explain(caller: Caller, url: string): Promise<{ nodes: ExplainedNode[] | null; problem: string | null }> {
    if (url === '') return { nodes: null, problem: null };
    try {
      const { nodes } = (await this.call('GET', '/v1/explain', { caller, query: { url } })) as {
        nodes: readonly {
          name: string;
          role: string;
          region: string;
          problem: string | null;
          explanation: Record<string, unknown> | null;
        }[];
      };
      const shown = nodes.map(({ explanation, ...node }) => ({ ...node, lines: linesOf('', explanation ?? {}) }));
      return { nodes: shown.map((node) => ({ ...node, lines: node.lines.slice(0, SHOWN_LINES) })), problem: null };
    } catch (error) {
      return { nodes: null, problem: problemText(error) };
    }
  }
}

/** Parts of a request that the handlers of the API read. */
export interface ApiCall {
  readonly caller: Caller;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, unknown>>;
  readonly body: unknown;
}

/** The dashboard takes what a handler returns: what it sets in the answer besides goes nowhere. */
const NO_REPLY = {
  code: () => NO_REPLY,
  header: () => NO_REPLY,
  raw: { once: () => undefined, destroyed: false },
} as unknown as FastifyReply;

/** Requests that no site is known of are for tokens of all sites. */
export function readable(token: Token): (site: string) => boolean {
  return (site) => token.read && maySite(token, /^[a-z0-9]/.test(site) ? site : '*');
}

/** @returns What a refusal says, for people. */
export function problemText(error: unknown): string {
  if (!(error instanceof ApiError)) throw error;
  const details = error.errors.slice(0, 5).map(({ detail, fix }) => `${detail}. ${fix}`);
  return [error.message, ...details].join(' ');
}

const JOB_HEALTH: Readonly<Record<string, Health>> = {
  done: 'ok',
  cancelled: 'unknown',
  failed: 'bad',
  expired: 'bad',
};

function jobRow({ id, state, created, by, sites, done, total, counts, reason }: JobSummary): JobRow {
  const outcomes = Object.entries(counts).filter(([, count]) => count > 0);
  const shown = outcomes.map(([outcome, count]) => `${count} ${outcome}`).join(', ');
  return { id, state, health: JOB_HEALTH[state] ?? 'ok', created, by, sites, done, total, counts: shown, reason };
}

/** @returns Members of an explanation, one after the other. */
function linesOf(name: string, value: unknown): [string, string][] {
  if (value === null || value === undefined) return [];
  if (typeof value !== 'object') return [[name, String(value)]];
  if (Array.isArray(value)) {
    if (value.every((one) => typeof one !== 'object' || one === null)) {
      return value.length === 0 ? [] : [[name, value.join(', ')]];
    }
    return value.flatMap((one, at) => linesOf(`${name} ${at + 1}`, one));
  }
  return Object.entries(value).flatMap(([key, one]) => linesOf(name === '' ? key : `${name} ${key}`, one));
}
