/**
 * Bodies in memory, as the chunks in which they came. Small ones are chunks of
 * their own only until they are stored (record.ts).
 * @module
 */

import { isPartOfPooled, isPooled, release, retain } from '../../http/body/buffer-pool.ts';
import { LentBuffers } from '../../http/body/lent-buffers.ts';
import type { ByteRange } from '../../http/fields/range.ts';
import type { BodyReader } from '../../http/message.ts';
import { EvictedError, type StoredBody, type StoreWriter } from './store.ts';

/** Bodies up to this are kept as one exact Buffer; larger ones as the chunks in which they came. */
const ONE_BUFFER_BYTES = 64 * 1024;

/**
 * A chunk that fills less of its memory than this is copied, so that a small body does not hold a socket's whole read
 * buffer.
 */
const MIN_STORED_SHARE = 0.75;

/**
 * Overhead of a chunk besides its bytes, so that a body in very small ones is counted at its true size. Measured: 480
 * in Node 26.
 */
const CHUNK_BYTES = 480;

/** Chunks that are smaller than this on average are put together before they are kept. */
const SMALL_CHUNK_BYTES = 4 * 1024;

/** A body besides its chunks: objects, arrays. */
const BODY_BYTES = 240;

let lastId = 0;
const nextOwnId = (): number => ++lastId;

/** Called with the memory that bodies take or, if negative, free. */
export type Account = (bytes: number) => void;

export class MemoryWriter implements StoreWriter {
  readonly #reserve: (bytes: number) => boolean;
  readonly #account: Account;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #reserved = 0;
  readonly #nextId: () => number;
  #open = true;

  /** @param nextId - Makes the number of the body. */
  constructor(reserve: (bytes: number) => boolean, account: Account, nextId: () => number = nextOwnId) {
    this.#reserve = reserve;
    this.#account = account;
    this.#nextId = nextId;
  }

