/**
 * Visitors of the network under chaos: so many requests a second, whether those before have been answered or not, each
 * body checked byte for byte. One whose edge does not answer asks the other edge of its region, as one does who
 * resolves the name again.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import type { Receipt } from '../../control/schemas.ts';
import type { Random } from '../../test/support/random.ts';
import { type Expectation, Promises } from '../storm/promises.ts';
import { drawer, ITEMS, tooOldMs, versionOf, type Wanted } from './content.ts';
import { HOST, LEASE_SECONDS, type Member, type Network, SITE } from './network.ts';

/** Result of one request. */
export interface Visit {
  readonly edge: string;
  /** Moments of `performance.now`. */
  readonly began: number;
  readonly ended: number;
  readonly path: string;
  /** Cause of an error, in the place of a response that is right. */
  readonly error: string | undefined;
  readonly isWrong: boolean;
  readonly isStale: boolean;
  readonly cacheStatus: string;
  /** False if the visitor asks another edge after this, as it had no response. */
  readonly isFinal: boolean;
}

export interface VisitorsOptions {
  readonly network: Network;
  readonly requestsPerSecond: number;
  readonly purgesPerSecond: number;
  readonly random: Random;
}

const CONNECTIONS = 256;
/** Time after which a visitor gives up: longer than any wait that is allowed. */
const TIME_LIMIT_MS = 10_000;
const TICK_MS = 10;
const RECEIPT_SECONDS = 2;
/** As the storm has it: time that a node may go on while it is cut off. */
const GRACE_MS = (2 * LEASE_SECONDS + 3 + 1) * 1_000;
const MAX_SHOWN = 5;

interface Answer {
  readonly error: string | undefined;
  readonly version: number | undefined;
  /** True if the connection broke, or was refused, before anything of a response came. */
  readonly isUnanswered: boolean;
  readonly cacheStatus: string;
}

export class Visitors {
  readonly #options: VisitorsOptions;
  readonly #edges: readonly Member[];
  readonly #pools: ReadonlyMap<string, Pool>;
  readonly #api: Pool;
  readonly #draw: () => Wanted;
  readonly #promises: Promises;
  readonly #versions = new Int32Array(ITEMS);
  readonly #visits: Visit[] = [];
  readonly #underWay = new Set<Promise<void>>();
  #isOver = false;
  #running: Promise<void> = Promise.resolve();
  #shown = 0;
  /** Requests that were made again at another edge. */
  repeated = 0;
  purges = 0;
  failedPurges = 0;

  constructor(options: VisitorsOptions) {
    const { network, random } = options;
    this.#options = options;
    this.#edges = network.members.filter(({ role }) => role === 'edge');
    const limits = { headersTimeout: TIME_LIMIT_MS, bodyTimeout: TIME_LIMIT_MS, connections: CONNECTIONS };
    this.#pools = new Map(this.#edges.map(({ name, url }) => [name, new Pool(url, limits)]));
    const control = network.members.find(({ role }) => role === 'control') as Member;
    this.#api = new Pool(control.url, limits);
    this.#draw = drawer(random);
    const nodes = network.members.filter(({ role }) => role !== 'origin').map(({ name }) => name);
    this.#promises = new Promises(ITEMS, nodes, GRACE_MS);
  }

