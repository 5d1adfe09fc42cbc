/**
 * An engine with a scripted upstream and a clock that only a test moves.
 * @module
 */
import type { Answer } from '../../../cache/answer.ts';
import { CacheEngine, type CacheRequest } from '../../../cache/engine.ts';
import { cacheKey } from '../../../cache/key.ts';
import type { GenerationEnd } from '../../../cache/large/generation.ts';
import type { ChunkSource } from '../../../cache/large/reader.ts';
import { Ledger, NOTHING_KNOWN } from '../../../cache/ledger.ts';
import type { StoreRefusal } from '../../../cache/policy/refusals.ts';
import { MemoryStore } from '../../../cache/store/memory-store.ts';
import type { Store } from '../../../cache/store/store.ts';
import type { ThreadFills } from '../../../cache/thread-fills.ts';
import { compileRules } from '../../../config/match.ts';
import { rulePath } from '../../../config/rule-path.ts';
import { type SiteConfig, siteSchema } from '../../../config/schema.ts';
import { HttpError } from '../../../http/errors.ts';
import { formatHttpDate } from '../../../http/fields/date.ts';
import { fieldValue, type RawHeaders } from '../../../http/fields/headers.ts';
import type { BodyReader } from '../../../http/message.ts';
import { parseRequestTarget } from '../../../http/request-target.ts';
import { epochMs, monotonicMs } from '../../../lib/clock.ts';
import { ScriptedUpstream } from '../../support/scripted-fetch.ts';
import { openStore } from '../shared/open-store.ts';

/** Sat, 01 Mar 2025 00:00:00 GMT */
export const START_MS = 1_740_787_200_000;

export interface BenchOptions {
  /** Keys of the site's config, as written in YAML. */
  readonly site?: Record<string, unknown>;
  readonly maxBytes?: number;
  readonly fillWindowBytes?: number;
  readonly maxWaiters?: number;
  readonly store?: 'memory' | 'shared' | Store;
  /** Fills of other threads that use the store. */
  readonly threads?: ThreadFills;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: RawHeaders;
  readonly clientAbort?: AbortSignal;
  readonly keeps?: boolean;
  readonly asksPeer?: boolean;
  readonly forPeer?: boolean;
}

export class Bench {
  readonly upstream = new ScriptedUpstream();
  readonly store: Store;
  readonly ledger = new Ledger({ leaseMs: Number.POSITIVE_INFINITY });
  readonly engine: CacheEngine;
  readonly site: SiteConfig;
  readonly counts = { fillStarted: 0, fillCollapsed: 0, fillFailed: 0, stored: 0 };
  readonly refusals: StoreRefusal[] = [];
  /** Chunks of large objects that were read, by source. */
  readonly chunks: Record<ChunkSource, number> = { memory: 0, disk: 0, collapsed: 0, upstream: 0 };
  readonly ended: GenerationEnd[] = [];
  readonly #rules: CacheRequest['rules'];
  now = START_MS;

  constructor({
    site,
    maxBytes = 64 * 2 ** 20,
    fillWindowBytes = 2 ** 22,
    maxWaiters = 1_000,
    store = 'memory',
    threads,
  }: BenchOptions = {}) {
    if (store === 'memory') this.store = new MemoryStore(maxBytes);
    else this.store = store === 'shared' ? openStore(maxBytes).store : store;
    this.site = siteSchema.parse({
      name: 'shop',
      hosts: ['*'],
      origin: { servers: [{ url: 'http://origin.test' }] },
      ...site,
    });
    this.#rules = compileRules(this.site);
    const { counts, refusals, chunks, ended } = this;
    this.engine = new CacheEngine({
      store: this.store,
      ledger: this.ledger,
      threads,
      now: () => epochMs(this.now),
      monotonic: () => monotonicMs(this.now),
      bounds: () => ({ fillWindowBytes, maxWaiters }),
      events: {
        fillStarted: () => void counts.fillStarted++,
        fillCollapsed: () => void counts.fillCollapsed++,
        fillFailed: () => void counts.fillFailed++,
        stored: () => void counts.stored++,
        refused: (reason) => void refusals.push(reason),
        chunkRead: (source) => void chunks[source]++,
        generationEnded: (reason) => void ended.push(reason),
      },
    });
  }

  /** Lets `seconds` pass. */
  pass(seconds: number): void {
    this.now += seconds * 1_000;
  }

  /** The time that it is, as a header field carries it. */
  get date(): string {
    return formatHttpDate(this.now);
  }

