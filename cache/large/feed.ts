/**
 * A body from upstream that becomes chunks as it comes: that of a fill, or the answer to a range. It covers consecutive
 * bytes of one generation, brings each chunk into the store, and gives it to those that read it meanwhile.
 *
 * Only so many chunks ahead of its readers are taken (`demand`); then upstream is held back. Chunks ahead are held
 * until they are read, or its readers have gone (read-ahead.ts). It ends where another feed, or the store, has the next
 * chunk, and when it has no reader.
 *
 * Threads that share the store have feeds of their own. The chunk that is coming, the one behind it, and all that a
 * range has asked for are claimed: readers in other threads wait for those, and a feed ends where another thread has
 * claimed the next chunk.
 * @module
 */
import { HttpError } from '../../http/errors.ts';
import type { ByteRange } from '../../http/fields/range.ts';
import type { CacheRequest, Engine } from '../exchange.ts';
import { SharedBody } from '../shared-body.ts';
import type { ThreadClaim } from '../thread-fills.ts';
import { chunkAt, chunkRange, chunksBefore } from './chunk.ts';
import type { Generation } from './generation.ts';
import type { LargeObjects } from './large-objects.ts';
import { ChunkTransfer } from './transfer.ts';

/**
 * A reader waits so long for a chunk while those of a chunk before it, which is not stored, hold upstream back; then it
 * is asked for besides.
 */
const MAX_HELD_MS = 100;

/** Origin of a feed's bytes. */
export interface FeedSource {
  pause(): void;
  resume(): void;
  /** The feed takes no more of it. */
  stop(): void;
  /** Called when no reader is left; the feed goes on unless `windDown` is called. */
  unread(): void;
}

export interface FeedOptions {
  readonly large: LargeObjects;
  readonly engine: Pick<Engine, 'options' | 'windows'>;
  readonly generation: Generation;
  /** Bytes of the object that the source brings. */
  readonly range: ByteRange;
  /** True to fetch the first chunk even where another feed has it on its way. */
  readonly isWanted: boolean;
  /** Claims of chunks, by index; one that has none is claimed when the one before it comes. */
  readonly claims?: ReadonlyMap<number, ThreadClaim> | undefined;
  readonly asksPeer: CacheRequest['asksPeer'];
  readonly source: FeedSource;
}

export class ChunkFeed {
  readonly #options: FeedOptions;
  /** Chunks that have not begun, in order. */
  readonly #queue: ChunkTransfer[] = [];
  /** Readers, which those of chunks that it has brought are also when it is over. */
  readonly #users = new Set<object>();
  /** Reasons for which upstream is held back. */
  readonly #holds = new Set<'demand' | 'window'>();
  #current: ChunkTransfer | undefined;
  /** Index of the first chunk that is not planned. */
  #planned: number;
  #end: number;
  #isOver = false;
  /** Position of the next byte. */
  position: number;
  /** False where this node does not store what it brings. */
  keeps = true;

  /** @param ahead - Number of chunks that it may bring before a reader asks for more. */
  constructor(options: FeedOptions, ahead: number) {
    const { generation, range, isWanted } = options;
    this.#options = options;
    this.position = range.start;
    this.#end = range.end;
    this.#planned = chunkAt(range.start);
    generation.enter();
    generation.feeds.add(this);
    if (isWanted) this.#plan();
    this.demand(chunkAt(range.start) + ahead);
  }

  get asksPeer(): CacheRequest['asksPeer'] {
    return this.#options.asksPeer;
  }

  /** True when it brings nothing more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  get readers(): number {
    return this.#users.size;
  }

  /** First chunk that it is to bring, if another feed or the store does not. */
  get first(): ChunkTransfer | undefined {
    return this.#current ?? this.#queue[0];
  }

  enter(user: object): void {
    this.#users.add(user);
  }

