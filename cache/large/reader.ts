/**
 * Reads a range of a large object: chunk by chunk from memory, from disk, from what is on its way, and else from
 * upstream. It holds one chunk at a time, asks ahead for the next, and takes no byte of another generation.
 * @module
 */
import { HttpError } from '../../http/errors.ts';
import type { ByteRange } from '../../http/fields/range.ts';
import type { BodyReader } from '../../http/message.ts';
import type { CacheRequest, Engine } from '../exchange.ts';
import type { StampedResponse } from '../ledger.ts';
import { LaggedError } from '../shared-reader.ts';
import type { ThreadClaim } from '../thread-fills.ts';
import { CHUNK_BYTES, chunkAt, chunkRange, chunksBefore } from './chunk.ts';
import type { ChunkFeed } from './feed.ts';
import { type Generation, GenerationEndedError } from './generation.ts';
import { RangedRun } from './ranged-run.ts';
import { MAX_AHEAD } from './read-ahead.ts';
import type { ChunkTransfer } from './transfer.ts';

/** A reader waits for a chunk that another one has asked for, if no more than this comes before it. */
const MAX_WAIT_BYTES = CHUNK_BYTES;

/** A chunk that another thread has claimed is waited for, until it is stored, for no longer than this. */
const MAX_CLAIM_WAIT_MS = 5_000;

/** Requests upstream for one chunk, if it is evicted each time before it can be read. */
const MAX_ATTEMPTS = 5;

/** Sources of chunks, as the metric has them. */
export type ChunkSource = 'memory' | 'disk' | 'collapsed' | 'upstream';

export interface ChunkedReaderOptions {
  readonly engine: Engine;
  /** Request that is answered. */
  readonly request: CacheRequest;
  readonly generation: Generation;
  /** Head that it is answered with: once a purge has named it, no more is asked for. */
  readonly head: StampedResponse;
}

export class ChunkedReader implements BodyReader {
  readonly #options: ChunkedReaderOptions;
  readonly #end: number;
  readonly #feeds = new Set<ChunkFeed>();
  #position: number;
  /** Chunk that is being read, and the one before it, of which pieces may still be looked at. */
  #source: BodyReader | undefined;
  #last: BodyReader | undefined;
  /** Position at which a source broke off last. */
  #brokenAt: number;
  /** Chunks that the next request upstream asks for. */
  #burst: number;
  /** Requests upstream for the chunk at the position, since it was reached. */
  #attempts = 0;
  /** Chunk that was looked up on disk. */
  #loaded = -1;
  /** Chunk that another thread had claimed. */
  #claimed = -1;
  /** Chunk that was not stored when it was looked up. */
  #missed = -1;
  /** True to ask for what is left of a chunk only, as its beginning has passed this reader by. */
  #isBehind = false;
  #isClosed = false;
  /** First request upstream that this reader has made. */
  #run: RangedRun | undefined;
  /** True if its first chunk, or another one so far, had to come from upstream. */
  hasWaited = false;

  constructor(options: ChunkedReaderOptions, range: ByteRange) {
    const { generation, engine } = options;
    this.#options = options;
    this.#position = range.start;
    this.#end = Math.min(range.end, generation.length);
    this.#brokenAt = range.start;
    // A visitor that names the end wants all of it; one that does not may be gone after a second.
    this.#burst = this.#end < generation.length ? Math.max(1, engine.large.ahead) : 1;
    generation.enter();
    this.#enterFeeds(chunkAt(range.start));
  }

  /** Cache-Status of the next tier's answer, where this reader went there. */
  get above(): string | undefined {
    return this.#run?.above;
  }

  /**
   * Waits until the first bytes are there.
   *
   * @returns `undefined` if they are there at once. @throws {HttpError} (or rejects) where they cannot be had.
   */
  ready(): Promise<void> | undefined {
    while (!this.#isClosed && this.#source === undefined && this.#position < this.#end) {
      const source = this.#open();
      if (source instanceof Promise) return source.then(() => this.ready());
      this.#source = source;
    }
    return undefined;
  }

