/**
 * One request upstream for consecutive chunks of a generation. It is answered with them, or the generation ends.
 * @module
 */
import { HttpError } from '../../http/errors.ts';
import { contentLength } from '../../http/fields/content-length.ts';
import { fieldValue, withoutFields } from '../../http/fields/headers.ts';
import { type ByteRange, parseContentRange } from '../../http/fields/range.ts';
import type { Flow, ResponseHead, ResponseSink } from '../../http/message.ts';
import type { CacheRequest, Engine } from '../exchange.ts';
import { FillDecision } from '../fill-decision.ts';
import { NO_REQUEST_DIRECTIVES } from '../policy/directives.ts';
import type { StoreRefusal } from '../policy/refusals.ts';
import { isOriginError } from '../policy/status.ts';
import { CONDITIONAL_FIELDS } from '../policy/validation.ts';
import { OF_THE_VISITOR } from '../store-update.ts';
import { strongValidator } from '../stored-response.ts';
import type { ThreadClaim } from '../thread-fills.ts';
import { chunkAt, chunkRange, chunksBefore } from './chunk.ts';
import { ChunkFeed, type FeedSource } from './feed.ts';
import { ChunkRefusedError, type Generation, type GenerationEnd } from './generation.ts';
import type { ChunkTransfer } from './transfer.ts';

/** Statuses that say that the bytes of the generation are not there any more. */
const MISSING_STATUSES: ReadonlySet<number> = new Set([404, 410, 412, 416]);

const TOO_MANY_REQUESTS = 429;

/** Refusals by which the origin takes back that the object may be stored; others are about the head, or this node. */
const FORBIDS: ReadonlySet<StoreRefusal> = new Set<StoreRefusal>(['no-store', 'private', 'rule-never', 'vary-star']);

export class RangedRun implements ResponseSink, FeedSource {
  readonly #engine: Engine;
  readonly #request: CacheRequest;
  readonly #generation: Generation;
  readonly #decision: FillDecision;
  #flow: Flow | undefined;
  readonly feed: ChunkFeed;
  /** The first chunk. */
  readonly first: ChunkTransfer;
  /** Bytes that are asked for. */
  readonly #range: ByteRange;
  /** Cache-Status of the next tier's answer. */
  above: string | undefined;
  #isStopped = false;
  #isVerified = false;

  /**
   * @param range - Cut to what no other feed has on its way, and the store does not have.
   * @param claim - Of the first chunk, among all threads.
   */
  constructor(
    engine: Engine,
    request: CacheRequest,
    generation: Generation,
    range: ByteRange,
    claim?: ThreadClaim | undefined,
  ) {
    this.#engine = engine;
    this.#request = request;
    this.#generation = generation;
    const claims = new Map<number, ThreadClaim>();
    const { start } = range;
    if (claim !== undefined) claims.set(chunkAt(start), claim);
    const end = claimFrom(engine, generation, range, request.asksPeer, claims);
    this.#range = { start, end };
    this.feed = new ChunkFeed(
      {
        large: engine.large,
        engine,
        generation,
        range: this.#range,
        isWanted: true,
        claims,
        asksPeer: request.asksPeer,
        source: this,
      },
      chunksBefore(end) - chunkAt(start),
    );
    this.first = this.feed.first as ChunkTransfer;
    const { keyed, headers, visitor, priority } = request;
    const upstream = {
      method: 'GET',
      target: keyed.target,
      headers: [
        ...withoutFields(headers, NOT_SENT),
        ...['Range', `bytes=${start}-${end - 1}`],
        ...['If-Match', generation.validator, 'If-Range', generation.validator],
      ],
      body: undefined,
      visitor,
      priority,
    };
    const { ledger, now, events } = engine.options;
    const order = {
      request,
      upstream,
      directives: NO_REQUEST_DIRECTIVES,
      validating: undefined,
      isPass: false,
      isBackground: false,
      chunkAbove: Number.POSITIVE_INFINITY,
    };
    this.#decision = new FillDecision(order, ledger, now());
    events.fillStarted();
    this.#flow = request.fetch(upstream, this);
    if (this.#isStopped) this.#flow.abort(); // it was answered at once
  }

  onInterim(): void {
    // each visitor's own request may have had one
  }

  onHead(head: ResponseHead): void {
    const ending = this.#judge(head);
    if (ending === undefined) {
      this.#isVerified = true;
      this.above = fieldValue(head.headers, 'cache-status');
      return;
    }
    const { large } = this.#engine;
    if (!(ending instanceof HttpError)) large.end(this.#generation, ending, this.#request.site.hit_for_miss_ttl);
    this.feed.fail(ending instanceof HttpError ? ending : (this.#generation.ended as HttpError));
    this.stop();
  }

  /** Returns what speaks against the answer, if anything does. */
  #judge(head: ResponseHead): GenerationEnd | HttpError | undefined {
    const { status, headers } = head;
    const { validator, length } = this.#generation;
    const isSame = strongValidator(headers) === validator;
    if (status === 206) {
      const place = parseContentRange(fieldValue(headers, 'content-range'));
      if (place === undefined || 'unsatisfied' in place) return new ChunkRefusedError(status);
      if (!isSame || place.length !== length) return 'changed';
      if (place.start !== this.#range.start || place.end !== this.#range.end) return new ChunkRefusedError(status);
      return this.#refusal(head);
    }
    if (status === 200) return isSame && contentLength(headers) === length ? 'no-ranges' : 'changed';
    if (MISSING_STATUSES.has(status)) return 'changed';
    if (isOriginError(status) || status === TOO_MANY_REQUESTS) {
      return new HttpError('origin_bad_response', `${status} to a range of ${this.#request.keyed.target}`);
    }
    return new ChunkRefusedError(status);
  }

  #refusal(head: ResponseHead): GenerationEnd | HttpError | undefined {
    const { refusal } = this.#decision.decide(head, this.#engine.options.now());
    if (refusal === 'not-hot') this.feed.keeps = false;
    if (refusal === undefined) return undefined;
    if (OF_THE_VISITOR.has(refusal)) return new ChunkRefusedError(head.status);
    return FORBIDS.has(refusal) ? 'policy' : undefined;
  }

  onData(chunk: Buffer): void {
    if (this.#isVerified) this.feed.append(chunk);
  }

  onEnd(): void {
    this.feed.ended();
  }

  onError(error: HttpError): void {
    if (this.feed.isOver) return;
    this.#engine.options.events.fillFailed(error);
    this.feed.fail(error);
  }

  pause(): void {
    this.#flow?.pause();
  }

  resume(): void {
    this.#flow?.resume();
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#flow?.abort();
  }

  unread(): void {
    this.feed.windDown();
  }
}

const NOT_SENT: ReadonlySet<string> = new Set([...CONDITIONAL_FIELDS, 'range']);

/**
 * Claims the chunks behind the first one, as far as none of them is stored, on its way, or claimed by another thread.
 *
 * @returns Where that is, or the end of the range.
 */
function claimFrom(
  { large }: Engine,
  generation: Generation,
  { start, end }: ByteRange,
  asksPeer: boolean,
  claims: Map<number, ThreadClaim>,
): number {
  for (let index = chunkAt(start) + 1; index < chunksBefore(end); index++) {
    if (generation.transfers.has(index) || large.has(generation, index)) return chunkRange(index, end).start;
    const claim = large.claim(generation, index, asksPeer);
    if (claim?.kind === 'other') return chunkRange(index, end).start;
    if (claim !== undefined) claims.set(index, claim);
  }
  return end;
}
