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
import type { Priority } from '../http/fields/priority.ts';
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
  /** True if the peer may answer with an encoding: then the response is not stored. */
  readonly asksEncoded?: boolean | undefined;
  /** Returns whether this node stores the response, as far as is known now. */
  shouldStore(): boolean;
}

/** Parts of an exchange that a cache request needs: a request of the node itself has no connection. */
export type Requester = Pick<ServerExchange, 'method' | 'isClosed' | 'onClose' | 'interim'>;

export interface CacheCall {
  readonly exchange: Requester;
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
  readonly priority?: Priority | undefined;
  readonly routing: Routing;
  /** True if a node of the same tier asks. */
  readonly forPeer: boolean;
  /** True if a visitor asks, or a node that does not store the response. */
  readonly mayEncode?: boolean | undefined;
  /** Position in the journal that the requester has applied. */
  readonly minPosition: JournalPosition;
  readonly trace?: RequestTrace | undefined;
  /** True if its fill goes on when the requester has gone. */
  readonly continues?: boolean | undefined;
}

export function cacheRequest(call: CacheCall): CacheRequest {
  return new NodeCacheRequest(call);
}

class NodeCacheRequest implements CacheRequest {
  readonly method: string;
  readonly keyed: KeyedRequest;
  readonly rawTarget: string;
  readonly path: string;
  readonly headers: RawHeaders;
  readonly memo: SectionMemo | undefined;
  readonly body: Readable | undefined;
  readonly visitor: string | undefined;
  readonly priority: Priority | undefined;
  readonly site: ServedSite['site'];
  readonly rules: ServedSite['rules'];
  readonly fetch: Fetch;
  readonly asksPeer: CacheRequest['asksPeer'];
  readonly asksEncoded: boolean | undefined;
  readonly forPeer: boolean;
  readonly mayEncode: boolean | undefined;
  readonly clientAbort: CacheRequest['clientAbort'];
  readonly minPosition: JournalPosition;
  readonly trace: RequestTrace | undefined;
  readonly continues: boolean | undefined;
  purge: number | undefined = undefined;
  readonly #exchange: Requester;
  readonly #routing: Routing;

  constructor(call: CacheCall) {
    const { exchange, served, target, routing } = call;
    this.method = exchange.method;
    this.keyed = call.keyed;
    this.rawTarget = target.raw;
    this.path = call.path;
    this.headers = call.headers;
    this.memo = call.memo;
    this.body = call.body;
    this.visitor = call.visitor;
    this.priority = call.priority;
    this.site = served.site;
    this.rules = served.rules;
    this.fetch = routing.fetch;
    this.asksPeer = routing.asksPeer;
    this.asksEncoded = routing.asksEncoded;
    this.forPeer = call.forPeer;
    this.mayEncode = call.mayEncode;
    this.clientAbort = clientAbortSignal(exchange);
    this.minPosition = call.minPosition;
    this.trace = call.trace;
    this.continues = call.continues;
    this.#exchange = exchange;
    this.#routing = routing;
  }

  shouldStore(): boolean {
    return this.#routing.shouldStore();
  }

  onInterim(status: number, headers: RawHeaders): void {
    this.#exchange.interim(status, headers);
  }
}
