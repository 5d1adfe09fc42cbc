/**
 * Responses in memory, least recently used first to go, bounded in bytes.
 *
 * A key's variants are one entry of the LRU: what is asked for together stays
 * together. Writes under way count against the same bound, and make room by
 * evicting; so a node's memory for responses never passes `maxBytes`.
 * @module
 */
import { LRUCache } from 'lru-cache';
import type { BodyReader } from '../../http/message.ts';
import type { ByteRange } from '../../http/range.ts';
import { type StoredResponse, sizeOf } from '../stored-response.ts';
import type { Store, StoredBody, StoreWriter } from './store.ts';

/** Bodies up to this are kept as one exact Buffer; larger ones as the chunks in which they came. */
const ONE_BUFFER_BYTES = 64 * 1024;

/** A chunk that fills less of its memory than this is copied, so that a small body does not hold a socket's whole read buffer. */
const WORTH_KEEPING = 0.75;

/** What a chunk costs besides its bytes, so that a body in very small ones counts as what it is. Measured: 480 in Node 26. */
const CHUNK_BYTES = 480;

/** Chunks that are smaller than this on average are put together before they are kept. */
const SMALL_CHUNK_BYTES = 4 * 1024;

/** An upper bound on keys: lru-cache is faster with one, and an entry costs at least this much. */
const MIN_ENTRY_BYTES = 700;

export class MemoryStore implements Store {
  #maxBytes: number;
  #entries: LRUCache<string, readonly StoredResponse[]>;
  #writing = 0;

  /** @param maxBytes - At least 1. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#entries = entries(maxBytes);
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  resize(maxBytes: number): void {
    const before = this.#entries;
    this.#maxBytes = maxBytes;
    this.#entries = entries(maxBytes);
    for (const key of before.rkeys()) this.#entries.set(key, before.peek(key) ?? NONE); // the least recently used first
    this.#makeRoom(0);
  }

  get bytesInUse(): number {
    return this.#entries.calculatedSize + this.#writing;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): readonly StoredResponse[] {
    return this.#entries.get(key) ?? NONE;
  }

  set(key: string, variants: readonly StoredResponse[]): void {
    if (variants.length === 0) {
      this.#entries.delete(key);
      return;
    }
    this.#entries.set(key, variants);
    this.#makeRoom(0);
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  entries(): IterableIterator<readonly [key: string, variants: readonly StoredResponse[]]> {
    return this.#entries.entries();
  }

  begin(expectedBytes: number): StoreWriter | undefined {
    if (this.#writing + expectedBytes > this.#maxBytes) return undefined;
    return new MemoryWriter((bytes) => this.#reserve(bytes));
  }

  combine(first: StoredBody, second: StoredBody): StoredBody {
    return combined(first as MemoryBody, second as MemoryBody);
  }

  /** @param bytes - Negative to give room back. */
  #reserve(bytes: number): boolean {
    if (bytes > 0 && !this.#makeRoom(bytes)) return false;
    this.#writing += bytes;
    return true;
  }

  #makeRoom(bytes: number): boolean {
    if (this.#writing + bytes > this.#maxBytes) return false;
    while (this.#entries.calculatedSize + this.#writing + bytes > this.#maxBytes && this.#entries.size > 0) {
      this.#entries.pop();
    }
    return true;
  }
}

function entries(maxBytes: number): LRUCache<string, readonly StoredResponse[]> {
  return new LRUCache({
    max: Math.max(1, Math.ceil(maxBytes / MIN_ENTRY_BYTES)),
    maxSize: maxBytes,
    sizeCalculation: (variants, key) => variants.reduce((sum, stored) => sum + sizeOf(stored), key.length),
  });
}

const NONE: readonly StoredResponse[] = [];

class MemoryWriter implements StoreWriter {
  readonly #reserve: (bytes: number) => boolean;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #reserved = 0;
  #open = true;

  constructor(reserve: (bytes: number) => boolean) {
    this.#reserve = reserve;
  }

  append(chunk: Buffer): Buffer | undefined {
    const cost = chunk.length + CHUNK_BYTES;
    if (!this.#open || !this.#reserve(cost)) return undefined;
    const kept = ownedChunk(chunk);
    this.#chunks.push(kept);
    this.#bytes += chunk.length;
    this.#reserved += cost;
    return kept;
  }

  commit(start: number): StoredBody {
    const isSmall = this.#bytes <= ONE_BUFFER_BYTES || this.#bytes < this.#chunks.length * SMALL_CHUNK_BYTES;
    const chunks = isSmall ? packed(this.#chunks) : this.#chunks;
    const body = new MemoryBody(this.#bytes === 0 ? [] : [{ start, end: start + this.#bytes, chunks }]);
    this.abort(); // from here on the entry's size counts, not the writer's
    return body;
  }

  abort(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#chunks = [];
    this.#reserve(-this.#reserved);
  }
}

interface Segment extends ByteRange {
  readonly chunks: readonly Buffer[];
}

class MemoryBody implements StoredBody {
  readonly ranges: readonly Segment[];
  readonly size: number;

  constructor(segments: readonly Segment[]) {
    this.ranges = segments;
    let bytes = 0;
    let chunks = 0;
    for (const segment of segments) {
      bytes += segment.end - segment.start;
      chunks += segment.chunks.length;
    }
    this.size = bytes + Math.max(0, chunks - 1) * CHUNK_BYTES; // the first is in what an entry costs anyway
  }

  open(range: ByteRange): BodyReader {
    const segment = this.ranges.find(({ start, end }) => start <= range.start && end >= range.end);
    return new SegmentReader(segment?.chunks ?? [], range.start - (segment?.start ?? 0), range.end - range.start);
  }
}

class SegmentReader implements BodyReader {
  readonly #chunks: readonly Buffer[];
  #index = 0;
  #offset: number;
  #left: number;

  constructor(chunks: readonly Buffer[], skip: number, bytes: number) {
    this.#chunks = chunks;
    this.#offset = skip;
    this.#left = bytes;
    while (this.#index < chunks.length && this.#offset >= (chunks[this.#index] as Buffer).length) {
      this.#offset -= (chunks[this.#index++] as Buffer).length;
    }
  }

  next(): Buffer | null {
    const chunk = this.#chunks[this.#index];
    if (this.#left <= 0 || chunk === undefined) return null;
    const end = Math.min(chunk.length, this.#offset + this.#left);
    const piece = this.#offset === 0 && end === chunk.length ? chunk : chunk.subarray(this.#offset, end);
    this.#left -= piece.length;
    this.#index++;
    this.#offset = 0;
    return piece;
  }

  close(): void {
    this.#left = 0;
  }
}

/** Bytes that both hold are taken from `first`. */
function combined(first: MemoryBody, second: MemoryBody): MemoryBody {
  const segments: Segment[] = [...first.ranges];
  for (const segment of second.ranges) {
    let gapStart = segment.start;
    for (const { start, end } of first.ranges) {
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
  return new MemoryBody(joined);
}

function slice(segment: Segment, start: number, end: number): Segment {
  if (start === segment.start && end === segment.end) return segment;
  const reader = new SegmentReader(segment.chunks, start - segment.start, end - start);
  const chunks: Buffer[] = [];
  for (let piece = reader.next(); piece !== null; piece = reader.next()) chunks.push(ownedChunk(piece));
  return { start, end, chunks };
}

/** The chunk itself, or a copy where it would hold much more memory than it has bytes. */
function ownedChunk(chunk: Buffer): Buffer {
  if (chunk.length >= chunk.buffer.byteLength * WORTH_KEEPING) return chunk;
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