  /** Idempotent. */
  leave(user: object): void {
    if (!this.#users.delete(user)) return;
    if (this.#users.size === 0) this.#options.generation.held.release(this);
    this.#checkReaders();
  }

  /**
   * Waits for the first byte of a chunk that has not begun.
   *
   * @param next - Called when it is there, or will not come.
   */
  wait(transfer: ChunkTransfer, next: () => void): Promise<void> {
    if (transfer.awaited++ === 0) this.#watch(transfer);
    this.skipUnread();
    return transfer.settled.then(() => {
      transfer.awaited--;
      next();
    });
  }

  /** Leaves a chunk that is waited for to another feed, once the readers of one before it hold this one back. */
  #watch(transfer: ChunkTransfer): void {
    const timer = setInterval(() => {
      if (this.#holds.has('window')) this.leaveTo(transfer.index);
    }, MAX_HELD_MS);
    void transfer.settled.then(() => clearInterval(timer));
  }

  #checkReaders(): void {
    if (this.#users.size === 0 && !this.#isOver) this.#options.source.unread();
    else this.skipUnread();
  }

  /**
   * Passes over the rest of the current chunk if that is neither stored nor read, and would be held back therefore, but
   * a reader waits for a chunk behind it.
   */
  skipUnread(): void {
    const chunk = this.#current;
    if (chunk?.body === undefined || chunk.isDropped || chunk.awaited > 0) return;
    if (chunk.body.isStoring || chunk.body.readers > 0) return;
    if (!this.#queue.some(({ awaited }) => awaited > 0)) return;
    this.#drop(chunk, undefined);
    this.#unhold('window');
  }

  /** Lets it bring the chunks before this index. */
  demand(limit: number): void {
    const { generation, large } = this.#options;
    while (!this.#isOver && this.#planned < Math.min(limit, chunksBefore(this.#end))) {
      if (generation.transfers.has(this.#planned) || large.has(generation, this.#planned)) {
        this.#end = Math.max(this.position, chunkRange(this.#planned, this.#end).start);
        break;
      }
      this.#plan();
    }
    if (this.position >= this.#end) this.#finish();
    else if (this.#current !== undefined || this.#queue.length > 0) this.#unhold('demand');
  }

  #plan(): void {
    const { generation, large } = this.#options;
    const { start, end } = chunkRange(this.#planned, generation.length);
    const range = { start: Math.max(start, this.position), end: Math.min(end, this.#end) };
    const transfer = new ChunkTransfer(this.#planned++, range, { feed: this, unread: large.unread });
    transfer.claim = this.#options.claims?.get(transfer.index);
    generation.transfers.set(transfer.index, transfer);
    this.#queue.push(transfer);
  }

  /** Leaves the chunks from this index on to another feed. */
  leaveTo(index: number): void {
    const { start } = chunkRange(index, this.#end);
    if (start < this.position) return;
    this.#end = start;
    this.#dropFrom(index);
    if (this.position >= this.#end) this.#finish();
  }

  /** Ends it, as it has no reader, with the chunk that has begun if that is stored, and at once otherwise. */
  windDown(): void {
    if (this.#isOver) return;
    this.#dropFrom(0);
    const chunk = this.#current;
    if (chunk?.body?.isStoring !== true) {
      this.#finish();
      return;
    }
    this.#end = chunk.end;
    this.#unhold('demand');
  }

  #dropFrom(index: number, failure?: HttpError): void {
    const kept = this.#queue.findIndex((transfer) => transfer.index >= index);
    if (kept < 0) return;
    for (const transfer of this.#queue.splice(kept)) this.#drop(transfer, failure);
  }

  #drop(transfer: ChunkTransfer, failure: HttpError | undefined): void {
    transfer.drop(failure);
    this.#options.generation.forget(transfer);
  }

  append(bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0 && !this.#isOver) {
      const chunk = this.#current ?? this.#begin();
      if (chunk === undefined) return;
      const piece = rest.length <= chunk.end - this.position ? rest : rest.subarray(0, chunk.end - this.position);
      rest = rest.subarray(piece.length);
      this.position += piece.length;
      chunk.body?.append(piece, this.position === chunk.end);
      if (this.position === chunk.end && this.#current === chunk) this.#complete(chunk);
    }
  }

  #begin(): ChunkTransfer | undefined {
    if (this.#queue.length === 0) this.demand(this.#planned + 1); // bytes that were on their way when it was held back
    const chunk = this.#queue.shift();
    if (chunk === undefined) return undefined;
    const { engine, generation } = this.#options;
    const { start, end } = chunkRange(chunk.index, generation.length);
    const isWhole = chunk.start === start && chunk.end === end;
    const writer = this.keeps && isWhole ? engine.options.store.begin(end - start) : undefined;
    const body = new SharedBody({
      writer,
      maxStoredBytes: end - start,
      windowBytes: engine.options.bounds().fillWindowBytes,
      windows: engine.windows,
      flow: this.#window,
      onAbandoned: () => this.#checkReaders(), // or what it went on for is not to be stored any more
    });
    body.shouldStore = writer !== undefined;
    this.#current = chunk;
    if (writer !== undefined) this.#claim(chunk);
    chunk.begin(body);
    return chunk;
  }

  /** Claims the chunk that begins, and the one behind it, which is left to another thread that has claimed it. */
  #claim(chunk: ChunkTransfer): void {
    const { generation, large, asksPeer } = this.#options;
    if (chunk.claim === undefined) {
      const claim = large.claim(generation, chunk.index, asksPeer);
      if (claim?.kind === 'own') chunk.claim = claim;
    }
    const next = this.#queue[0];
    if (next === undefined || next.claim !== undefined) return;
    const claim = large.claim(generation, next.index, asksPeer);
    if (claim?.kind === 'own') next.claim = claim;
    else if (claim?.kind === 'other' && next.awaited === 0) this.leaveTo(next.index);
  }

  readonly #window = {
    pause: (): void => {
      this.#hold('window');
      this.skipUnread();
    },
    resume: (): void => this.#unhold('window'),
    abort: (): void => undefined,
  };

  #complete(chunk: ChunkTransfer): void {
    const { generation, large } = this.#options;
    const { body } = chunk;
    this.#current = undefined;
    this.#unhold('window');
    const stored = body?.end([], 0);
    if (stored !== undefined) {
      large.put(generation, chunk.index, stored);
      if (!chunk.isRead && this.#users.size > 0) generation.held.hold(chunk, stored);
      else chunk.countAsRead();
    }
    chunk.release();
    if (stored === undefined && !chunk.isRead && !chunk.isDropped) generation.leaveOver(chunk);
    else generation.forget(chunk);
    if (this.position >= this.#end) this.#finish();
    else if (this.#queue.length === 0) this.#hold('demand');
  }

  #hold(reason: 'demand' | 'window'): void {
    if (this.#holds.size === 0) this.#options.source.pause();
    this.#holds.add(reason);
  }

  #unhold(reason: 'demand' | 'window'): void {
    if (this.#holds.delete(reason) && this.#holds.size === 0) this.#options.source.resume();
  }

  /** All that the source has was taken. */
  ended(): void {
    if (this.#isOver) return;
    if (this.position < this.#end) this.fail(new HttpError('origin_bad_response', 'a body ended too early'));
    else this.#close();
  }

  fail(error: HttpError): void {
    if (this.#isOver) return;
    this.#close();
    this.#dropFrom(0, error);
    const chunk = this.#current;
    this.#current = undefined;
    if (chunk !== undefined) this.#drop(chunk, error);
  }

  /** Takes no more. A source that has no more to give ends by itself, and its connection is used again. */
  #finish(): void {
    if (this.#isOver) return;
    this.#close();
    this.#dropFrom(0);
    const chunk = this.#current;
    this.#current = undefined;
    if (chunk !== undefined) this.#drop(chunk, undefined);
    if (this.position < this.#options.range.end) this.#options.source.stop();
  }

  #close(): void {
    this.#isOver = true;
    this.#holds.clear();
    this.#options.generation.feeds.delete(this);
    this.#options.generation.leave();
  }
}
