/**
 * One request on its way through the cache, and what the steps on that way
 * share.
 * @module
 */

import type { Readable } from 'node:stream';
import type { CompiledRules } from '../config/match.ts';
import type { SiteConfig } from '../config/schema.ts';
import type { HttpError } from '../http/errors.ts';
import type { RawHeaders } from '../http/fields/headers.ts';
import type { Priority } from '../http/fields/priority.ts';
import type { RangeSpec } from '../http/fields/range.ts';
import type { Fetch, SectionMemo } from '../http/message.ts';
import type { EpochMs, MonotonicMs } from '../lib/clock.ts';
import type { RequestTrace } from '../lib/trace.ts';
import type { DiskStore } from './disk/disk.ts';
import type { Encodings } from './encoding/encodings.ts';
import type { Fill, JoinableFill } from './fill.ts';
import type { FillRegistry } from './fill-registry.ts';
import type { KeyedRequest } from './key.ts';
import type { KeyLru } from './key-map.ts';
import type { ChunkedOrder } from './large/chunked-answer.ts';
import type { GenerationEnd } from './large/generation.ts';
import type { LargeObjects } from './large/large-objects.ts';
import type { ChunkSource } from './large/reader.ts';
import type { JournalPosition, Ledger } from './ledger.ts';
import type { EarlyLookup } from './lookup.ts';
import type { RequestDirectives } from './policy/directives.ts';
import type { ForwardReason, StoreRefusal } from './policy/refusals.ts';
import type { RequestProfile } from './request-profile.ts';
import type { Store } from './store/store.ts';
import type { StoredResponse } from './stored-response.ts';
import type { ThreadFills } from './thread-fills.ts';
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
  /** Absent where the header section is not remembered. */
  readonly memo?: SectionMemo | undefined;
  readonly body: Readable | undefined;
  /** Block of addresses of the visitor, whose share of connections upstream it counts against. */
  readonly visitor?: string | undefined;
  /** Precedence of its requests upstream; absent: what its header section says. */
  readonly priority?: Priority | undefined;
  readonly site: SiteConfig;
  readonly rules: CompiledRules;
  /** Asks upstream; called at most once for this request, and once more for what must be repeated. */
  readonly fetch: Fetch;
  /** True to ask another cache of the same tier first. */
  readonly asksPeer: boolean;
  /** True if that cache may answer with an encoding. */
  readonly asksEncoded?: boolean | undefined;
  /**
   * True if the requester is another cache of the same tier. Requests from peers never join a fill that itself goes to
   * a peer; that could deadlock.
   */
  readonly forPeer: boolean;
  /** True if the requester may get a stored response in an encoding: it does not store it. */
  readonly mayEncode?: boolean | undefined;
  /** Returns whether this node stores responses for this key. */
  readonly shouldStore: () => boolean;
  readonly onInterim: (status: number, headers: RawHeaders) => void;
  /** Aborted when the visitor has gone. */
  readonly clientAbort: ClientAbortSignal;
  /** True if the response is wanted in the store: its fill goes on when the requester has gone. */
  readonly continues?: boolean | undefined;
  /** Minimum journal position of the response: the requester has applied it (rule 5); `NOTHING_KNOWN` for a visitor. */
  readonly minPosition: JournalPosition;
  /** Absent unless requests are traced. */
  readonly trace?: RequestTrace | undefined;
  /** Newest purge that has named what is stored for it: set by the lookup. */
  purge?: number | undefined;
}

/** Subset of AbortSignal that the cache uses. */
export interface ClientAbortSignal {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once: true }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** Events of the engine, for metrics. */
export interface EngineEvents {
  fillStarted(): void;
  fillCollapsed(): void;
  fillFailed(error: HttpError): void;
  stored(): void;
  refused(reason: StoreRefusal): void;
  /** A reader of a large object has got a chunk. */
  chunkRead(source: ChunkSource): void;
  generationEnded(reason: GenerationEnd): void;
}

export interface EngineOptions {
  /** Makes encodings of stored responses; absent: none are sent. */
  readonly encodings?: Encodings | undefined;
  readonly store: Store;
  readonly ledger: Ledger;
  /** Fills of other threads that use the store; absent: no other thread does. */
  readonly threads?: ThreadFills | undefined;
  /** For what is compared with dates. */
  readonly now: () => EpochMs;
  /** For intervals. */
  readonly monotonic: () => MonotonicMs;
  /** Asked at each use, as a reload changes them. */
  readonly bounds: () => { readonly fillWindowBytes: number; readonly maxWaiters: number };
  /** Keys of which something is remembered besides what is stored (promise P5). */
  readonly maxRememberedKeys?: number;
  readonly events: EngineEvents;
  /** Purges the groups that an origin's answer names (RFC 9875, section 3). Never rejects. */
  readonly invalidateGroups?: (keyed: KeyedRequest, groups: readonly string[]) => Promise<void>;
}

/** Metadata of a key, kept outside the store. */
export interface KeyMemory {
  /** Responses in a row that could not be shared; an error counts for less. */
  readonly uncacheable: number;
  /** Time until which they count. */
  readonly uncacheableUntil: MonotonicMs;
  /** Longest time that the origin took for the head of one of them, errors left out. */
  readonly headMs: number;
  /** Names that its last response varied by. */
  readonly varyNames: readonly string[];
}

/** One request on its way through the steps. */
export interface Exchange {
  readonly request: CacheRequest;
  readonly profile: RequestProfile;
  /** Directives of the request where the site's rule honours them, else `NO_REQUEST_DIRECTIVES`. */
  readonly directives: RequestDirectives;
  readonly range: readonly RangeSpec[] | undefined;
  /** Lookup that was made before the request came here, until it is used. */
  early: EarlyLookup | undefined;
  /** The stored response that the request selects, if any; retained until the request is answered. */
  candidate: StoredResponse | undefined;
  /** False if a purge may have named the candidate, which then must not be served when the origin fails (rule 6). */
  trusted: boolean;
  /** True if that is so only because the node has lost the journal. */
  isUnverified: boolean;
  reason: ForwardReason;
  fill: JoinableFill | undefined;
  /** Position of this node when the request joined another's fill; undefined if it did not join. */
  joinedAt: JournalPosition | undefined;
  /** True to send the visitor's own conditions upstream, as the response will not be stored anyway. */
  conditional: boolean;
  attempts: number;
  /** Read from the disk cache into memory; true if memory has the response then. */
  loading: Promise<boolean> | undefined;
  /** True if it has come. */
  isFromDisk: boolean;
  /** Answer to be made from the head of a large object. */
  chunked: ChunkedOrder | undefined;
  /** Maximum time to wait for the head of a joined fill; undefined: no limit. */
  collapseTimeoutMs: number | undefined;
  /** Name under which a request that is passed on is counted; undefined if their number has no limit. */
  passedAs: string | undefined;
}

/** The state of a cache: what the steps read and change. */
export interface Engine {
  readonly options: EngineOptions;
  readonly fills: FillRegistry;
  readonly memory: KeyLru<KeyMemory>;
  readonly windows: Windows;
  readonly large: LargeObjects;
  /** Absent: only memory. */
  readonly disk: DiskStore | undefined;
  /** Forgets what is stored under the key, and what is on its way there (RFC 9111, section 4.4). */
  invalidate(key: string, except: Fill | undefined): void;
}
