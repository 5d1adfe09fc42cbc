/**
 * The HTTP cache of a node: what happens to one request between its arrival
 * and its answer. Blind to roles: whether it is an edge's or a shield's, and
 * who is asked upstream, comes with the request.
 *
 * The way is a table of steps (`STEPS`), each in cache/steps/; docs/request-life.md draws it.
 * @module
 */
import type { EpochMs, MonotonicMs } from '../lib/clock.ts';
import type { Answer } from './answer.ts';
import type { DiskStore } from './disk/disk.ts';
import type { CacheRequest, Engine, EngineOptions, Exchange, KeyMemory } from './exchange.ts';
import type { Fill } from './fill.ts';
import { FillRegistry } from './fill-registry.ts';
import { followedFills } from './followed-fill.ts';
import { KeyLru } from './key-map.ts';
import { LargeObjects } from './large/large-objects.ts';
import { type EarlyLookup, type Found, type LookupRequest, lookup } from './lookup.ts';
import { NO_REQUEST_DIRECTIVES } from './policy/directives.ts';
import { profileOf, type RequestProfile } from './request-profile.ts';
import { chunks } from './steps/chunks.ts';
import { alone, collapse } from './steps/collapse.ts';
import { load, lookUp } from './steps/look-up.ts';
import { outcome } from './steps/outcome.ts';
import { pass } from './steps/pass.ts';
import { type Next, type Phase, type Step, setCandidate, Wait } from './steps/step.ts';
import type { KeyBytes } from './store/key-bytes.ts';
import { Windows } from './windows.ts';

export type { CacheRequest, EngineEvents, EngineOptions } from './exchange.ts';

/** Part of the store's memory that is held, besides, for readers who are behind in bodies that are not kept. */
const WINDOWS_OF_MEMORY = 1 / 8;

/** Keys of which something is remembered besides what is stored (promise P5). */
const MAX_REMEMBERED_KEYS = 100_000;

export class CacheEngine implements Engine {
  readonly options: EngineOptions;
  readonly fills = new FillRegistry();
  readonly memory: KeyLru<KeyMemory>;
  readonly windows: Windows;
  readonly large: LargeObjects = new LargeObjects(this);
  /** Set before the first request. */
  disk: DiskStore | undefined = undefined;

  constructor(options: EngineOptions) {
    this.options = options;
    this.windows = new Windows(() => (options.store.maxBytes * WINDOWS_OF_MEMORY) / (options.threads?.count ?? 1));
    this.memory = new KeyLru(options.maxRememberedKeys ?? MAX_REMEMBERED_KEYS);
    options.threads?.serve(followedFills(this));
  }

  /** Looks a request up in the store, at once, and changes nothing. */
  lookup(
    key: string | KeyBytes,
    request: LookupRequest,
    profile: RequestProfile,
    now: EpochMs,
    at: MonotonicMs,
  ): Found {
    return lookup(this.options, key, request, profile, now, at);
  }

  /**
   * @param early - Lookup of this request that was made already: it is not made again, unless it was undecided.
   * @returns The answer: at once unless it waits for upstream. @throws {HttpError} (or rejects) when there is none to
   * give.
   */
  handle(request: CacheRequest, early?: EarlyLookup): Answer | Promise<Answer> {
    return this.answer(request, early, itself);
  }

  /** As `handle`. @param use - Makes of the answer what is returned. */
  answer<T>(request: CacheRequest, early: EarlyLookup | undefined, use: (answer: Answer) => T): T | Promise<T> {
    const profile = profileOf(request);
    const honoured = request.rules.ruleFor(request.path, 200).request_directives === 'honour';
    const exchange: Exchange = {
      request,
      profile,
      directives: honoured ? profile.directives : NO_REQUEST_DIRECTIVES,
      range: request.method === 'GET' ? profile.ranges : undefined,
      early: early?.found.outcome === 'undecided' ? undefined : early,
      candidate: undefined,
      trusted: true,
      isUnverified: false,
      reason: 'uri-miss',
      fill: undefined,
      joinedAt: undefined,
      conditional: false,
      attempts: 0,
      loading: undefined,
      isFromDisk: false,
      chunked: undefined,
      collapseTimeoutMs: undefined,
      passedAs: undefined,
    };
    return this.#run(exchange, 'lookup', use);
  }

  #run<T>(exchange: Exchange, first: Next, use: (answer: Answer) => T): T | Promise<T> {
    let next = first;
    try {
      while (typeof next === 'string') {
        const step: Phase = next;
        const result = STEPS[step](this, exchange);
        if (result instanceof Wait) return result.over.then(() => this.#goOn(exchange, result, use));
        if (result instanceof Promise) return this.#runLater(exchange, result, use);
        next = result;
        if (step === 'lookup') exchange.request.trace?.note('lookup', found(exchange, next));
      }
    } catch (error) {
      setCandidate(exchange, undefined);
      throw error;
    }
    setCandidate(exchange, undefined);
    return use(next);
  }

  #goOn<T>(exchange: Exchange, wait: Wait, use: (answer: Answer) => T): T | Promise<T> {
    let next: Next;
    try {
      next = wait.next();
    } catch (error) {
      setCandidate(exchange, undefined);
      throw error;
    }
    return this.#run(exchange, next, use);
  }

  async #runLater<T>(exchange: Exchange, pending: Promise<Next>, use: (answer: Answer) => T): Promise<T> {
    let next: Next;
    try {
      next = await pending;
    } catch (error) {
      setCandidate(exchange, undefined);
      throw error;
    }
    return this.#run(exchange, next, use);
  }

  /** Forgets what is stored under the key, and what is on its way there (RFC 9111, section 4.4). */
  invalidate(key: string, except: Fill | undefined): void {
    // First: a fill in another thread either sees this when it has stored its response, or has stored it by now.
    this.options.threads?.invalidated(key);
    except?.excuse();
    this.disk?.remove(key);
    this.options.store.delete(key);
    for (const fill of this.fills.of(key)) {
      if (fill !== except) fill.disown();
    }
  }
}

function itself(answer: Answer): Answer {
  return answer;
}

/** Outcome of a lookup, for the trace. */
function found({ reason }: Exchange, next: Next): Record<string, unknown> {
  return typeof next === 'string' ? { hit: false, fwd: reason, next } : { hit: true, detail: next.status.detail };
}

const STEPS: Record<Phase, Step> = { lookup: lookUp, load, chunks, collapse, alone, pass, outcome };
