/**
 * A node of the model: how requests reach the threads of its process (process.ts), and whom those ask. Engine and
 * failover are the program's own, put together as edge/, origin-shield/ and tier/ do, with simulated time and a
 * simulated network in the place of clocks and sockets.
 * @module
 */
import type { Answer } from '../../cache/answer.ts';
import { formatCacheStatus } from '../../cache/cache-status.ts';
import type { CacheRequest } from '../../cache/engine.ts';
import { cacheKey } from '../../cache/key.ts';
import { type JournalPosition, NOTHING_KNOWN } from '../../cache/ledger.ts';
import { compileRules } from '../../config/match.ts';
import { rulePath } from '../../config/rule-path.ts';
import { siteSchema } from '../../config/schema.ts';
import { HttpError } from '../../http/errors.ts';
import { fieldValue, type RawHeaders, withField, withoutFields } from '../../http/fields/headers.ts';
import type { Fetch, ResponseSink, UpstreamRequest, Version } from '../../http/message.ts';
import { parseRequestTarget } from '../../http/request-target.ts';
import { monotonicMs } from '../../lib/clock.ts';
import { failover, type Target } from '../../tier/failover.ts';
import { ERROR_FIELD, formatVersion, readVersion, relayedError, TIER_FIELD, TIER_FIELDS } from '../../tier/protocol.ts';
import { type Action, type NodeName, URLS } from './history.ts';
import { Exchange, type Place, type Reply } from './network.ts';
import type { Memory } from './oracle.ts';
import { nothing, type Part, type Process, type StartProcess, type World } from './process.ts';
import { brokenFetch } from './rules.ts';

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

/** @returns The key that a URL is stored under. */
export function keyOf(url: number): string {
  return (TARGETS[url] as (typeof TARGETS)[number]).keyed.key;
}

export class ModelNode implements Place {
  readonly name: NodeName;
  readonly exchanges = new Set<Exchange>();
  readonly #world: World;
  readonly #start: StartProcess;
  #lives = 0;
  life: number | undefined;
  frozenUntil = 0;
  #startStep = 0;
  #process: Process | undefined;
  #asked = 0;

  constructor(name: NodeName, world: World, starts: (world: World, node: ModelNode) => StartProcess) {
    this.name = name;
    this.#world = world;
    this.#start = starts(world, this);
  }

  /** Threads that serve; none while it is down or starts. */
  get parts(): readonly Part[] {
    return this.#process?.parts ?? [];
  }

  /** State of what it knows of purges; as it was when it is down. */
  get memories(): readonly Memory[] {
    return this.#process?.memories ?? [];
  }

  /** @param kept - Whether what was stored, and what was known of purges, is still there. */
  start(kept: boolean): void {
    this.life = ++this.#lives;
    this.#startStep = this.#world.network.clock.steps;
    this.#process = this.#start(kept);
  }

  /** The process ends without a word. */
  kill(): void {
    if (this.life === undefined) return;
    const exchanges = [...this.exchanges];
    this.life = undefined;
    this.frozenUntil = 0;
    this.#process?.stop();
    for (const exchange of exchanges) exchange.breakOff(this);
    this.exchanges.clear();
  }

  /** The thread that takes the next request; each its turn. */
  #nextPart(): Part | undefined {
    return this.parts[this.#asked++ % this.parts.length];
  }

  /** A visitor comes. */
  visit(visit: Extract<Action, { type: 'visit' }>, clientAbort: AbortSignal): void {
    const thread = this.#nextPart();
    if (thread === undefined) return; // none listens yet
    const { host } = TARGETS[visit.url] as (typeof TARGETS)[number];
    const headers = ['Host', host, 'Accept-Language', visit.language];
    if (visit.wish !== undefined) headers.push('Cache-Control', visit.wish);
    const part = { isOwner: this.name === 'owner' };
    const fetch = failover(
      () =>
        this.#route(thread, visit.url, thread.ledger.positionFor(NOTHING_KNOWN), false, () => {
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
    this.#serveVisitor(thread, visit, request).catch(this.#failureIn(thread));
  }

  /** Errors of a thread that has ended are not seen. */
  #failureIn({ place }: Part): (error: unknown) => void {
    return (error) => {
      if (place.life !== undefined) this.#world.failed(error);
    };
  }

