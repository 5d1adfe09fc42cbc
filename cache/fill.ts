/**
 * Transfer of one response from upstream on behalf of every request that waits for it: its head to those that wait, its
 * body to the store and to the readers. fill-decision.ts decides what the head means for the cache.
 * @module
 */
import { HttpError } from '../http/errors.ts';
import { allowsContent } from '../http/exchange.ts';
import { contentLength } from '../http/fields/content-length.ts';
import { fieldValue, type RawHeaders, withoutFields } from '../http/fields/headers.ts';
import { parseContentRange } from '../http/fields/range.ts';
import type { Flow, ResponseHead, ResponseSink } from '../http/message.ts';
import type { EpochMs, MonotonicMs } from '../lib/clock.ts';
import type { Engine } from './exchange.ts';
import { type Decision, FillDecision, type FillOrder, type Freshened } from './fill-decision.ts';
import type { KeyedRequest } from './key.ts';
import { ChunkedFillBody } from './large/fill-body.ts';
import type { LargeObject } from './large/large-object.ts';
import type { Stamp } from './ledger.ts';
import type { StoreRefusal } from './policy/refusals.ts';
import { selectedBy304 } from './policy/validation.ts';
import { type FillBody, SharedBody } from './shared-body.ts';
import type { StoreWriter } from './store/store.ts';
import type { CollapsedAnswer } from './stored-answer.ts';
import type { StoredHead, StoredResponse } from './stored-response.ts';

/** A body with no more than this to come is worth finishing without readers. */
const NEARLY_DONE_BYTES = 1024 * 1024;

/** Receiver of what happens to a fill. */
export interface FillListener {
  onInterim(status: number, headers: RawHeaders): void;
  /** The body is complete, or a 304 has made the stored response new: `stored` is what is kept. */
  onStored(stored: StoredResponse, fill: Fill): void;
  /** The head is there, or it failed; runs before the waiters. */
  onSettled(outcome: FillOutcome, fill: Fill): void;
  /** The body broke off while it was being kept (RFC 9111, section 3.3: nothing incomplete is stored as complete). */
  onIncomplete(): void;
  /** Called once when the fill has ended. */
  onClosed(fill: Fill): void;
}

export type FillOutcome =
  | FillResponse
  /** A 304 made the stored response new. */
  | ({ readonly kind: 'validated' } & Freshened)
  /** A 304 that is not about the stored response, or not about all that is known of it. */
  | { readonly kind: 'unmatched' }
  /** The thread that fetched it has ended, or has no such fill any more. */
  | { readonly kind: 'gone' }
  | { readonly kind: 'failed'; readonly error: HttpError };

export interface FillResponse {
  readonly kind: 'response';
  readonly head: ResponseHead;
  /** Head as it would be stored; late joiners are answered with it. */
  readonly stored: StoredHead;
  /** Reason why it is not stored, if any. */
  readonly refusal: StoreRefusal | undefined;
  /** True if it was fresh when the request was sent: time in flight does not count against the waiters. */
  readonly wasFresh: boolean;
  /** True if it may answer all waiters. */
  readonly shareable: boolean;
  /** Bytes of the body, where the head says so. */
  readonly length: number | undefined;
  readonly body: FillBody;
  /** Answer to the requests that joined, once one of them has been answered. */
  collapsed?: CollapsedAnswer | undefined;
}

/** A fill that requests can join: of this thread, or of another one (followed-fill.ts). */
export interface JoinableFill {
  readonly startedAt: MonotonicMs;
  /** Lower bound of the response's journal position. */
  readonly stamp: Stamp;
  /** Resolves when the head is there, and never rejects. */
  readonly settled: Promise<FillOutcome>;
  readonly outcome: FillOutcome | undefined;
  /** Requests that wait for the head. */
  readonly waiting: number;
  /** True if its response is not to be stored, nor to be joined. */
  readonly disowned: boolean;
  enter(): void;
  leave(): void;
  /** Continues without requests that wait for it, to store what comes. */
  continueUnread(): void;
  disown(): void;
}

export class Fill implements ResponseSink, JoinableFill {
  readonly #order: FillOrder;
  readonly #engine: Engine;
  readonly #listener: FillListener;
  readonly decision: FillDecision;
  readonly startedAt: MonotonicMs;
  readonly #flow: Flow;
  #resolve: ((outcome: FillOutcome) => void) | undefined;
  #settled: Promise<FillOutcome> | undefined;
  #body: FillBody | undefined;
  #response: FillResponse | undefined;
  /** Place of the body in the whole representation, if it is a part. */
  #part: Decision['part'];
  /** Bytes that the body must have, where the head says so. */
  #expected: number | undefined;
  /** Number of requests waiting for the head. */
  #waiting = 0;
  #disowned = false;
  /** True if it goes on without waiters. */
  #isUnread: boolean;
  /** Invalidations of the key, by any thread, when it began. */
  #invalidations: number | undefined;
  #done = false;
  #isReleased = false;
  outcome: FillOutcome | undefined;

