/**
 * A site in the storm: its origin, which changes content and purges it at
 * once, and its visitors. All in one process, so that visitors know of a
 * receipt at the moment that it is there.
 *
 * - `/item/N/`: `N VERSION`, to be kept for an hour. Every other answer takes
 *   its time after the version was read, so that purges meet fills under way.
 * @module
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import type { Page, Receipt } from '../../control/schemas.ts';
import { type Random, seededRandom, zipf } from '../../test/support/random.ts';
import { formatTierCall, TIER_FIELD } from '../../tier/protocol.ts';
import {
  type Asked,
  type FromSite,
  HOST,
  type Probe,
  type PurgeTime,
  SITE,
  type Stale,
  type ToSite,
} from './messages.ts';
import { type Expectation, Promises } from './promises.ts';

const ITEMS = 300;
/** Visitors and changes like some items better than others. */
const ZIPF_EXPONENT = 0.8;
const VISITORS_PER_NODE = 2;
const VISITOR_PAUSE_MS = 40;
const AFTER_FAILURE_MS = 100;
const ORIGIN_DELAY_MS = 20;
const WAIT_SECONDS = 2;
/** The control node lets 1,000 calls wait. */
const MAX_CALLS = 800;
const MAX_STALE_REPORTED = 20;
const REQUEST_TIMEOUT_MS = 10_000;
/** Time limit of one call of several: longer than a control node waits for nodes. */
const CALL_TIMEOUT_MS = 4_000;
/** Time after which a call that is repeated has failed. */
const REPEAT_MS = 30_000;
const REPEAT_PAUSE_MS = 50;
const PROBE_INTERVAL_MS = 50;
const READ_TIMEOUT_MS = 30_000;

interface OldAnswer {
  readonly node: string;
  readonly item: number;
  readonly version: number;
  readonly cacheStatus: string;
  readonly expected: Expectation;
}

type Begin = Extract<ToSite, { kind: 'begin' }>;

const versions = new Int32Array(ITEMS);
let originRequests = 0;
let notModified = 0;
let random: Random = Math.random;

const origin = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  void answer(request, response);
});
origin.listen({ host: '127.0.0.1', port: 0, backlog: 1_024 });
await once(origin, 'listening');

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const item = Number(/^\/item\/(\d+)\/$/.exec(request.url ?? '')?.[1]);
  const version = versions[item];
  if (version === undefined) {
    response.writeHead(404).end();
    return;
  }
  originRequests += 1;
  const etag = `"${item}-${version}"`;
  const isSame = request.headers['if-none-match'] === etag;
  if (random() < 0.5) await sleep(random() * ORIGIN_DELAY_MS);
  const headers = { 'cache-control': 'public, max-age=3600', 'cache-tag': `item-${item}, all`, etag };
  if (isSame) {
    notModified += 1;
    response.writeHead(304, headers).end();
    return;
  }
  const body = `${item} ${version}`;
  response.writeHead(200, { ...headers, 'content-length': body.length }).end(body);
}

class Site {
  readonly #begin: Begin;
  readonly #promises: Promises;
  readonly #apis: readonly Pool[];
  readonly #pools: ReadonlyMap<string, Pool>;
  readonly #draw: () => number;
  readonly #purges: PurgeTime[] = [];
  readonly #failedPurges: Record<string, number> = {};
  readonly #repeatedCalls: Record<string, number> = {};
  readonly #probes: Probe[] = [];
  /** Ids of purges that a receipt confirmed, by the reason that was given. */
  readonly #confirmed = new Map<string, string>();
  readonly #errors: Record<string, number> = {};
  readonly #stale: Stale[] = [];
  #staleCount = 0;
  #changes = 0;
  #leftOut = 0;
  #calls = 0;
  #answers = 0;
  #finalAnswers = 0;
  #hits = 0;
  #unanswered = 0;
  #allowed = 0;
  #longestAllowedMs = 0;
  /** Answers with what the origin had changed before they were asked for. */
  readonly #old: OldAnswer[] = [];
  #isOver = false;
  readonly #visitors: Promise<void>[] = [];
  #changing: Promise<void>;