  async #serveVisitor(
    { engine, memory, place }: Part,
    visit: Extract<Action, { type: 'visit' }>,
    request: CacheRequest,
  ): Promise<void> {
    const { oracle, network, trace } = this.#world;
    const { clock } = network;
    const arrived = {
      ...visit,
      memory,
      node: this.name,
      startStep: this.#startStep,
      step: clock.steps,
      at: clock.now,
    };
    let answer: Answer;
    try {
      answer = await engine.handle(request);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      trace(() => `  ${memory.name} answers: ${error.code}`);
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
    if (place.life === undefined) return; // nobody sees the answer
    trace(
      () => `  ${memory.name} answers: ${answer.head.status} "${body}" ${formatCacheStatus(this.name, answer.status)}`,
    );
    if (!request.clientAbort.aborted) oracle.judge(arrived, answer, body);
  }

  /** Another node asks: what tier/listener.ts does. */
  accept(method: string, target: string, rawHeaders: RawHeaders, reply: Reply): void {
    const thread = this.#nextPart();
    if (thread === undefined) {
      reply.onError('origin_unreachable');
      return;
    }
    const position = received(rawHeaders) as JournalPosition;
    const headers = withoutFields(rawHeaders, TIER_FIELDS);
    const url = URLS.findIndex((known) => known.target === target);
    const fetch = failover(
      () => this.#fetchersFor(thread, position, url),
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
    const stopWaiting = thread.onEnded(() => reply.onError('origin_unreachable'));
    this.#serveNode(thread, request, replyOf(thread, reply)).catch(this.#failureIn(thread)).finally(stopWaiting);
  }

  #fetchersFor(thread: Part, minPosition: JournalPosition, url: number): readonly Target[] {
    if (this.name.startsWith('shield')) return [this.#originTarget(thread)];
    return this.#route(thread, url, thread.ledger.positionFor(minPosition), true, nothing);
  }

  async #serveNode({ engine, ledger, memory }: Part, request: CacheRequest, reply: Reply): Promise<void> {
    let answer: Answer;
    try {
      answer = await engine.handle(request);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      reply.onHead({ status: error.status, statusText: '', headers: [ERROR_FIELD, error.code] });
      reply.onEnd();
      return;
    }
    const { oracle, trace } = this.#world;
    oracle.passedOn(answer);
    trace(() => `  ${memory.name} answers a node: ${formatCacheStatus(this.name, answer.status)}`);
    const version = sent({ ...ledger.positionOf(answer.stamp), wasFresh: answer.wasFresh });
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
  #route(
    thread: Part,
    url: number,
    position: JournalPosition,
    asOwner: boolean,
    onOwner: () => void,
  ): readonly Target[] {
    const shields: NodeName[] = url === 2 ? ['shield-2', 'shield-1'] : ['shield-1', 'shield-2'];
    const owners: NodeName[] = asOwner || this.name === 'owner' ? [] : ['owner'];
    return [
      ...owners.map((name) => this.#nodeTarget(thread, name, position)),
      ...shields.map((name) => ({ ...this.#nodeTarget(thread, name, position), onAsked: onOwner })),
      { ...this.#originTarget(thread), onTry: onOwner },
    ];
  }

  /** Stand-in for tier/client.ts. */
  #nodeTarget({ place }: Part, name: NodeName, position: JournalPosition): Target {
    const { network, nodes } = this.#world;
    const to = nodes.get(name) as ModelNode;
    const fetch = (request: UpstreamRequest, sink: ResponseSink): Exchange => {
      const headers = withField(request.headers, TIER_FIELD, sent(position));
      let failed = false;
      return new Exchange(network, place, to, (reply) => to.accept(request.method, request.target, headers, reply), {
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

  #originTarget({ place, ledger, memory }: Part): Target {
    const { network, origin, oracle, trace, breakage } = this.#world;
    const fetch: Fetch = (request, sink) => {
      const number = oracle.fetch(this.name);
      trace(() => `  ${memory.name} asks the origin (${number}): ${request.method} ${request.target}`);
      return new Exchange(network, place, origin, (reply) => origin.answer(number, request, reply), sink);
    };
    return { name: 'origin', fetch: brokenFetch(fetch, ledger, breakage) };
  }
}

/** @returns The reply path, closed when the thread has ended. */
function replyOf({ place }: Part, reply: Reply): Reply {
  const isOpen = (): boolean => place.life !== undefined;
  return {
    clientAbort: reply.clientAbort,
    onHead: (head) => isOpen() && reply.onHead(head),
    onData: (chunk) => isOpen() && reply.onData(chunk),
    onEnd: (rest) => isOpen() && reply.onEnd(rest),
    onError: (code) => isOpen() && reply.onError(code),
  };
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