  keyOf(target: string, { method = 'GET', headers = [] }: Ask = {}): string {
    return this.request(target, { method, headers }).keyed.key;
  }

  request(
    rawTarget: string,
    { method = 'GET', headers = [], clientAbort, keeps = true, asksPeer = false, forPeer = false }: Ask = {},
  ): CacheRequest {
    const all = ['Host', 'shop.test', ...headers];
    const target = parseRequestTarget(method, rawTarget, all);
    return {
      method,
      keyed: cacheKey(this.site, 'http', target, all),
      rawTarget: target.raw,
      path: rulePath(target.path),
      headers: all,
      body: undefined,
      site: this.site,
      rules: this.#rules,
      fetch: this.upstream.fetch,
      asksPeer,
      forPeer,
      shouldStore: () => keeps,
      onInterim: () => undefined,
      clientAbort: clientAbort ?? new AbortController().signal,
      minPosition: NOTHING_KNOWN,
    };
  }

  /** Asks the engine, and reads nothing yet. */
  ask(target: string, options: Ask = {}): Asked {
    return new Asked((async () => this.engine.handle(this.request(target, options)))());
  }

  /** Asks, has upstream answer at once, reads. For laying something in store. */
  async fetched(target: string, status: number, headers: RawHeaders, body: Buffer | string = '', options: Ask = {}) {
    const before = this.upstream.count;
    const asked = this.ask(target, options);
    await turn();
    if (this.upstream.count !== before + 1) throw new Error(`${target} did not go upstream once`);
    this.upstream.last.respond(status, headers, body);
    return asked.whole();
  }

  /** Returns resources still held when nothing is in flight. */
  leaks(): string[] {
    const leaks: string[] = [];
    const underWay = [...this.engine.fills.keys()];
    if (underWay.length > 0) leaks.push(`fills under way: ${underWay}`);
    if (this.upstream.open.length > 0) leaks.push(`upstream requests left open: ${this.upstream.open.length}`);
    const { bytesInUse, maxBytes } = this.store;
    if (bytesInUse > maxBytes) leaks.push(`${bytesInUse} of ${maxBytes} bytes`);
    const before = bytesInUse;
    const entries = [...this.store.entries()];
    for (const [key] of entries) this.store.delete(key);
    if (this.store.bytesInUse !== 0) leaks.push(`${this.store.bytesInUse} of ${before} bytes belong to no entry`);
    for (const [key, variants] of entries.reverse()) this.store.set(key, variants);
    return leaks;
  }
}

export interface Whole {
  readonly status: number;
  readonly headers: RawHeaders;
  readonly body: Buffer;
  readonly cache: Answer['status'];
}

/** One visitor's request on its way. */
export class Asked {
  readonly answer: Promise<Answer>;
  /** Outcome so far. */
  outcome: Answer | HttpError | undefined;

  constructor(answer: Promise<Answer>) {
    this.answer = answer;
    answer.then(
      (given) => {
        this.outcome = given;
      },
      (error: unknown) => {
        this.outcome = error instanceof HttpError ? error : new HttpError('internal', String(error), { cause: error });
      },
    );
  }

  get isAnswered(): boolean {
    return this.outcome !== undefined && !(this.outcome instanceof HttpError);
  }

  /** @returns The code of the error that it ended in. */
  async error(): Promise<string> {
    return this.answer.then(
      ({ head }) => `answered with ${head.status}`,
      (error) => (error instanceof HttpError ? error.code : String(error)),
    );
  }

  async whole(): Promise<Whole> {
    const { head, body, status } = await this.answer;
    const bytes = body === undefined ? Buffer.alloc(0) : await readAll(body);
    return { status: head.status, headers: head.headers, body: bytes, cache: status };
  }

  async reader(): Promise<BodyReader> {
    const { body } = await this.answer;
    if (body === undefined) throw new Error('an answer without a body');
    return body;
  }
}

export async function readAll(reader: BodyReader): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (;;) {
    const piece = await reader.next();
    if (piece === null) break;
    pieces.push(piece);
  }
  reader.close();
  return Buffer.concat(pieces);
}

/** Waits until everything that is due has happened. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Bytes that tell where they stand. */
export function pattern(length: number, seed = 0): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 131 + (i >> 8) * 17 + seed * 29) & 0xff;
  return bytes;
}

export function field(headers: RawHeaders, name: string): string | undefined {
  return fieldValue(headers, name);
}