  constructor(begin: Begin) {
    const { nodes, apis, repeats, graceMs } = begin;
    this.#begin = begin;
    const names = nodes.map(({ name }) => name);
    this.#promises = new Promises(ITEMS, names, graceMs);
    this.#draw = zipf(ITEMS, ZIPF_EXPONENT, random);
    const timeouts = { headersTimeout: REQUEST_TIMEOUT_MS, bodyTimeout: REQUEST_TIMEOUT_MS };
    const limits = repeats ? { headersTimeout: CALL_TIMEOUT_MS, bodyTimeout: CALL_TIMEOUT_MS } : timeouts;
    this.#apis = apis.map((api) => new Pool(api, { connections: MAX_CALLS, ...limits }));
    this.#pools = new Map(nodes.map(({ name, url }) => [name, new Pool(url, { connections: 64, ...timeouts })]));
    for (const node of nodes) {
      for (let i = 0; i < VISITORS_PER_NODE; i += 1) this.#visitors.push(this.#visit(node));
    }
    this.#changing = this.#changeAll();
    if (repeats) this.#changing = Promise.all([this.#changing, this.#probeAll()]).then(() => undefined);
  }

  killed(node: string): void {
    this.#promises.killed(node);
  }

  back(node: string): void {
    this.#promises.back(node, Date.now());
  }

  /** Stops changing; then every node has to answer with the newest version of everything. */
  async finish(): Promise<void> {
    this.#isOver = true;
    await this.#changing;
    await Promise.all(this.#visitors);
    while (this.#calls > 0) await sleep(10);
    await this.#change(0);
    for (const node of this.#begin.nodes) {
      for (let item = 0; item < ITEMS; item += 1) await this.#askLast(node, item);
    }
    this.#judgeOld();
    const { lost, doubled } = await this.#compare();
    tell({
      kind: 'report',
      report: {
        changes: this.#changes,
        leftOut: this.#leftOut,
        purges: this.#purges,
        failedPurges: this.#failedPurges,
        repeatedCalls: this.#repeatedCalls,
        probes: this.#probes,
        lost,
        doubled,
        answers: this.#answers,
        finalAnswers: this.#finalAnswers,
        hits: this.#hits,
        originRequests,
        notModified,
        unanswered: this.#unanswered,
        errors: this.#errors,
        stale: this.#stale,
        staleCount: this.#staleCount,
        allowed: this.#allowed,
        longestAllowedMs: this.#longestAllowedMs,
      },
    });
  }

  async #changeAll(): Promise<void> {
    const startedAt = performance.now();
    const { changesPerSecond } = this.#begin;
    let sent = 0;
    while (!this.#isOver) {
      const due = ((performance.now() - startedAt) / 1_000) * changesPerSecond;
      for (; sent < due; sent += 1) {
        if (this.#calls >= MAX_CALLS) this.#leftOut += 1;
        else void this.#change(this.#draw());
      }
      await sleep(1_000 / changesPerSecond);
    }
  }

  /** Changes an item, purges it, and requests it as soon as there is a receipt. Never rejects. */
  async #change(item: number): Promise<void> {
    this.#calls += 1;
    this.#changes += 1;
    const version = (versions[item] ?? 0) + 1;
    versions[item] = version;
    const calledAt = Date.now();
    const start = performance.now();
    try {
      const reason = `change ${this.#changes}`;
      const wait = { wait: 'applied', timeout_seconds: WAIT_SECONDS };
      const { receipt, isRepeated } = await this.#purge({ ...this.#named(item), ...wait, reason });
      this.#confirmed.set(reason, receipt.id);
      const isComplete = receipt.status === 'applied';
      const appliedMs = Math.max(...receipt.nodes.map(({ after_ms }) => after_ms ?? 0));
      this.#purges.push({ calledAt, ms: performance.now() - start, appliedMs, isComplete, isRepeated });
      this.#promises.purged({
        item,
        version,
        last: receipt.last,
        calledAt,
        takenAt: Date.parse(receipt.time),
        isComplete,
        appliedBy: receipt.nodes.filter(({ applied }) => applied).map(({ name }) => name),
      });
    } catch (error) {
      count(this.#failedPurges, (error as Error).message);
      return;
    } finally {
      this.#calls -= 1;
    }
    const { nodes } = this.#begin;
    await this.#ask(nodes[Math.floor(random() * nodes.length)] as Asked, item);
  }