  start(): void {
    const { requestsPerSecond, purgesPerSecond } = this.#options;
    const visit = this.#atRate(requestsPerSecond, () => this.#visit());
    const change = this.#atRate(purgesPerSecond, () => this.#change());
    this.#running = Promise.all([visit, change]).then(() => undefined);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
    await Promise.all(this.#underWay);
    await Promise.all([...this.#pools.values(), this.#api].map((pool) => pool.destroy()));
  }

  /** @returns The requests that were under way at some time of the interval, and have ended. */
  between(from: number, until: number): Visit[] {
    return this.#visits.filter(({ began, ended }) => ended >= from && began <= until);
  }

  /** The process of a node has ended, or is back. */
  lost(node: string): void {
    this.#promises.killed(node);
  }

  back(node: string): void {
    this.#promises.back(node, Date.now());
  }

  async #atRate(perSecond: number, act: () => Promise<void>): Promise<void> {
    const startedAt = performance.now();
    let sent = 0;
    while (!this.#isOver) {
      const due = ((performance.now() - startedAt) / 1_000) * perSecond;
      for (; sent < due; sent++) {
        const acting = act().finally(() => this.#underWay.delete(acting));
        this.#underWay.add(acting);
      }
      await sleep(TICK_MS);
    }
  }

  async #visit(): Promise<void> {
    const wanted = this.#draw();
    const edge = this.#edges[Math.floor(this.#options.random() * this.#edges.length)] as Member;
    if (await this.#ask(edge, wanted, false)) return;
    const other = this.#edges.find(({ region, name }) => region === edge.region && name !== edge.name) as Member;
    this.repeated++;
    await this.#ask(other, wanted, true);
  }

  /** @returns Whether the edge has answered, rightly or not. */
  async #ask(edge: Member, { kind, path, item }: Wanted, isLast: boolean): Promise<boolean> {
    const askedAt = Date.now();
    const expected = item === undefined ? undefined : this.#promises.expectations(edge.name, item, askedAt);
    const began = performance.now();
    const { error, version, isUnanswered, cacheStatus } = await this.#get(edge, path);
    const ended = performance.now();
    const isWrong = error === undefined && version === undefined;
    const isStale = version !== undefined && this.#isStale({ kind, version, askedAt, expected });
    this.#visits.push({
      edge: edge.name,
      began,
      ended,
      path,
      error,
      isWrong,
      isStale,
      cacheStatus,
      isFinal: isLast || !isUnanswered,
    });
    if ((isWrong || isStale) && this.#shown++ < MAX_SHOWN) {
      console.log(`  ${isWrong ? 'wrong' : 'stale'}: ${edge.name} ${path} ${version ?? ''} ${cacheStatus}`);
    }
    return !isUnanswered;
  }

  #isStale(answer: {
    kind: Wanted['kind'];
    version: number;
    askedAt: number;
    expected: Expectation | undefined;
  }): boolean {
    const { kind, version, askedAt, expected } = answer;
    if (expected === undefined) return tooOldMs(kind, version, askedAt) > 0;
    return this.#promises.judge(expected, version) !== undefined;
  }

  /** Never rejects. */
  async #get({ name }: Member, path: string): Promise<Answer> {
    let hasHead = false;
    try {
      const { statusCode, headers, body } = await (this.#pools.get(name) as Pool).request({
        method: 'GET',
        path,
        headers: { host: HOST },
      });
      hasHead = true;
      const bytes = Buffer.from(await body.arrayBuffer());
      const cacheStatus = String(headers['cache-status'] ?? '');
      const known = { isUnanswered: false, cacheStatus };
      if (statusCode !== 200) return { ...known, error: `${statusCode} ${cacheStatus}`, version: undefined };
      return { ...known, error: undefined, version: versionOf(path, bytes) };
    } catch (failure) {
      const { code, message } = failure as Error & { code?: string };
      const error = `${code ?? message}${hasHead ? ', in the body' : ''}`;
      return { error, version: undefined, isUnanswered: !hasHead, cacheStatus: '' };
    }
  }

  /** Changes an item and purges it. Never rejects. */
  async #change(): Promise<void> {
    const item = Math.floor(this.#options.random() * ITEMS);
    const version = (this.#versions[item] ?? 0) + 1;
    this.#versions[item] = version;
    this.#options.network.change(item, version);
    const calledAt = Date.now();
    this.purges++;
    try {
      const { statusCode, body } = await this.#api.request({
        method: 'POST',
        path: '/v1/purges',
        headers: { authorization: `Bearer ${this.#options.network.token}`, 'content-type': 'application/json' },
        body: JSON.stringify({
          files: [`http://${HOST}/item/${item}`],
          wait: 'applied',
          timeout_seconds: RECEIPT_SECONDS,
          reason: SITE,
        }),
      });
      const receipt = (await body.json()) as Receipt;
      if (statusCode !== 200 && statusCode !== 202) throw new Error(`status ${statusCode}`);
      this.#promises.purged({
        item,
        version,
        last: receipt.last,
        calledAt,
        // Not what the receipt says: the clock of the control node may be what is wrong.
        takenAt: Date.now(),
        isComplete: receipt.status === 'applied',
        appliedBy: receipt.nodes.filter(({ applied }) => applied).map((node) => node.name),
      });
    } catch {
      this.failedPurges++;
    }
  }
}