  constructor(order: FillOrder, engine: Engine, listener: FillListener) {
    const { ledger, now, monotonic } = engine.options;
    this.#invalidations = engine.options.threads?.invalidations(order.request.keyed.key);
    this.#order = order;
    this.#isUnread = order.isBackground;
    this.#engine = engine;
    this.#listener = listener;
    this.startedAt = monotonic();
    this.decision = new FillDecision(order, ledger, now());
    this.#flow = order.request.fetch(order.upstream, this);
  }

  /** Lower bound of the response's journal position. */
  get stamp(): Stamp {
    return this.decision.stamp;
  }

  /** Resolves when the head is there, and never rejects. */
  get settled(): Promise<FillOutcome> {
    this.#settled ??= new Promise((resolve) => {
      if (this.outcome === undefined) this.#resolve = resolve;
      else resolve(this.outcome);
    });
    return this.#settled;
  }

  /** True once nothing more will arrive. */
  get closed(): boolean {
    return this.#done;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Counts a request that waits for the head. It calls `leave` once: the head is there, or the visitor has gone. */
  enter(): void {
    this.#waiting++;
  }

  leave(): void {
    this.#waiting--;
    this.#abandonIfUnwanted();
    this.#releaseIfUnused();
  }

  /** Lets go of bodies that those who wait for the head may still open, also after the end. */
  #releaseIfUnused(): void {
    if (!this.#done || this.#waiting > 0 || this.#isReleased) return;
    this.#isReleased = true;
    this.#body?.settle();
    this.#order.validating?.body.release();
  }

  continueUnread(): void {
    this.#isUnread = true;
  }

  get disowned(): boolean {
    return this.#disowned || this.#engine.options.threads?.invalidations(this.keyed.key) !== this.#invalidations;
  }

  get keyed(): KeyedRequest {
    return this.#order.request.keyed;
  }

  /** Ignores what was invalidated so far: its own request did. */
  excuse(): void {
    this.#invalidations = this.#engine.options.threads?.invalidations(this.keyed.key);
  }

  /** Keeps the response from being stored, because it has been invalidated meanwhile (RFC 9111, section 4.4). */
  disown(): void {
    this.#disowned = true;
    if (this.#body) this.#body.shouldStore = false;
    this.#abandonIfUnwanted();
  }

  onInterim(status: number, headers: RawHeaders): void {
    this.#listener.onInterim(status, headers);
  }

  onData(chunk: Buffer): void {
    const body = this.#body;
    body?.append(chunk, body.received + chunk.length === this.#expected);
  }

  onHead(head: ResponseHead): void {
    const responseTime = this.#engine.options.now();
    const { validating, upstream } = this.#order;
    if (head.status === 304 && validating !== undefined) {
      this.#onNotModified(validating, head, responseTime);
      return;
    }
    this.#expected = expectedBytes(upstream.method, head);
    const response = this.#begin(head, responseTime);
    this.#response = response;
    this.#body = response.body;
    this.#settle(response);
    if (response.body instanceof ChunkedFillBody) response.body.start();
    this.#abandonIfUnwanted();
  }

  #onNotModified(validating: StoredResponse, head: ResponseHead, responseTime: EpochMs): void {
    if (!selectedBy304(validating.headers, head.headers)) {
      this.#settle({ kind: 'unmatched' });
      return;
    }
    const fresh = this.decision.freshened(validating, head, responseTime);
    if (this.decision.isPurged(fresh.stored)) {
      this.#settle({ kind: 'unmatched' });
      return;
    }
    if (fresh.refusal === undefined && !this.disowned) this.#listener.onStored(fresh.stored, this);
    this.#settle({ kind: 'validated', ...fresh });
  }

  /** Begins the body's way to the store and the readers. */
  #begin(head: ResponseHead, responseTime: EpochMs): FillResponse {
    const decision = this.decision.decide(head, responseTime);
    const { stored, refusal, wasFresh, shareable, length, part, large } = decision;
    if (large !== undefined) {
      const body = this.#inChunks(stored, large, head.status === 206);
      return { kind: 'response', head, stored, refusal, wasFresh, shareable, length, body };
    }
    this.#part = part;
    const writer = this.#writer(refusal, shareable, length);
    const body = new SharedBody({
      writer,
      maxStoredBytes: this.#order.request.site.max_object,
      windowBytes: this.#engine.options.bounds().fillWindowBytes,
      windows: this.#engine.windows,
      flow: this.#flow,
      onAbandoned: () => this.#abandonIfUnwanted(),
    });
    body.shouldStore = refusal === undefined && !this.disowned;
    const kept = refusal === undefined && writer === undefined ? 'no-memory' : refusal;
    return { kind: 'response', head, stored, refusal: kept, wasFresh, shareable, length, body };
  }

  /** Stores the head at once; the body becomes chunks as it comes. */
  #inChunks(head: StoredHead, large: LargeObject, isPart: boolean): ChunkedFillBody {
    const engine = this.#engine;
    const { request } = this.#order;
    const generation = engine.large.for(request, head, large);
    const writer = engine.options.store.begin(0);
    if (writer !== undefined && !this.disowned) {
      const { length } = large;
      const body = writer.commit(0);
      const whole = representationHead(head, length, isPart);
      this.#listener.onStored({ ...whole, trailers: [], length, body, generation: generation.id }, this);
    }
    writer?.abort();
    return new ChunkedFillBody({
      engine,
      generation,
      large,
      request,
      head,
      flow: this.#flow,
      onStopped: () => {
        this.#flow.abort();
        this.#close();
      },
      onUnread: () => this.#abandonIfUnwanted(),
    });
  }

  /** A body that others wait for is held whole even where it is not kept, so that each reads at its own pace. */
  #writer(refusal: StoreRefusal | undefined, shareable: boolean, length: number | undefined): StoreWriter | undefined {
    const isHeld = shareable && this.#waiting > 1 && (refusal === 'not-hot' || refusal === 'no-freshness');
    return refusal === undefined || isHeld ? this.#engine.options.store.begin(length ?? 0) : undefined;
  }

  onEnd(trailers: RawHeaders): void {
    const response = this.#response;
    if (response !== undefined) {
      const { received } = response.body;
      if (this.#expected !== undefined && received !== this.#expected) {
        this.onError(new HttpError('origin_bad_response', `${received} bytes of body instead of ${this.#expected}`));
        return;
      }
      const body = response.body.end(trailers, this.#part?.start ?? 0);
      if (body !== undefined && !this.disowned) {
        const length = this.#part?.representation ?? received;
        this.#listener.onStored({ ...representationHead(response.stored, length), trailers, length, body }, this);
      }
    }
    this.#close();
  }

  onError(error: HttpError): void {
    if (this.#body?.state === 'open' && this.#body.isStoring) this.#listener.onIncomplete();
    this.#body?.fail(error);
    this.#settle({ kind: 'failed', error });
    this.#close();
  }

  #settle(outcome: FillOutcome): void {
    if (this.outcome !== undefined) return;
    this.outcome = outcome;
    this.#listener.onSettled(outcome, this);
    this.#resolve?.(outcome);
  }

  #close(): void {
    if (this.#done) return;
    this.#done = true;
    this.#listener.onClosed(this);
    this.#releaseIfUnused();
  }

  #abandonIfUnwanted(): void {
    if (this.#done || this.#waiting > 0 || (this.#body?.readers ?? 0) > 0) return;
    if (this.#body instanceof ChunkedFillBody) {
      this.#body.windDown();
      return;
    }
    if (this.#goesOn()) return;
    this.#flow.abort();
    this.onError(new HttpError('client_closed'));
  }

  /** True if the fill continues without waiters and readers. */
  #goesOn(): boolean {
    const response = this.#response;
    const isBackground = this.#isUnread;
    if (response === undefined) return isBackground;
    if (!response.body.isStoring || this.disowned) return false;
    if (isBackground || response.length === undefined) return true; // bounded by max_object and the store
    const { received } = response.body;
    return received * 2 >= response.length || response.length - received <= NEARLY_DONE_BYTES;
  }
}

/** Returns the length of a complete body: Content-Length, or that of the range (RFC 9112, section 8). */
function expectedBytes(method: string, { status, headers }: ResponseHead): number | undefined {
  if (method === 'HEAD' || !allowsContent(status)) return undefined;
  const range = status === 206 ? parseContentRange(fieldValue(headers, 'content-range')) : undefined;
  const ranged = range === undefined || 'unsatisfied' in range ? undefined : range.end - range.start;
  return contentLength(headers) ?? ranged;
}

/** Parts are kept under the head of the whole: 200, with the whole's length (RFC 9111, section 3.4). */
function representationHead(head: StoredHead, length: number, isPart = head.status === 206): StoredHead {
  if (!isPart) return head;
  const headers = [...withoutFields(head.headers, new Set(['content-range', 'content-length']))];
  headers.push('Content-Length', String(length));
  return { ...head, status: 200, statusText: 'OK', headers };
}
