/**
 * A node of the model: the program's own engine, store, ledger, follower and
 * failover, put together as edge/, origin-shield/ and tier/ do, with simulated
 * time and a simulated network in the place of clocks and sockets.
 * @module
 */
import type { Answer } from '../../cache/answer.ts';
import { formatCacheStatus } from '../../cache/cache-status.ts';
import { CacheEngine, type CacheRequest } from '../../cache/engine.ts';
import { cacheKey } from '../../cache/key.ts';
import { type JournalPosition, NOTHING_KNOWN, type PurgeRecord } from '../../cache/ledger.ts';
import { MemoryStore } from '../../cache/store/memory-store.ts';
import { compileRules } from '../../config/match.ts';
import { rulePath } from '../../config/rule-path.ts';
import { siteSchema } from '../../config/schema.ts';
import { HttpError } from '../../http/errors.ts';
import { fieldValue, type RawHeaders, withField, withoutFields } from '../../http/fields/headers.ts';
import type { Fetch, ResponseSink, UpstreamRequest, Version } from '../../http/message.ts';
import { parseRequestTarget } from '../../http/request-target.ts';
import { Follower } from '../../journal/follower.ts';
import type { JournalRecord, JournalState } from '../../journal/journal.ts';
import type { Term } from '../../journal/terms.ts';
import { type EpochMs, epochMs, type Instant, type MonotonicMs, monotonicMs } from '../../lib/clock.ts';
import { failover, type Target } from '../../tier/failover.ts';
import { ERROR_FIELD, formatVersion, readVersion, relayedError, TIER_FIELD, TIER_FIELDS } from '../../tier/protocol.ts';
import { instant } from '../support/instant.ts';
import { type Control, HEARTBEAT_MS } from './control.ts';
import { type Action, type NodeName, URLS } from './history.ts';
import { Exchange, type Network, type Place, type Reply } from './network.ts';
import { LEASE_MS, type Memory, type Oracle } from './oracle.ts';
import type { Origin } from './origin.ts';
import { type Breakage, BrokenLedger, brokenFetch } from './rules.ts';

const STORE_BYTES = 16 * 1024;

const SITE = siteSchema.parse({
  name: 'site',
  hosts: ['a.test', 'b.test'],
  origin: { servers: [{ url: 'http://origin.test' }] },
  rules: [{ path: '/h/*', request_directives: 'honour', stale_if_error: '60s', stale_while_revalidate: '20s' }],
});

const RULES = compileRules(SITE);

const TARGETS = URLS.map(({ host, target }) => {
  const parsed = parseRequestTarget('GET', target, ['Host', host]);
  return { host, raw: target, path: rulePath(parsed.path), keyed: cacheKey(SITE, 'http', parsed, ['Host', host]) };
});

/** Environment of a model's nodes, with the oracle that judges them. */
export interface World {
  readonly network: Network;
  readonly origin: Origin;
  readonly control: Control;
  readonly oracle: Oracle;
  readonly nodes: ReadonlyMap<NodeName, ModelNode>;
  readonly breakage: Breakage | undefined;
  /** Called with a violation. */
  readonly failed: (error: unknown) => void;
  /** A node has learnt of purges. */
  readonly learnt: () => void;
  readonly trace: (line: () => string) => void;
}

/** The ledger, watched by the oracle. */
class ModelLedger extends BrokenLedger {
  readonly #world: World;
  readonly #now: () => number;
  readonly memory: Memory;
  #terms: readonly Term[] = [];
  /** False from a restart until it has heard from the journal; a lease does not outlive its process (rule 7). */
  #isBack = true;

  constructor(world: World, memory: Memory) {
    const { clock } = world.network;
    super({ leaseMs: LEASE_MS }, world.breakage);
    this.#world = world;
    this.#now = () => clock.now;
    this.memory = memory;
  }

  comeBack(): void {
    this.#isBack = this.#world.breakage === 'rule-7-return';
  }