  next(): Buffer | null | Promise<Buffer | null> {
    for (;;) {
      if (this.#isClosed) return null;
      if (this.#position >= this.#end) {
        this.close();
        return null;
      }
      const source = this.#source ?? this.#open();
      if (source instanceof Promise) return source.then(() => this.next());
      this.#source = source;
      let piece: Buffer | null | Promise<Buffer | null>;
      try {
        piece = source.next();
      } catch (error) {
        this.#recover(error);
        continue;
      }
      if (piece instanceof Promise) {
        return piece.then(
          (arrived) => this.#take(arrived) ?? this.next(),
          (error: unknown) => {
            this.#recover(error);
            return this.next();
          },
        );
      }
      const taken = this.#take(piece);
      if (taken !== undefined) return taken;
    }
  }

  #take(piece: Buffer | null): Buffer | undefined {
    if (piece === null) {
      this.#leaveSource();
      return undefined;
    }
    this.#position += piece.length;
    this.#attempts = 0;
    return piece;
  }

  #leaveSource(): void {
    this.#last?.release?.();
    this.#last = this.#source;
    this.#source?.close();
    this.#source = undefined;
  }

  /** Goes on at another source where one broke off; not twice at the same place. */
  #recover(error: unknown): void {
    this.#leaveSource();
    if (error instanceof LaggedError) {
      this.#isBehind = true;
      return;
    }
    const isOver = error instanceof GenerationEndedError || this.#position <= this.#brokenAt;
    this.#brokenAt = this.#position;
    if (isOver) throw error;
  }

  release(): void {
    this.#last?.release?.();
    this.#source?.release?.();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#source?.close();
    this.#source = undefined;
    for (const feed of this.#feeds) feed.leave(this);
    this.#feeds.clear();
    this.#options.generation.leave();
  }

  /** @returns A reader of the chunk at the position, or a promise after which to ask again. */
  #open(): BodyReader | Promise<void> {
    const { engine, generation, request } = this.#options;
    const index = chunkAt(this.#position);
    const { start, end } = chunkRange(index, generation.length);
    const last = Math.min(end, this.#end);
    this.#leaveFeeds(start);
    const stored = engine.large.open(generation, index, { start: this.#position - start, end: last - start });
    if (stored !== undefined) {
      this.#count(index, this.#loaded === index ? 'disk' : 'memory');
      this.#askAhead(index);
      return stored;
    }
    if (!generation.transfers.has(index)) this.#enterFeeds(index); // one that was held back here goes on
    const transfer = generation.transfers.get(index);
    if (transfer !== undefined && this.#mayJoin(transfer)) {
      this.#count(index, 'collapsed');
      return this.#read(transfer, last);
    }
    if (this.#loaded !== index) {
      this.#loaded = index;
      const loading = engine.large.load(generation, index);
      if (loading !== undefined) return loading.then(() => undefined);
    }
    const claim = engine.large.claim(generation, index, request.asksPeer);
    if (claim?.kind === 'other' && this.#claimed !== index) {
      this.#claimed = index;
      this.#count(index, 'collapsed');
      this.hasWaited = true;
      return claim.ended(MAX_CLAIM_WAIT_MS);
    }
    const own = claim?.kind === 'own' ? claim : undefined;
    try {
      if (++this.#attempts > MAX_ATTEMPTS) throw new HttpError('overloaded', 'no room for a chunk');
      this.#count(index, 'upstream');
      return this.#read(this.#start(this.#isBehind ? this.#position : start, index, own), last);
    } catch (error) {
      own?.release();
      throw error;
    }
  }

  #read(transfer: ChunkTransfer, end: number): BodyReader | Promise<void> {
    this.hasWaited = true;
    this.#enter(transfer.feed);
    if (transfer.body !== undefined) return this.#follow(transfer, end);
    return transfer.feed.wait(transfer, () => {
      if (this.#isClosed) {
        transfer.feed.skipUnread();
        return;
      }
      if (transfer.failure !== undefined) this.#recover(transfer.failure);
      else if (transfer.canReadFrom(this.#position)) this.#source = this.#follow(transfer, end);
    });
  }

  #follow(transfer: ChunkTransfer, end: number): BodyReader {
    const reader = transfer.reader({ start: this.#position, end });
    this.#isBehind = false;
    this.#askAhead(transfer.index);
    return reader;
  }

  #mayJoin(transfer: ChunkTransfer): boolean {
    const { feed } = transfer;
    // Two edges that take each other for the owner would wait for each other.
    if (this.#options.request.forPeer && feed.asksPeer) return false;
    if (transfer.body !== undefined) return transfer.canReadFrom(this.#position);
    if (!transfer.hasByteAt(this.#position)) return false;
    if (transfer.start - feed.position <= MAX_WAIT_BYTES) return true;
    feed.leaveTo(transfer.index);
    return false;
  }

  /** Asks upstream for a chunk, and those behind it. */
  #start(position: number, index: number, claim: ThreadClaim | undefined): ChunkTransfer {
    const { engine, request, generation, head } = this.#options;
    if (generation.ended !== undefined) throw generation.ended;
    if (engine.options.ledger.check(head, request.keyed) === 'hard') throw new GenerationEndedError(generation.key);
    const last = Math.min(index + this.#burst, chunksBefore(this.#end));
    this.#burst = Math.max(1, Math.min(this.#burst * 2, engine.large.ahead));
    const range = { start: position, end: chunkRange(last - 1, generation.length).end };
    const run = new RangedRun(engine, request, generation, range, claim);
    this.#run ??= run;
    this.#enter(run.feed);
    return run.first;
  }

  /** Asks for the chunk behind this one, so that it is there in time, and lets feeds go on. */
  #askAhead(index: number): void {
    const { engine, generation, request } = this.#options;
    this.#enterFeeds(index);
    const next = index + 1;
    if (next >= chunksBefore(this.#end) || generation.ended !== undefined || engine.large.ahead === 0) return;
    if (generation.transfers.has(next) || engine.large.has(generation, next)) return;
    if (engine.large.load(generation, next) !== undefined) return;
    const claim = engine.large.claim(generation, next, request.asksPeer);
    if (claim?.kind === 'other') return;
    try {
      this.#start(chunkRange(next, generation.length).start, next, claim);
    } catch (error) {
      claim?.release();
      if (!(error instanceof HttpError)) throw error; // what is needed is asked for again when it is needed
    }
  }

  /** Lets the feed go on that will bring the next chunks, if there is one; it may be held back for want of readers. */
  #enterFeeds(index: number): void {
    const { engine, generation, request } = this.#options;
    let nearest: ChunkFeed | undefined;
    for (const feed of generation.feeds) {
      const at = chunkAt(feed.position);
      if (at < index || at > index + MAX_AHEAD + 1 || (request.forPeer && feed.asksPeer !== false)) continue;
      if (nearest === undefined || feed.position < nearest.position) nearest = feed;
    }
    if (nearest === undefined) return;
    this.#enter(nearest);
    nearest.demand(index + engine.large.ahead + 1);
  }

  #enter(feed: ChunkFeed): void {
    if (feed.isOver || this.#feeds.has(feed)) return;
    this.#feeds.add(feed);
    feed.enter(this);
  }

  /** Leaves the feeds that bring nothing more for this reader, and have brought nothing that it has not read. */
  #leaveFeeds(start: number): void {
    for (const feed of this.#feeds) {
      if (feed.isOver ? feed.position > start : feed.position >= start) continue;
      this.#feeds.delete(feed);
      feed.leave(this);
    }
  }

  #count(index: number, source: ChunkSource): void {
    if (this.#missed === index) return;
    this.#missed = index;
    this.#options.engine.options.events.chunkRead(source);
  }
}