  /** @throws {Error} that says what the API has answered, or how it failed. */
  async #purge(body: object): Promise<{ receipt: Receipt; isRepeated: boolean }> {
    const { repeats } = this.#begin;
    const headers = repeats ? { 'idempotency-key': crypto.randomUUID() } : {};
    const giveUpAt = performance.now() + REPEAT_MS;
    for (let call = 0; ; call += 1) {
      const api = this.#apis[Math.floor(random() * this.#apis.length)] as Pool;
      try {
        return { receipt: await this.#call(api, body, headers), isRepeated: call > 0 };
      } catch (error) {
        if (!repeats || performance.now() >= giveUpAt) throw error;
        count(this.#repeatedCalls, (error as Error).message);
        await sleep(REPEAT_PAUSE_MS);
      }
    }
  }

  async #call(api: Pool, body: object, headers: Record<string, string>): Promise<Receipt> {
    const { token } = this.#begin;
    const answer = await api.request({
      method: 'POST',
      path: '/v1/purges',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
    const answered = (await answer.body.json()) as Receipt & { readonly code?: string };
    if (answer.statusCode === 200 || answer.statusCode === 202) return answered;
    throw new Error(`${answer.statusCode} ${answered.code ?? JSON.stringify(answered)}`);
  }

  /** Purges what no visitor asks for, at a steady rate, to see when purges are taken. */
  async #probeAll(): Promise<void> {
    const running = new Set<Promise<void>>();
    while (!this.#isOver) {
      const calledAt = Date.now();
      const reason = `probe ${calledAt}`;
      const probe = this.#purge({ files: [`http://${HOST}/probe/`], reason })
        .then(({ receipt }) => {
          this.#confirmed.set(reason, receipt.id);
          this.#probes.push({ calledAt, takenAt: Date.now() });
        })
        .catch((error: Error) => count(this.#failedPurges, error.message))
        .finally(() => running.delete(probe));
      running.add(probe);
      await sleep(PROBE_INTERVAL_MS);
    }
    await Promise.all(running);
  }

  /** Compares the receipts with the journal. */
  async #compare(): Promise<{ lost: number; doubled: number }> {
    const { token } = this.#begin;
    const ids = new Map<string, string>();
    let doubled = 0;
    for (let next: string | null = ''; next !== null; ) {
      const query: string = next === '' ? '' : `&cursor=${next}`;
      const { body } = await (this.#apis[0] as Pool).request({
        method: 'GET',
        path: `/v1/purges?limit=100${query}`,
        headers: { authorization: `Bearer ${token}` },
        headersTimeout: READ_TIMEOUT_MS,
        bodyTimeout: READ_TIMEOUT_MS,
      });
      const page = (await body.json()) as Page;
      for (const { id, reason } of page.purges) {
        if (ids.has(reason)) doubled += 1;
        ids.set(reason, id);
      }
      next = page.next;
    }
    const lost = [...this.#confirmed].filter(([reason, id]) => ids.get(reason) !== id).length;
    return { lost, doubled };
  }

  #named(item: number): object {
    const drawn = random();
    if (drawn < 0.45) return { files: [`http://${HOST}/item/${item}/`] };
    if (drawn < 0.9) return { site: SITE, tags: [`item-${item}`] };
    return { prefixes: [`${HOST}/item/${item}/`] };
  }

  async #visit(node: Asked): Promise<void> {
    while (!this.#isOver) {
      const isAnswered = await this.#ask(node, this.#draw());
      await sleep(isAnswered ? random() * 2 * VISITOR_PAUSE_MS : AFTER_FAILURE_MS);
    }
  }