  append(chunk: Buffer, isLast = false): Buffer | undefined {
    const cost = chunk.length + CHUNK_BYTES;
    if (!this.#open || !this.#reserve(cost)) return undefined;
    // A small body is copied into its record at once.
    const kept = isLast && this.#bytes + chunk.length < SMALL_CHUNK_BYTES ? chunk : ownedChunk(chunk);
    this.#chunks.push(kept);
    this.#bytes += chunk.length;
    this.#reserved += cost;
    return kept;
  }

  /** Bytes that were appended. */
  get bytes(): number {
    return this.#bytes;
  }

  get chunks(): readonly Buffer[] {
    return this.#chunks;
  }

  commit(start: number): StoredBody {
    const isSmall = this.#bytes <= ONE_BUFFER_BYTES || this.#bytes < this.#chunks.length * SMALL_CHUNK_BYTES;
    const chunks = isSmall ? packed(this.#chunks) : this.#chunks.map(ownedChunk);
    for (const chunk of chunks) retain(chunk);
    const segments = this.#bytes === 0 ? [] : [{ start, end: start + this.#bytes, chunks }];
    const body = new MemoryBody(segments, { id: this.#nextId(), account: this.#account });
    this.abort(); // from here on the body's size counts, not the writer's
    return body;
  }

  abort(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#chunks = [];
    this.#reserve(-this.#reserved);
  }
}

export interface Segment extends ByteRange {
  readonly chunks: readonly Buffer[];
}

export class MemoryBody implements StoredBody {
  readonly id: number;
  readonly ranges: readonly Segment[];
  readonly size: number;
  readonly #account: Account | undefined;
  #holders = 0;
  #isReleased = false;

  /**
   * @param segments - It has a reference of each chunk that counts them (http/body/buffer-pool.ts).
   * @param id - Where it is a body that was there before.
   * @param account - Notified while it is referenced; absent for what is only read out of a record.
   */
  constructor(segments: readonly Segment[], { id = nextOwnId(), account }: { id?: number; account?: Account } = {}) {
    this.id = id;
    this.ranges = segments;
    this.#account = account;
    let bytes = 0;
    let chunks = 0;
    for (const segment of segments) {
      bytes += segment.end - segment.start;
      chunks += segment.chunks.length;
    }
    this.size = bytes + BODY_BYTES + chunks * CHUNK_BYTES;
  }

  /** True once its memory may be in use for something else. */
  get isReleased(): boolean {
    return this.#isReleased;
  }

  retain(): boolean {
    if (this.#isReleased) return false;
    if (this.#holders++ === 0) this.#account?.(this.size);
    return true;
  }

  release(): void {
    if (--this.#holders > 0 || this.#account === undefined) return;
    this.#account(-this.size);
    for (const { chunks } of this.ranges) {
      for (const chunk of chunks) {
        this.#isReleased ||= isPooled(chunk);
        release(chunk);
      }
    }
  }

  /** @param target - With room for the first range. @returns How many bytes that is. */
  copyTo(target: Buffer, offset: number): number {
    let at = offset;
    for (const chunk of this.ranges[0]?.chunks ?? []) at += chunk.copy(target, at);
    return at - offset;
  }

  open(range: ByteRange): BodyReader {
    if (this.#account !== undefined && !this.retain()) throw new EvictedError();
    const segment = this.ranges.find(({ start, end }) => start <= range.start && end >= range.end);
    return new SegmentReader(
      segment?.chunks ?? [],
      range.start - (segment?.start ?? 0),
      range.end - range.start,
      this.#account && this,
    );
  }
}

export class SegmentReader implements BodyReader {
  readonly #chunks: readonly Buffer[];
  #index = 0;
  #offset: number;
  #left: number;
  #held: Pick<StoredBody, 'release'> | undefined;
  readonly #lent = new LentBuffers();

  /** @param held - Let go when the reader is closed or at its end. */
  constructor(chunks: readonly Buffer[], skip: number, bytes: number, held?: Pick<StoredBody, 'release'>) {
    this.#chunks = chunks;
    this.#held = held;
    this.#offset = skip;
    this.#left = bytes;
    while (this.#index < chunks.length && this.#offset >= (chunks[this.#index] as Buffer).length) {
      this.#offset -= (chunks[this.#index++] as Buffer).length;
    }
  }

  next(): Buffer | null {
    const chunk = this.#chunks[this.#index];
    if (this.#left <= 0 || chunk === undefined) {
      this.close();
      return null;
    }
    const end = Math.min(chunk.length, this.#offset + this.#left);
    const piece = this.#offset === 0 && end === chunk.length ? chunk : chunk.subarray(this.#offset, end);
    this.#lent.add(chunk);
    this.#left -= piece.length;
    this.#index++;
    this.#offset = 0;
    return piece;
  }

  release(): void {
    this.#lent.release();
  }

  close(): void {
    this.#left = 0;
    this.#held?.release();
    this.#held = undefined;
  }
}

/** Joins segments of one representation; bytes that both hold are taken from `first`. */
export function combined(
  first: readonly Segment[],
  second: readonly Segment[],
  account: Account,
  id: number = nextOwnId(),
): MemoryBody {
  const segments: Segment[] = [...first];
  for (const segment of second) {
    let gapStart = segment.start;
    for (const { start, end } of first) {
      if (end <= gapStart || start >= segment.end) continue;
      if (start > gapStart) segments.push(slice(segment, gapStart, start));
      gapStart = Math.max(gapStart, end);
    }
    if (gapStart < segment.end) segments.push(slice(segment, gapStart, segment.end));
  }
  segments.sort((a, b) => a.start - b.start);
  const joined: Segment[] = [];
  for (const segment of segments) {
    const last = joined.at(-1);
    if (last?.end === segment.start) {
      joined[joined.length - 1] = { start: last.start, end: segment.end, chunks: [...last.chunks, ...segment.chunks] };
    } else {
      joined.push(segment);
    }
  }
  const owned = joined.map((segment) => ({ ...segment, chunks: segment.chunks.map(ownedChunk) }));
  for (const { chunks } of owned) for (const chunk of chunks) retain(chunk);
  return new MemoryBody(owned, { id, account });
}

function slice(segment: Segment, start: number, end: number): Segment {
  if (start === segment.start && end === segment.end) return segment;
  const reader = new SegmentReader(segment.chunks, start - segment.start, end - start);
  const chunks: Buffer[] = [];
  for (let piece = reader.next(); piece !== null; piece = reader.next()) {
    chunks.push(ownedChunk(piece));
    reader.release();
  }
  return { start, end, chunks };
}

/** The chunk itself, or a copy where it would hold much more memory than it has bytes, or may be used again. */
export function ownedChunk(chunk: Buffer): Buffer {
  if (chunk.length >= chunk.buffer.byteLength * MIN_STORED_SHARE && !isPartOfPooled(chunk)) return chunk;
  const copy = Buffer.allocUnsafeSlow(chunk.length); // not from the shared pool, which would be held whole
  chunk.copy(copy);
  return copy;
}

/** The same bytes in chunks of at least `ONE_BUFFER_BYTES`, but for the last. */
function packed(chunks: readonly Buffer[]): readonly Buffer[] {
  const result: Buffer[] = [];
  let begin = 0;
  let bytes = 0;
  chunks.forEach((chunk, index) => {
    bytes += chunk.length;
    if (bytes < ONE_BUFFER_BYTES && index < chunks.length - 1) return;
    result.push(index === begin ? chunk : exactConcat(chunks.slice(begin, index + 1), bytes));
    begin = index + 1;
    bytes = 0;
  });
  return result;
}

function exactConcat(chunks: readonly Buffer[], bytes: number): Buffer {
  const whole = Buffer.allocUnsafeSlow(bytes);
  let offset = 0;
  for (const chunk of chunks) offset += chunk.copy(whole, offset);
  return whole;
}