  override apply(records: readonly PurgeRecord[]): void {
    super.apply(records);
    this.#world.trace(() => `  ${this.memory.name} applies ${records.map(({ seq }) => seq).join(', ')}`);
    this.#world.oracle.applied(this.memory, records as readonly JournalRecord[]);
    this.#world.learnt();
  }

  override extend(state: JournalState): void {
    super.extend(state);
    this.#terms = state.terms;
  }

  override restart(state: JournalState): void {
    super.restart(state);
    this.#terms = state.terms;
    this.#learntUpTo(this.applied);
  }

  override skipTo(floor: number): void {
    super.skipTo(floor);
    this.#learntUpTo(floor);
  }

  override onHeartbeat(newest: number, now: Instant): void {
    super.onHeartbeat(newest, now);
    if (newest <= this.applied) this.#isBack = true;
  }

  override holdsLease(wall: EpochMs, monotonic: MonotonicMs): boolean {
    return this.#isBack && super.holdsLease(wall, monotonic);
  }

  #learntUpTo(seq: number): void {
    this.#world.trace(
      () => `  ${this.memory.name} begins at ${seq} of term ${this.position.identity} (${this.#now()})`,
    );
    this.#world.oracle.appliedUpTo(this.memory, this.#terms, seq);
    this.#world.learnt();
  }
}

export class ModelNode implements Place {
  readonly name: NodeName;
  readonly exchanges = new Set<Exchange>();
  readonly #world: World;
  #lives = 0;
  life: number | undefined;
  frozenUntil = 0;
  #startStep = 0;
  #memory!: Memory;
  #store!: MemoryStore;
  #ledger!: ModelLedger;
  #engine!: CacheEngine;
  #follower!: Follower;

  constructor(name: NodeName, world: World) {
    this.name = name;
    this.#world = world;
  }

  get ledger(): BrokenLedger {
    return this.#ledger;
  }

  get memory(): Memory {
    return this.#memory;
  }

