/**
 * Chunks that were fetched ahead of their readers. Until the first one reads it, a chunk is held, as what has just come
 * is the first to be evicted where all else is used often; and the chunks of all readers together take a part of the
 * memory only.
 * @module
 */
import type { StoredBody } from '../store/store.ts';
import { CHUNK_BYTES } from './chunk.ts';
import type { ChunkFeed } from './feed.ts';
import type { ChunkTransfer } from './transfer.ts';

/** Ahead of a reader come at most so many chunks; fewer where they would be a large part of the memory. */
export const MAX_AHEAD = 8;
const MEMORY_OF_A_CHUNK_AHEAD: number = 64 * 1024 * 1024;

/** Part of the memory that chunks may take which have no reader yet. */
const SHARE_OF_MEMORY = 1 / 4;

/** Chunks of a node that are on their way, or held, and have no reader yet. */
export class UnreadChunks {
  #count = 0;

  /** @param maxBytes - Of the store. @returns Number of chunks that may come ahead of a reader; 0 for none. */
  allowance(maxBytes: number): number {
    const most = Math.min(MAX_AHEAD, Math.max(1, Math.floor(maxBytes / MEMORY_OF_A_CHUNK_AHEAD)));
    const left = Math.floor((maxBytes * SHARE_OF_MEMORY) / CHUNK_BYTES) - this.#count;
    return Math.max(0, Math.min(most, left));
  }

  add(): void {
    this.#count++;
  }

  remove(): void {
    this.#count--;
  }

  get size(): number {
    return this.#count;
  }
}

interface HeldChunk {
  readonly body: StoredBody;
  readonly transfer: ChunkTransfer;
}

/** Chunks of a generation that are complete and stored, but not read; they are there even if they are evicted. */
export class HeldChunks {
  readonly #chunks = new Map<number, HeldChunk>();

  has(index: number): boolean {
    return this.#chunks.has(index);
  }

  hold(transfer: ChunkTransfer, body: StoredBody): void {
    this.#release(transfer.index);
    if (body.retain()) this.#chunks.set(transfer.index, { body, transfer });
    else transfer.countAsRead();
  }

  /** Gives a chunk to its first reader. @param use - Retains it, if that is wanted. */
  take<Result>(index: number, use: (body: StoredBody) => Result): Result | undefined {
    const held = this.#chunks.get(index);
    if (held === undefined) return undefined;
    try {
      return use(held.body);
    } finally {
      this.#release(index);
    }
  }

  /** Releases the chunks that a feed has brought, or all. */
  release(feed?: ChunkFeed): void {
    for (const [index, { transfer }] of this.#chunks) {
      if (feed === undefined || transfer.feed === feed) this.#release(index);
    }
  }

  #release(index: number): void {
    const held = this.#chunks.get(index);
    this.#chunks.delete(index);
    held?.body.release();
    held?.transfer.countAsRead();
  }
}
