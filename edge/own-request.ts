/**
 * Requests that an edge makes itself, as a visitor would: through the same reading, routing and cache. There is no
 * other way to fetch, so a purge meanwhile counts as for any fill (rules 5 and 6 of docs/purging.md).
 *
 * Such a request has no connection. It is not in the access log, and is not counted as a visitor's.
 * @module
 */
import type { Answer } from '../cache/answer.ts';
import { NOTHING_KNOWN } from '../cache/ledger.ts';
import { rulePath } from '../config/rule-path.ts';
import { HttpError } from '../http/errors.ts';
import { withoutHop } from '../http/fields/forwarding.ts';
import type { BodyReader } from '../http/message.ts';
import { newRequestId } from '../http/request-id.ts';
import { cacheRequest, type Requester } from '../tier/cache-request.ts';
import { redirectFor } from './redirect.ts';
import { asSent, type EdgeContext, readHead, routing, type VisitorHead } from './visitor.ts';

/** The edge sends every visitor elsewhere. */
export interface Redirected {
  /** Status of the redirect. */
  readonly redirect: number;
}

export interface OwnRequestOptions {
  /** Name that its share of connections to the origin is counted by. */
  readonly visitor: string;
  /** True for work without a waiting client: visitors come first, and its fill goes on without it. */
  readonly isBackground: boolean;
  /** Gives the request up. */
  readonly signal: AbortSignal;
}

/** @throws {HttpError} (rejects) */
export async function ownRequest(
  edge: EdgeContext,
  head: VisitorHead,
  { visitor, isBackground, signal }: OwnRequestOptions,
): Promise<Answer | Redirected> {
  const { method } = head;
  const parsed = readHead(edge, head);
  const { served, target, keyed, headers } = parsed;
  const redirect = redirectFor(served.site, parsed.scheme, target);
  if (redirect !== undefined) return { redirect: redirect.status };
  const path = rulePath(target.path);
  const { core, peers } = edge;
  const id = newRequestId();
  const own = routing(edge, { id, background: isBackground }, parsed, { key: keyed.key, asksOwner: true });
  const request = cacheRequest({
    exchange: new OwnRequester(method, signal),
    served,
    target,
    path,
    ...asSent(parsed, withoutHop(method, headers) ?? headers, path, false),
    body: undefined,
    visitor,
    routing: own,
    forPeer: false,
    minPosition: NOTHING_KNOWN,
    continues: isBackground,
  });
  if (!own.isOwner) return core.engine.handle(request);
  peers.ownInFlight++;
  try {
    return await core.engine.handle(request);
  } finally {
    peers.ownInFlight--;
  }
}

/** Requester without a connection: it goes away when the signal aborts. */
class OwnRequester implements Requester {
  readonly method: string;
  readonly #signal: AbortSignal;

  constructor(method: string, signal: AbortSignal) {
    this.method = method;
    this.#signal = signal;
  }

  get isClosed(): boolean {
    return this.#signal.aborted;
  }

  onClose(listener: () => void): void {
    this.#signal.addEventListener('abort', listener, { once: true });
  }

  interim(): void {
    // Nothing waits for it.
  }
}

/** @returns Bytes. @throws {HttpError} (rejects) if the body broke off. */
export async function readWhole(body: BodyReader, signal: AbortSignal): Promise<number> {
  let bytes = 0;
  const close = (): void => body.close();
  signal.addEventListener('abort', close, { once: true });
  try {
    for (;;) {
      const piece = await body.next();
      if (signal.aborted) throw new HttpError('client_closed', 'given up');
      if (piece === null) return bytes;
      bytes += piece.length;
      body.release?.();
    }
  } finally {
    signal.removeEventListener('abort', close);
    body.close();
  }
}