  /** @returns Whether there was an answer. */
  async #ask(node: Asked, item: number): Promise<boolean> {
    const expected = this.#promises.expectations(node.name, item, Date.now());
    const newest = versions[item] ?? 0;
    const answered = await this.#get(node, item);
    if (answered === undefined) return false;
    const { version, cacheStatus } = answered;
    this.#answers += 1;
    const broken = this.#promises.judge(expected, version);
    const answer = { node: node.name, item, version, cacheStatus };
    const purged = Math.max(expected.everywhere, expected.here);
    if (broken !== undefined) this.#noteStale({ ...answer, broken, purged, staleMs: 0 });
    else if (version < newest) this.#old.push({ ...answer, expected });
    return true;
  }

  #judgeOld(): void {
    for (const { expected, ...answer } of this.#old) {
      const { broken, staleMs } = this.#promises.judgeAge(expected, answer.item, answer.version);
      if (broken !== undefined) this.#noteStale({ ...answer, broken, purged: answer.version + 1, staleMs });
      else if (staleMs > 0) {
        this.#allowed += 1;
        this.#longestAllowedMs = Math.max(this.#longestAllowedMs, staleMs);
      }
    }
  }

  async #askLast(node: Asked, item: number): Promise<void> {
    const answered = await this.#get(node, item);
    this.#finalAnswers += answered === undefined ? 0 : 1;
    const purged = versions[item] ?? 0;
    if (answered === undefined || answered.version === purged) return;
    const { version, cacheStatus } = answered;
    this.#noteStale({ broken: 'at the end', node: node.name, item, version, purged, staleMs: 0, cacheStatus });
  }

  async #get({ name, role }: Asked, item: number): Promise<{ version: number; cacheStatus: string } | undefined> {
    try {
      const { statusCode, headers, body } = await (this.#pools.get(name) as Pool).request({
        method: 'GET',
        path: `/item/${item}/`,
        headers: { host: HOST, ...(role === 'shield' && this.#tierField()) },
      });
      const text = await body.text();
      const cacheStatus = String(headers['cache-status'] ?? '');
      const [of, version] = text.split(' ').map(Number);
      if (statusCode !== 200) throw new Error(`status ${statusCode}`);
      if (of !== item || version === undefined) throw new Error(`not item ${item}: ${text.slice(0, 80)}`);
      if (/;\s*hit/.test(cacheStatus.split(', ').at(-1) ?? '')) this.#hits += 1;
      return { version, cacheStatus };
    } catch (error) {
      const { code, message } = error as Error & { code?: string };
      this.#unanswered += 1;
      const isLate = code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT';
      count(this.#errors, isLate ? `${name} was silent for ${REQUEST_TIMEOUT_MS / 1_000} s` : (code ?? message));
      return undefined;
    }
  }

  /** As an edge asks that knows of no purge: the shield goes by what it knows itself. */
  #tierField(): Record<string, string> {
    const position = { identity: undefined, seq: 0 };
    const call = { id: 'storm', from: 'storm', proto: 'http', ask: 'shield', position } as const;
    return { [TIER_FIELD]: formatTierCall(call, this.#begin.secret) };
  }

  #noteStale(stale: Stale): void {
    this.#staleCount += 1;
    if (this.#stale.length < MAX_STALE_REPORTED) this.#stale.push(stale);
  }
}

function count(counts: Record<string, number>, what: string): void {
  counts[what] = (counts[what] ?? 0) + 1;
}

let site: Site | undefined;
process.on('message', (message: ToSite) => {
  switch (message.kind) {
    case 'begin':
      random = seededRandom(message.seed);
      site = new Site(message);
      return;
    case 'killed':
      site?.killed(message.node);
      return;
    case 'back':
      site?.back(message.node);
      return;
    case 'finish':
      void site?.finish();
  }
});
process.on('disconnect', () => process.exit());
tell({ kind: 'listening', port: (origin.address() as AddressInfo).port });

function tell(message: FromSite): void {
  process.send?.(message);
}
