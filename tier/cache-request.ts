/**
 * Assembly of the request that a cache answers: the same for what visitors and
 * what other nodes ask for.
 * @module
 */
import type { Readable } from 'node:stream';
import type { CacheRequest } from '../cache/engine.ts';
import type { KeyedRequest } from '../cache/key.ts';
import type { JournalPosition } from '../cache/ledger.ts';
import type { ServerExchange } from '../http/exchange.ts';
import type { RawHeaders } from '../http/fields/headers.ts';
import type { Fetch, SectionMemo } from '../http/message.ts';
import type { Target } from '../http/request-target.ts';
import type { RequestTrace } from '../lib/trace.ts';
import { clientAbortSignal } from './client-abort.ts';
import type { ServedSite } from './node-core.ts';

/** Decision of a node for one request: the nodes that a miss is fetched from, and whether the response is stored. */
export interface Routing {
  /** Fetches from the first of the nodes that answers. */
  readonly fetch: Fetch;
  readonly asksPeer: CacheRequest['asksPeer'];
  /** Returns whether this node stores the response, as far as is known now. */
  shouldStore(): boolean;
}

export interface CacheCall {
  readonly exchange: ServerExchange;
  readonly served: ServedSite;
  readonly target: Target;
  /** Path in the form that the site's rules go by. */
  readonly path: string;
  readonly keyed: KeyedRequest;
  /** End-to-end fields, Host included. */
  readonly headers: RawHeaders;
  /** Absent where the header section is not remembered. */
  readonly memo?: SectionMemo | undefined;
  readonly body: Readable | undefined;
  /** Block of addresses of the visitor. */
  readonly visitor: string | undefined;
  readonly routing: Routing;
  /** True if a node of the same tier asks. */
  readonly forPeer: boolean;
  /** Position in the journal that the requester has applied. */
  readonly minPosition: JournalPosition;
  readonly trace?: RequestTrace | undefined;
}

export function cacheRequest(call: CacheCall): CacheRequest {
  const { exchange, served, target, routing } = call;
  return {
    method: exchange.method,
    keyed: call.keyed,
    rawTarget: target.raw,
    path: call.path,
    headers: call.headers,
    memo: call.memo,
    body: call.body,
    visitor: call.visitor,
    site: served.site,
    rules: served.rules,
    fetch: routing.fetch,
    asksPeer: routing.asksPeer,
    forPeer: call.forPeer,
    shouldStore: () => routing.shouldStore(),
    onInterim: (status, fields) => exchange.interim(status, fields),
    clientAbort: clientAbortSignal(exchange),
    minPosition: call.minPosition,
    trace: call.trace,
  };
}
