/**
 * The body of a fill that is stored in chunks as it comes, and read from there.
 * @module
 */
import type { HttpError } from '../../http/errors.ts';
import type { RawHeaders } from '../../http/fields/headers.ts';
import type { BodyReader, Flow } from '../../http/message.ts';
import type { CacheRequest, Engine } from '../exchange.ts';
import type { StampedResponse } from '../ledger.ts';
import type { BodyState, FillBody } from '../shared-body.ts';
import { ChunkFeed, type FeedSource } from './feed.ts';
import type { Generation } from './generation.ts';
import type { LargeObject } from './large-object.ts';
import { ChunkedReader } from './reader.ts';

export interface ChunkedFillBodyOptions {
  readonly engine: Engine;
  readonly generation: Generation;
  readonly large: LargeObject;
  /** Request that started the fill. */
  readonly request: CacheRequest;
  readonly head: StampedResponse;
  readonly flow: Flow;
  /** Called when the rest of the response is not wanted. */
  readonly onStopped: () => void;
  /** Called when it has no reader. */
  readonly onUnread: () => void;
}

export class ChunkedFillBody implements FillBody {
  readonly #options: ChunkedFillBodyOptions;
  readonly #feed: ChunkFeed;
  #received = 0;
  #state: BodyState = 'open';
  #hasStarted = false;
  /** True if the rest of the response is not wanted. */
  isStopped = false;
  readonly trailers: RawHeaders = [];
  shouldStore = true;

  constructor(options: ChunkedFillBodyOptions) {
    this.#options = options;
    const { engine, generation, large, request, flow, onUnread } = options;
    const source: FeedSource = {
      pause: () => flow.pause(),
      resume: () => flow.resume(),
      stop: () => this.#stop(),
      unread: onUnread,
    };
    const { asksPeer } = request;
    this.#feed = new ChunkFeed(
      { large: engine.large, engine, generation, range: large, isWanted: false, asksPeer, source },
      engine.large.ahead,
    );
  }

  /** Called once its fill is ready to be stopped. */
  start(): void {
    this.#hasStarted = true;
    if (this.isStopped) this.#options.onStopped();
  }

  #stop(): void {
    if (this.isStopped) return;
    this.isStopped = true;
    if (this.#hasStarted) this.#options.onStopped();
  }

  get received(): number {
    return this.#received;
  }

  get readers(): number {
    return this.#feed.readers;
  }

  /** Its chunks are stored, whatever becomes of the rest. */
  get isStoring(): boolean {
    return this.#state === 'open';
  }

  /** A reader that falls behind reads from the store, or asks for the chunk itself. */
  get isWhole(): boolean {
    return true;
  }

  get state(): BodyState {
    return this.#state;
  }

  canReadFrom(): boolean {
    return this.#state !== 'failed' && this.#options.generation.ended === undefined;
  }

  append(bytes: Buffer): void {
    this.#received += bytes.length;
    this.#feed.append(bytes);
  }

  end(): undefined {
    this.#state = 'ended';
    this.#feed.ended();
  }

  settle(): void {
    // each chunk is settled when it is complete
  }

  fail(error: HttpError): void {
    if (this.#state !== 'open') return;
    this.#state = 'failed';
    this.#feed.fail(error);
  }

  windDown(): void {
    this.#feed.windDown();
  }

  /** @param start - In the body, which may be a part of the object. */
  reader(start: number, end: number, request: CacheRequest = this.#options.request): BodyReader {
    const { engine, generation, head, large } = this.#options;
    const range = { start: large.start + start, end: Math.min(large.start + end, large.end) };
    return new ChunkedReader({ engine, request, generation, head }, range);
  }
}
