/**
 * An upstream whose answers a test gives step by step. It stands for the
 * network: it keeps the protocol of `ResponseSink` whatever the test does,
 * sends nothing while it is held back, and nothing after it was given up.
 * @module
 */
import { HttpError, type HttpErrorCode } from '../../http/errors.ts';
import type { RawHeaders } from '../../http/fields/headers.ts';
import type { Fetch, Flow, ResponseSink, UpstreamRequest, Version } from '../../http/message.ts';
import { UpstreamError } from '../../http/upstream/errors.ts';

export class ScriptedUpstream {
  /** Every request so far, in order. */
  readonly exchanges: ScriptedExchange[] = [];
  /** Called with each request as it arrives. */
  onRequest: (exchange: ScriptedExchange) => void = () => undefined;

  readonly fetch: Fetch = (request, sink) => {
    const exchange = new ScriptedExchange(request, sink);
    this.exchanges.push(exchange);
    this.onRequest(exchange);
    return exchange;
  };

  get count(): number {
    return this.exchanges.length;
  }

  /** Requests that are neither answered in full, nor failed, nor given up. */
  get open(): ScriptedExchange[] {
    return this.exchanges.filter((exchange) => exchange.isOpen);
  }

  /** @param index - From the end where negative: -1 is the newest. */
  at(index: number): ScriptedExchange {
    const exchange = this.exchanges.at(index);
    if (exchange === undefined) throw new RangeError(`upstream has seen ${this.count} requests, not ${index}`);
    return exchange;
  }

  get last(): ScriptedExchange {
    return this.at(-1);
  }
}

type Event =
  | { readonly kind: 'data'; readonly chunk: Buffer }
  | { readonly kind: 'end'; readonly trailers: RawHeaders }
  | { readonly kind: 'error'; readonly error: UpstreamError };

export class ScriptedExchange implements Flow {
  readonly request: UpstreamRequest;
  readonly #sink: ResponseSink;
  readonly #queue: Event[] = [];
  #state: 'waiting' | 'answered' | 'ended' | 'aborted' = 'waiting';
  #paused = false;
  #pumping = false;
  /** Bytes of body that were handed over. */
  delivered = 0;
  /** Number of pauses so far. */
  pauses = 0;

  constructor(request: UpstreamRequest, sink: ResponseSink) {
    this.request = request;
    this.#sink = sink;
  }

  get isOpen(): boolean {
    return this.#state === 'waiting' || this.#state === 'answered';
  }

  get isAborted(): boolean {
    return this.#state === 'aborted';
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  /** Bytes that wait until it is let go on. */
  get queuedBytes(): number {
    return this.#queue.reduce((sum, event) => sum + (event.kind === 'data' ? event.chunk.length : 0), 0);
  }

  pause(): void {
    this.#paused = true;
    this.pauses++;
  }

  resume(): void {
    this.#paused = false;
    // The network goes on later, never from within the call.
    queueMicrotask(() => this.#pump());
  }

  abort(): void {
    if (!this.isOpen) return;
    this.#state = 'aborted';
    this.#queue.length = 0;
  }

  interim(status: number, headers: RawHeaders = []): this {
    if (this.#state === 'waiting') this.#sink.onInterim(status, headers);
    return this;
  }

  head(status: number, headers: RawHeaders = [], version?: Version): this {
    if (this.#state !== 'waiting') return this;
    this.#state = 'answered';
    this.#sink.onHead({ status, statusText: '', headers, version });
    return this;
  }

  data(...chunks: readonly (Buffer | string)[]): this {
    for (const chunk of chunks) this.#queue.push({ kind: 'data', chunk: Buffer.from(chunk as string, 'latin1') });
    this.#pump();
    return this;
  }

  end(trailers: RawHeaders = []): this {
    this.#queue.push({ kind: 'end', trailers });
    this.#pump();
    return this;
  }

  fail(code: HttpErrorCode = 'origin_bad_response'): this {
    const error = new UpstreamError(code, new HttpError(code).fault);
    if (this.#state === 'waiting') {
      this.#state = 'ended';
      this.#sink.onError(error);
    } else {
      this.#queue.push({ kind: 'error', error });
      this.#pump();
    }
    return this;
  }

  /** Head, body and end at once. */
  respond(status: number, headers: RawHeaders = [], body: Buffer | string = ''): this {
    this.head(status, headers);
    if (body.length > 0) this.data(body);
    return this.end();
  }

  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    while (this.#state === 'answered' && !this.#paused) {
      const event = this.#queue.shift();
      if (event === undefined) break;
      this.#deliver(event);
    }
    this.#pumping = false;
  }

  #deliver(event: Event): void {
    switch (event.kind) {
      case 'data':
        this.delivered += event.chunk.length;
        this.#sink.onData(event.chunk);
        break;
      case 'end':
        this.#state = 'ended';
        this.#sink.onEnd(event.trailers);
        break;
      case 'error':
        this.#state = 'ended';
        this.#sink.onError(event.error);
    }
  }
}
