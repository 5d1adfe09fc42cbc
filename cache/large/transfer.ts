/**
 * One chunk on its way from upstream, for any number of readers.
 * @module
 */
import { HttpError } from '../../http/errors.ts';
import type { ByteRange } from '../../http/fields/range.ts';
import type { BodyReader } from '../../http/message.ts';
import type { SharedBody } from '../shared-body.ts';
import type { ThreadClaim } from '../thread-fills.ts';
import type { ChunkFeed } from './feed.ts';
import type { UnreadChunks } from './read-ahead.ts';

const DROPPED = new HttpError('client_closed');

export class ChunkTransfer implements ByteRange {
  readonly index: number;
  /** Position of its first byte in the object; behind the chunk's own start for what cannot be stored. */
  readonly start: number;
  readonly end: number;
  readonly feed: ChunkFeed;
  /** Present from the first byte on. */
  body: SharedBody | undefined;
  /** Set when no byte of it will come. */
  failure: HttpError | undefined;
  /** True when no byte of it will come from this feed, but from another one, or if it is asked for again. */
  isDropped = false;
  /** True once it has had a reader. */
  isRead = false;
  /** Number of readers that wait for its first byte. */
  awaited = 0;
  /** Claim of the chunk among all threads, while it is on its way to the store they share. */
  claim: ThreadClaim | undefined;
  #settled: PromiseWithResolvers<void> | undefined;
  /** Present while it counts as fetched ahead. */
  #unread: UnreadChunks | undefined;

  /** @param unread - Counts it until `countAsRead`. */
  constructor(index: number, { start, end }: ByteRange, { feed, unread }: { feed: ChunkFeed; unread: UnreadChunks }) {
    this.index = index;
    this.start = start;
    this.end = end;
    this.feed = feed;
    this.#unread = unread;
    unread.add();
  }

  /** It has a reader, or will have none. Idempotent. */
  countAsRead(): void {
    this.#unread?.remove();
    this.#unread = undefined;
  }

  /** Resolves when its first byte is there, or will not come. Never rejects. */
  get settled(): Promise<void> {
    this.#settled ??= Promise.withResolvers();
    if (this.body !== undefined || this.failure !== undefined || this.isDropped) this.#settled.resolve();
    return this.#settled.promise;
  }

  begin(body: SharedBody): void {
    this.body = body;
    this.#settled?.resolve();
  }

  /** @param failure - Absent: it may be asked for again. */
  drop(failure: HttpError | undefined): void {
    this.failure = failure;
    this.isDropped = true;
    this.countAsRead();
    this.body?.fail(failure ?? DROPPED);
    this.#settled?.resolve();
    this.release();
  }

  /** It is in the store, or will not be: another thread that waits for it goes on. Idempotent. */
  release(): void {
    this.claim?.release();
    this.claim = undefined;
  }

  hasByteAt(position: number): boolean {
    return position >= this.start && position < this.end;
  }

  /** @param position - In the object. */
  canReadFrom(position: number): boolean {
    return this.hasByteAt(position) && this.body?.canReadFrom(position - this.start) === true;
  }

  /** @param range - In the object; the body must be there. */
  reader({ start, end }: ByteRange): BodyReader {
    this.isRead = true;
    this.countAsRead();
    return (this.body as SharedBody).reader(start - this.start, end - this.start);
  }
}
