/**
 * One answer to a visitor, as the access log is told of it. What a line may leave out is worked out when it is asked
 * for.
 * @module
 */
import type { RawHeaders } from '../../http/fields/headers.ts';
import type { Result } from '../results.ts';

/** Facts of an answer beside what every line has. */
export interface AccessFacts {
  /** Identifier of the request. */
  readonly id: string;
  readonly scheme: 'http' | 'https' | undefined;
  /** Cache key, of what has one. */
  readonly key: string | undefined;
  /** Fields of the response as the cache has them, before the site changes them; absent: it is the node's own. */
  readonly storedHeaders: RawHeaders | undefined;
  /** Bytes of the whole representation, where they are known otherwise than by `storedHeaders`. */
  readonly length: number | undefined;
  /** Members of Cache-Status of all tiers. */
  readonly cacheStatus: string | undefined;
  /** Time until the head was there; absent: it was answered at once. */
  readonly headMs: number | undefined;
  /** Newest purge that had named what was stored. */
  readonly purge: number | undefined;
  /** Names of header fields that are part of the site's cache keys. */
  readonly keyHeaders: readonly string[];
}

/** Parts of a request that lines have. */
export interface AccessRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: RawHeaders;
  readonly version: string;
  /** Connection that it came on. */
  readonly connection: object;
}

export interface Access {
  /** Completion time of the answer, in milliseconds since the epoch. */
  readonly time: number;
  /** Address of the visitor, taken from proxies as far as the config trusts them. */
  readonly ip: string;
  readonly host: string;
  readonly status: number;
  /** Length of the body. */
  readonly bytes: number;
  readonly seconds: number;
  readonly site: string;
  /** As in `seawall_requests_total`. */
  readonly result: Result;
  readonly request: AccessRequest;
  readonly facts: AccessFacts;
}