  /** @param kept - Whether what was stored, and what was known of purges, is still there. */
  start(kept: boolean): void {
    const { network, control } = this.#world;
    const { clock } = network;
    this.life = ++this.#lives;
    this.#startStep = clock.steps;
    if (kept) {
      this.#ledger.comeBack();
    } else {
      this.#memory = { name: this.#lives === 1 ? this.name : `${this.name} (start ${this.#lives})` };
      this.#store = new MemoryStore(STORE_BYTES);
      this.#ledger = new ModelLedger(this.#world, this.#memory);
    }
    this.#engine = new CacheEngine({
      store: this.#store,
      ledger: this.#ledger,
      now: () => epochMs(clock.now),
      monotonic: () => monotonicMs(clock.now),
      bounds: () => ({ fillWindowBytes: 1_024, maxWaiters: 4 }),
      maxRememberedKeys: 16,
      events: NO_EVENTS,
    });
    this.#follower = new Follower({
      target: this.#ledger,
      connect: (after, signal) => control.connect(this, after, signal),
      report: () => undefined,
      now: () => instant(clock.now),
      wait: (ms, signal) => this.#wait(ms, signal),
      random: () => network.random(),
      heartbeatIntervalMs: HEARTBEAT_MS,
      maxPauseMs: 2_000,
    });
    this.#follower.start();
  }

  /** The process ends without a word. */
  kill(): void {
    if (this.life === undefined) return;
    const exchanges = [...this.exchanges];
    this.life = undefined;
    this.frozenUntil = 0;
    void this.#follower.stop();
    for (const exchange of exchanges) exchange.breakOff(this);
    this.exchanges.clear();
  }

  /** A visitor comes. */
  visit(visit: Extract<Action, { type: 'visit' }>, clientAbort: AbortSignal): void {
    const { host } = TARGETS[visit.url] as (typeof TARGETS)[number];
    const headers = ['Host', host, 'Accept-Language', visit.language];
    if (visit.wish !== undefined) headers.push('Cache-Control', visit.wish);
    const part = { isOwner: this.name === 'owner' };
    const fetch = failover(
      () =>
        this.#route(visit.url, this.#ledger.positionFor(NOTHING_KNOWN), false, () => {
          part.isOwner = true;
        }),
      undefined,
      () => monotonicMs(this.#world.network.clock.now),
    );
    const keeps = (): boolean => part.isOwner || visit.hot;
    const request = this.#request({
      method: visit.method,
      url: visit.url,
      headers,
      fetch,
      shouldStore: keeps,
      clientAbort,
      minPosition: NOTHING_KNOWN,
    });
    this.#serveVisitor(visit, request).catch(this.#world.failed);
  }

  async #serveVisitor(visit: Extract<Action, { type: 'visit' }>, request: CacheRequest): Promise<void> {
    const { oracle, network, trace } = this.#world;
    const { clock } = network;
    const arrived = {
      ...visit,
      memory: this.#memory,
      node: this.name,
      startStep: this.#startStep,
      step: clock.steps,
      at: clock.now,
    };
    let answer: Answer;
    try {
      answer = await this.#engine.handle(request);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      trace(() => `  ${this.name} answers: ${error.code}`);
      return;
    }
    let body: string | undefined = '';
    try {
      for (;;) {
        const piece = await answer.body?.next();
        if (piece === null || piece === undefined) break;
        body += piece.toString();
      }
    } catch {
      body = undefined; // it broke off: there is only a head to judge
    }
    trace(
      () => `  ${this.name} answers: ${answer.head.status} "${body}" ${formatCacheStatus(this.name, answer.status)}`,
    );
    if (!request.clientAbort.aborted) oracle.judge(arrived, answer, body);
  }

  /** Another node asks: what tier/listener.ts does. */
  accept(method: string, target: string, rawHeaders: RawHeaders, reply: Reply): void {
    const position = received(rawHeaders) as JournalPosition;
    const headers = withoutFields(rawHeaders, TIER_FIELDS);
    const url = URLS.findIndex((known) => known.target === target);
    const fetch = failover(
      () => this.#fetchersFor(position, url),
      undefined,
      () => monotonicMs(this.#world.network.clock.now),
    );
    const request = this.#request({
      method,
      url,
      headers,
      fetch,
      shouldStore: () => true,
      clientAbort: reply.clientAbort,
      minPosition: position,
    });
    this.#serveNode(request, reply).catch(this.#world.failed);
  }

  #fetchersFor(minPosition: JournalPosition, url: number): readonly Target[] {
    if (this.name.startsWith('shield')) return [this.#originTarget()];
    return this.#route(url, this.#ledger.positionFor(minPosition), true, nothing);
  }

  async #serveNode(request: CacheRequest, reply: Reply): Promise<void> {
    let answer: Answer;
    try {
      answer = await this.#engine.handle(request);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      reply.onHead({ status: error.status, statusText: '', headers: [ERROR_FIELD, error.code] });
      reply.onEnd();
      return;
    }
    const { oracle, trace } = this.#world;
    oracle.passedOn(answer);
    trace(() => `  ${this.name} answers a node: ${formatCacheStatus(this.name, answer.status)}`);
    const version = sent({ ...this.#ledger.positionOf(answer.stamp), wasFresh: answer.wasFresh });
    reply.onHead({ ...answer.head, headers: withField(answer.head.headers, TIER_FIELD, version) });
    try {
      let last: Buffer | undefined;
      for (;;) {
        const piece = await answer.body?.next();
        if (piece === null || piece === undefined) break;
        if (reply.clientAbort.aborted) {
          answer.body?.close();
          return;
        }
        if (last !== undefined) reply.onData(last);
        last = piece;
      }
      reply.onEnd(last);
    } catch {
      reply.onError('origin_unreachable'); // it broke off above, so it breaks off here
    }
  }

  #request(
    options: Pick<CacheRequest, 'method' | 'headers' | 'fetch' | 'shouldStore' | 'clientAbort' | 'minPosition'> & {
      readonly url: number;
    },
  ): CacheRequest {
    const { url, ...rest } = options;
    const { keyed, raw, path } = TARGETS[url] as (typeof TARGETS)[number];
    const asksPeer = this.name === 'edge' && rest.minPosition === NOTHING_KNOWN;
    const forPeer = this.name === 'owner' && rest.minPosition !== NOTHING_KNOWN;
    return {
      ...rest,
      asksPeer,
      forPeer,
      keyed,
      rawTarget: raw,
      path,
      body: undefined,
      site: SITE,
      rules: RULES,
      onInterim: nothing,
    };
  }

  /** Targets to try, in order, as edge/peers.ts chooses them. */
  #route(url: number, position: JournalPosition, asOwner: boolean, onOwner: () => void): readonly Target[] {
    const shields: NodeName[] = url === 2 ? ['shield-2', 'shield-1'] : ['shield-1', 'shield-2'];
    const owners: NodeName[] = asOwner || this.name === 'owner' ? [] : ['owner'];
    return [
      ...owners.map((name) => this.#nodeTarget(name, position)),
      ...shields.map((name) => ({ ...this.#nodeTarget(name, position), onAsked: onOwner })),
      { ...this.#originTarget(), onTry: onOwner },
    ];
  }

  /** Stand-in for tier/client.ts. */
  #nodeTarget(name: NodeName, position: JournalPosition): Target {
    const { network, nodes } = this.#world;
    const to = nodes.get(name) as ModelNode;
    const fetch = (request: UpstreamRequest, sink: ResponseSink): Exchange => {
      const headers = withField(request.headers, TIER_FIELD, sent(position));
      let failed = false;
      return new Exchange(network, this, to, (reply) => to.accept(request.method, request.target, headers, reply), {
        onInterim: nothing,
        onHead: (head) => {
          const error = relayedError(head.headers, name);
          if (error === undefined) {
            const version = received(head.headers);
            sink.onHead({ ...head, headers: withoutFields(head.headers, TIER_FIELDS), version });
            return;
          }
          failed = true;
          sink.onError(error);
        },
        onData: (chunk) => {
          if (!failed) sink.onData(chunk);
        },
        onEnd: (trailers) => {
          if (!failed) sink.onEnd(trailers);
        },
        onError: (error) => {
          if (!failed) sink.onError(error);
        },
      });
    };
    return { name, fetch };
  }

  #originTarget(): Target {
    const { network, origin, oracle, trace, breakage } = this.#world;
    const fetch: Fetch = (request, sink) => {
      const number = oracle.fetch(this.name);
      trace(() => `  ${this.name} asks the origin (${number}): ${request.method} ${request.target}`);
      return new Exchange(network, this, origin, (reply) => origin.answer(number, request, reply), sink);
    };
    return { name: 'origin', fetch: brokenFetch(fetch, this.#ledger, breakage) };
  }

  /** Resolves after `ms` of the process's own time; rejects when the signal aborts. */
  #wait(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(new Error('aborted'));
        return;
      }
      const { network } = this.#world;
      const timer = network.at(this, network.clock.now + ms, () => {
        signal.removeEventListener('abort', abort);
        resolve();
      });
      const abort = (): void => {
        timer.cancel();
        reject(new Error('aborted'));
      };
      signal.addEventListener('abort', abort, { once: true });
    });
  }
}

const fieldOf = new Map<string, string>();
const versionIn = new Map<string, Version | undefined>();

/** Cached `formatVersion`: it and `readVersion` took a tenth of the time. */
function sent(version: Version): string {
  const key = `${version.seq} ${version.identity} ${version.wasFresh}`;
  const field = fieldOf.get(key) ?? formatVersion(version);
  fieldOf.set(key, field);
  return field;
}

function received(headers: RawHeaders): Version | undefined {
  const field = fieldValue(headers, TIER_FIELD) ?? '';
  if (!versionIn.has(field)) versionIn.set(field, readVersion(headers));
  return versionIn.get(field);
}

const nothing = (): undefined => undefined;

const NO_EVENTS = {
  fillStarted: nothing,
  fillCollapsed: nothing,
  fillFailed: nothing,
  stored: nothing,
  refused: nothing,
  chunkRead: nothing,
  generationEnded: nothing,
};
