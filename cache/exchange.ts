/**
 * One request on its way through the cache, and what the steps on that way
 * share.
 * @module
 */

import type { Readable } from 'node:stream';
import type { CompiledRules } from '../config/match.ts';
import type { SiteConfig } from '../config/schema.ts';
import type { HttpError } from '../http/errors.ts';
import type { RawHeaders } from '../http/headers.ts';
import type { Fetch } from '../http/message.ts';
import type { RangeSpec } from '../http/range.ts';
import type { Fill } from './fill.ts';
import type { Fills } from './fills.ts';
import type { KeyedRequest } from './key.ts';
import type { KeyLru } from './key-map.ts';
import type { JournalPosition, Ledger } from './ledger.ts';
import type { RequestDirectives } from './policy/directives.ts';
import type { ForwardReason, StoreRefusal } from './policy/refusals.ts';
import type { Store } from './store/store.ts';
import type { StoredResponse } from './stored-response.ts';
import type { Windows } from './windows.ts';

export interface CacheRequest {
  readonly method: string;
  readonly keyed: KeyedRequest;
  /** Path and query as the visitor sent them, for methods that have no key. */
  readonly rawTarget: string;
  /** The path that the site's rules go by. */
  readonly path: string;
  /** End-to-end fields, Host included. */
  readonly headers: RawHeaders;
  readonly body: Readable | undefined;
  /** Block of addresses of the visitor, whose share of connections upstream it counts against. */
  readonly visitor?: string | undefined;
  readonly site: SiteConfig;
  readonly rules: CompiledRules;
  /** Asks upstream; called at most once for this request, and once more for what must be repeated. */
  readonly fetch: Fetch;
  /**
   * Whether another cache of the same tier is asked first; `near`: one that asks
   * no other peer, so that nothing can wait for itself.
   */
  readonly asksPeer: boolean | 'near';
  /**
   * Whether another cache of the same tier asks. It joins only a fill of its own kind, none
   * that asks a peer further away: the two could wait for each other.
   */
  readonly forPeer: boolean;
  /** Whether this node keeps copies of this key. */
  readonly keeps: () => boolean;
  readonly onInterim: (status: number, headers: RawHeaders) => void;
  /** Aborted when the visitor has gone. */
  readonly gone: GoneSignal;
  /** What whoever asks has applied (rule 5); `NOTHING_KNOWN` for a visitor. */
  readonly needs: JournalPosition;
}

/** Of an AbortSignal, what the cache needs. */
export interface GoneSignal {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once: true }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** What the engine tells whoever counts. */
export interface EngineEvents {
  fillStarted(): void;
  fillCollapsed(): void;
  fillFailed(error: HttpError): void;
  stored(): void;
  refused(reason: StoreRefusal): void;
}

export interface EngineOptions {
  readonly store: Store;
  readonly ledger: Ledger;
  readonly now: () => number;
  /** Asked at each use, as a reload changes them. */
  readonly bounds: () => { readonly fillWindowBytes: number; readonly maxWaiters: number };
  /** Keys of which something is remembered besides what is stored (promise P5). */
  readonly maxRememberedKeys?: number;
  readonly events: EngineEvents;
  /** Purges the groups that an origin's answer names (RFC 9875, section 3). Never rejects. */
  readonly invalidateGroups?: (keyed: KeyedRequest, groups: readonly string[]) => Promise<void>;
}

/** What is remembered of a key besides what is stored of it. */
export interface KeyMemory {
  /** Responses in a row that could not be shared; an error counts for less. */
  readonly uncacheable: number;
  /** Time until which they count. */
  readonly uncacheableUntil: number;
  /** Longest time that the origin took for the head of one of them, errors left out. */
  readonly headMs: number;
  /** Names that its last response varied by. */
  readonly varyNames: readonly string[];
}

/** One request on its way through the steps. */
export interface Exchange {
  readonly request: CacheRequest;
  readonly directives: RequestDirectives;
  readonly range: readonly RangeSpec[] | undefined;
  /** The stored response that the request selects, if any. */
  candidate: StoredResponse | undefined;
  /** Whether the candidate may stand in when the origin fails: not if a purge may have named it (rule 6). */
  trusted: boolean;
  reason: ForwardReason;
  fill: Fill | undefined;
  /** What this node had applied when the request joined a fill that another had started; undefined: it did not. */
  joinedAt: JournalPosition | undefined;
  /** Whether the visitor's own conditions go upstream, as the response will not be kept anyway. */
  conditional: boolean;
  attempts: number;
  /** How long it may wait for the head of a fill that it joined; undefined: for as long as it takes. */
  patienceMs: number | undefined;
}

/** The state of a cache: what the steps read and change. */
export interface Engine {
  readonly options: EngineOptions;
  readonly fills: Fills;
  readonly memory: KeyLru<KeyMemory>;
  readonly windows: Windows;
  /** Forgets what is stored under the key, and what is on its way there (RFC 9111, section 4.4). */
  invalidate(key: string, except: Fill | undefined): void;
}
