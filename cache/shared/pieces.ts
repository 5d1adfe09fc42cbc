/**
 * Values in pieces: bodies, and records that are too large for one (`makeSplitRecord`). Each piece is a record with a
 * row of its own, which leads to it wherever it is moved; it is in no chain and no queue.
 *
 * A piece goes when no record of a key refers to it any more. Until one does, it has an owner: the thread that has
 * written it. Who reads a value pins its pieces; the value can be evicted then, and its bytes stay.
 *
 * A record refers to a value by integers: the two halves of its number, how many ranges it has, for each range the two
 * halves of where it begins and ends and how many pieces it has, then the rows of all pieces.
 * @module
 */

import { bufferFor, bytesForReader, release } from '../../http/body/buffer-pool.ts';
import { LentBuffers } from '../../http/body/lent-buffers.ts';
import type { ByteRange } from '../../http/fields/range.ts';
import type { BodyReader } from '../../http/message.ts';
import { type MemoryWriter, ownedChunk, type Segment, SegmentReader } from '../store/body.ts';
import { PACKED_BYTES } from '../store/record.ts';
import { EvictedError, type StoredBody, type StoreWriter } from '../store/store.ts';
import { PIECE_HEAD, type SharedData } from './shared-data.ts';
import { NO_ROW, OWNER, PLACE, REFERENCES, type SharedRows } from './shared-rows.ts';
import { NO_PLACE, type SharedSlabs } from './slabs.ts';
import type { Threads } from './threads.ts';

/** Bytes that a value costs besides its own: rows and heads of pieces, and what a record says of them. */
const PIECE_COST = 80;
const VALUE_COST = 64;

/** A piece is at least this part of the largest one, unless its value has no more. */
const LEAST_PART = 8;

export interface PieceOptions {
  readonly data: SharedData;
  readonly rows: SharedRows;
  readonly slabs: SharedSlabs;
  readonly threads: Threads;
  readonly thread: number;
  /** Does something with the lock of the store. */
  readonly locked: <T>(action: () => T) => T;
  /** Makes room, with the lock. */
  readonly makeRoom: (bytes: number) => boolean;
}

export class Pieces {
  readonly #options: PieceOptions;

  constructor(options: PieceOptions) {
    this.#options = options;
  }

  /** Stores a value to which no record refers yet. @returns `undefined` if there is no room for it. */
  write(id: number, segments: readonly Segment[]): PiecedBody | undefined {
    const rows: number[] = [];
    const ranges = segments.map(({ start, end }) => ({ start, end, pieces: 0 }));
    for (const [i, { start, end, chunks }] of segments.entries()) {
      const reader = new SegmentReader(chunks, 0, end - start);
      const before = rows.length;
      let rest: Buffer = NO_BYTES;
      for (let left = end - start; left > 0; ) {
        const piece = this.allocate(id, rows.length, left);
        if (piece === undefined) {
          this.discard(rows);
          return undefined;
        }
        rows.push(piece.row);
        for (let at = 0; at < piece.bytes.length; ) {
          if (rest.length === 0) rest = reader.next() ?? NO_BYTES;
          const part = rest.subarray(0, piece.bytes.length - at);
          piece.bytes.set(part, at);
          at += part.length;
          rest = rest.subarray(part.length);
        }
        left -= piece.bytes.length;
        this.unpin(piece.slab);
      }
      (ranges[i] as { pieces: number }).pieces = rows.length - before;
    }
    return new PiecedBody(this, id, ranges, rows);
  }

  /** Begins a body that comes in chunks. */
  writer(options: PieceWriterOptions): PieceWriter {
    return new PieceWriter(this, options);
  }

  /** Frees the pieces of a value if no record refers to it. */
  discardUnstored({ id, rows }: PiecedBody): void {
    const all = this.#options.rows;
    this.#options.locked(() => {
      const isNew = rows.every((row) => all.get(row, REFERENCES) === 0 && all.get(row, OWNER) === this.#options.thread);
      if (isNew && this.isStored({ id, rows })) this.discard(rows);
    });
  }

  /** Frees pieces that no record refers to. */
  discard(pieces: readonly number[]): void {
    this.#options.locked(() => {
      for (const row of pieces) this.#free(row);
      this.#options.slabs.tidy();
    });
  }

  /** Returns whether all pieces are stored; with the lock, so that they stay. */
  isStored({ id, rows }: Pick<PiecedBody, 'id' | 'rows'>): boolean {
    const { data } = this.#options;
    return rows.every((row, number) => {
      const place = this.#options.rows.get(row, PLACE) - 1;
      return place !== NO_PLACE && data.isPieceOf(place, id, number);
    });
  }

  /** A record that refers to the value is about to be linked; with the lock. */
  refer({ rows }: PiecedBody): void {
    for (const row of rows) {
      this.#options.rows.set(row, REFERENCES, this.#options.rows.get(row, REFERENCES) + 1);
      this.#options.rows.set(row, OWNER, 0);
    }
  }

  /** A record that has referred to these values is gone; with the lock. */
  release(integers: readonly number[]): void {
    for (const row of piecesIn(integers)) {
      const references = this.#options.rows.get(row, REFERENCES) - 1;
      this.#options.rows.set(row, REFERENCES, references);
      if (references === 0) this.#free(row);
    }
  }

  /** @param next - Returns integers that refer to a value. */
  read(next: () => number): PiecedBody {
    const { id, ranges, rows } = readReference(next);
    return new PiecedBody(this, id, ranges, rows);
  }

  /**
   * @returns The bytes of all pieces, where they stay until `unpinAll`; `undefined` if the value is not stored any
   * more.
   */
  pinAll({ id, rows }: PiecedBody): readonly Buffer[] | undefined {
    const views: Buffer[] = [];
    for (const [number, row] of rows.entries()) {
      const place = this.#pin(row);
      if (place !== NO_PLACE && this.#options.data.isPieceOf(place, id, number)) {
        views.push(this.#options.data.pieceAt(place));
        continue;
      }
      if (place !== NO_PLACE) this.unpin(this.#options.slabs.slabOf(place));
      this.unpinAll(views);
      return undefined;
    }
    return views;
  }

  unpinAll(views: readonly Buffer[]): void {
    const { slabBytes } = this.#options.slabs;
    for (const { byteOffset } of views) this.unpin(Math.floor(byteOffset / slabBytes));
  }

  unpin(slab: number): void {
    const { threads, thread, slabs, locked } = this.#options;
    threads.unpin(thread, slab);
    if (slabs.isSparse(slab)) {
      locked(() => {
        slabs.settle(slab);
        slabs.tidy();
      });
    }
  }

  /** @returns The rows of the pieces that these integers refer to. */
  piecesOf(integers: readonly number[]): readonly number[] {
    return piecesIn(integers);
  }

  /** Makes references anew after a thread has ended; with the lock. @param integers - Of the records of all keys. */
  repair(pieces: readonly number[], integers: Iterable<readonly number[]>): void {
    const { rows, threads } = this.#options;
    for (const row of pieces) rows.set(row, REFERENCES, 0);
    for (const some of integers) {
      for (const row of piecesIn(some)) {
        rows.set(row, REFERENCES, rows.get(row, REFERENCES) + 1);
        rows.set(row, OWNER, 0);
      }
    }
    for (const row of pieces) {
      const owner = rows.get(row, OWNER);
      if (rows.get(row, REFERENCES) === 0 && (owner === 0 || threads.hasEnded(owner))) rows.publish(row, PLACE, 0);
    }
  }

  /** @returns The place of a row, whose slab is pinned; or `NO_PLACE`. */
  #pin(row: number): number {
    const { rows, slabs, threads, thread } = this.#options;
    for (;;) {
      const place = rows.load(row, PLACE) - 1;
      if (place === NO_PLACE) return NO_PLACE;
      const slab = slabs.slabOf(place);
      threads.pin(thread, slab);
      if (rows.load(row, PLACE) - 1 === place) return place;
      this.unpin(slab); // it has been moved
    }
  }

  /** The last piece of a value has fewer bytes than it was made for. */
  shorten(row: number, bytes: number): void {
    this.#options.data.shorten(this.#options.rows.get(row, PLACE) - 1, bytes);
  }

  /** @returns A piece of at most so many bytes, in a slab that is pinned until they are written. */
  allocate(id: number, number: number, most: number): { row: number; bytes: Buffer; slab: number } | undefined {
    const { data, rows, slabs, threads, thread, makeRoom, locked } = this.#options;
    return locked(() => {
      // What is left of a slab is used up first, unless that is little.
      const rest = slabs.rest - PIECE_HEAD;
      const fits = rest >= slabs.maxRecordBytes / LEAST_PART ? rest : slabs.maxRecordBytes - PIECE_HEAD;
      const bytes = Math.min(most, fits, slabs.maxRecordBytes - PIECE_HEAD);
      if (!makeRoom(slabs.growthBy(PIECE_HEAD + bytes))) return undefined;
      const row = rows.take();
      if (row === NO_ROW) return undefined;
      const place = slabs.allocate(PIECE_HEAD + bytes, row);
      if (place === NO_PLACE) {
        rows.release(row);
        return undefined;
      }
      data.writePieceHead(place, id, number, bytes);
      rows.set(row, REFERENCES, 0);
      rows.set(row, OWNER, thread);
      rows.publish(row, PLACE, place + 1);
      const slab = slabs.slabOf(place);
      threads.pin(thread, slab);
      return { row, bytes: data.pieceAt(place), slab };
    });
  }

  #free(row: number): void {
    const { rows, slabs } = this.#options;
    const place = rows.get(row, PLACE) - 1;
    rows.publish(row, PLACE, 0);
    slabs.release(place);
    rows.release(row);
  }
}

/**
 * Reads copies: what is on its way to a socket may outlast its reader, and the slab is then written anew. Large ones
 * lie in buffers that are used again once they are released.
 */
class CopyingReader implements BodyReader {
  readonly #reader: SegmentReader;
  readonly #lent = new LentBuffers();
  /** Rest of a piece that has been read in part. */
  #rest: Buffer | null = null;

  constructor(reader: SegmentReader) {
    this.#reader = reader;
  }

  next(): Buffer | null {
    const piece = this.#rest ?? this.#reader.next();
    this.#rest = null;
    if (piece === null) return null;
    const copy = bufferFor(Math.min(piece.length, bytesForReader()));
    const bytes = piece.copy(copy);
    if (bytes < piece.length) this.#rest = piece.subarray(bytes);
    this.#lent.add(copy);
    release(copy); // from here on those that look at it have references
    return copy;
  }

  release(): void {
    this.#lent.release();
  }

  close(): void {
    this.#rest = null;
    this.#reader.close();
  }
}

/** Pieces of a body that comes in chunks which are smaller. */
const LEAST_BYTES = 4 * 1024;

export interface PieceWriterOptions {
  readonly small: MemoryWriter;
  readonly id: number;
  readonly expectedBytes: number;
}

export class PieceWriter implements StoreWriter {
  readonly #pieces: Pieces;
  readonly #expectedBytes: number;
  readonly #id: number;
  /** Takes what may become part of a record. */
  readonly #small: MemoryWriter;
  readonly #rows: number[] = [];
  readonly #views: Buffer[] = [];
  #bytes = 0;
  /** Bytes of the last piece that are written. */
  #used = 0;
  #isOpen = true;
  #body: PiecedBody | undefined;

  constructor(pieces: Pieces, options: PieceWriterOptions) {
    this.#pieces = pieces;
    this.#small = options.small;
    this.#id = options.id;
    this.#expectedBytes = options.expectedBytes;
  }

  append(chunk: Buffer, isLast = false): Buffer | undefined {
    if (!this.#isOpen) return undefined;
    const before = this.#rows.length === 0 ? this.#small.bytes : 0;
    if (this.#rows.length === 0 && before + chunk.length <= PACKED_BYTES) return this.#small.append(chunk, isLast);
    if (before > 0) {
      const isMoved = this.#small.chunks.every((one) => this.#write(one, chunk.length));
      this.#small.abort();
      if (!isMoved) return undefined;
    }
    // Not where it lies: it may be on its way to a socket when the last reader has gone, and the slab is written anew.
    return this.#write(chunk, 0) ? ownedChunk(chunk) : undefined;
  }

  get isReadable(): boolean {
    return this.#rows.length > 0;
  }

  read(start: number, end: number): Buffer {
    const reader = new SegmentReader(this.#views, start, end - start);
    const copy = bufferFor(end - start);
    let at = 0;
    for (let piece = reader.next(); piece !== null; piece = reader.next()) at += piece.copy(copy, at);
    return copy;
  }

  commit(start: number): StoredBody {
    this.#isOpen = false;
    const last = this.#rows.at(-1);
    if (last === undefined) return this.#small.commit(start);
    const view = this.#views.pop() as Buffer;
    this.#views.push(view.subarray(0, this.#used));
    if (this.#used < view.length) this.#pieces.shorten(last, this.#used);
    const ranges = [{ start, end: start + this.#bytes, pieces: this.#rows.length }];
    this.#body = new PiecedBody(this.#pieces, this.#id, ranges, this.#rows, this.#views);
    return this.#body;
  }

  abort(): void {
    this.#isOpen = false;
    this.#small.abort();
    if (this.#body !== undefined) this.#body.letGo();
    else if (this.#rows.length > 0) {
      this.#pieces.unpinAll(this.#views.splice(0));
      this.#pieces.discard(this.#rows.splice(0));
    }
  }

  /** @param following - Bytes that are known to follow. @returns False if there is no room. */
  #write(chunk: Buffer, following: number): boolean {
    for (let at = 0; at < chunk.length; ) {
      let piece = this.#views.at(-1);
      if (piece === undefined || this.#used === piece.length) {
        const most = Math.max(chunk.length - at + following, this.#expectedBytes - this.#bytes, LEAST_BYTES);
        const added = this.#pieces.allocate(this.#id, this.#rows.length, most);
        if (added === undefined) return false;
        piece = added.bytes;
        this.#rows.push(added.row);
        this.#views.push(piece);
        this.#used = 0;
      }
      const bytes = Math.min(chunk.length - at, piece.length - this.#used);
      chunk.copy(piece, this.#used, at, at + bytes);
      this.#used += bytes;
      this.#bytes += bytes;
      at += bytes;
    }
    return true;
  }
}

interface PiecedRange extends ByteRange {
  /** Number of its pieces. */
  readonly pieces: number;
}

/** A body in pieces. */
export class PiecedBody implements StoredBody {
  readonly id: number;
  readonly ranges: readonly PiecedRange[];
  readonly size: number;
  readonly rows: readonly number[];
  readonly #pieces: Pieces;
  #holders = 0;
  #views: readonly Buffer[] = [];
  #isWriters = false;
  #isNew = false;

  /** @param views - Of the pieces, pinned by its writer, which retains it: `letGo` releases it. */
  constructor(
    pieces: Pieces,
    id: number,
    ranges: readonly PiecedRange[],
    rows: readonly number[],
    views?: readonly Buffer[],
  ) {
    if (views !== undefined) {
      this.#views = views;
      this.#holders = 1;
      this.#isWriters = true;
      this.#isNew = true;
    }
    this.#pieces = pieces;
    this.id = id;
    this.ranges = ranges;
    this.rows = rows;
    const bytes = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
    this.size = bytes + rows.length * PIECE_COST + VALUE_COST;
  }

  isOf(pieces: Pieces): boolean {
    return this.#pieces === pieces;
  }

  retain(): boolean {
    if (this.#holders === 0) {
      const views = this.#pieces.pinAll(this);
      if (views === undefined) return false;
      this.#views = views;
    }
    this.#holders++;
    return true;
  }

  release(): void {
    if (--this.#holders > 0) return;
    const views = this.#views;
    this.#views = [];
    this.#pieces.unpinAll(views);
    if (this.#isNew) this.#pieces.discardUnstored(this);
    this.#isNew = false;
  }

  /** Its writer, if it has one, does not need it any more. */
  letGo(): void {
    if (!this.#isWriters) return;
    this.#isWriters = false;
    this.release();
  }

  /** Its bytes where they lie; while it is retained. */
  get segments(): readonly Segment[] {
    let at = 0;
    return this.ranges.map(({ start, end, pieces }) => {
      const from = at;
      at += pieces;
      return { start, end, chunks: this.#views.slice(from, at) };
    });
  }

  /** @throws {EvictedError} if it is not stored any more. */
  open(range: ByteRange): BodyReader {
    if (!this.retain()) throw new EvictedError();
    const segment = this.segments.find(({ start, end }) => start <= range.start && end >= range.end);
    const skip = range.start - (segment?.start ?? 0);
    return new CopyingReader(new SegmentReader(segment?.chunks ?? [], skip, range.end - range.start, this));
  }

  /** @returns Integers that refer to it. */
  get reference(): readonly number[] {
    const integers = [...halves(this.id), this.ranges.length];
    for (const { start, end, pieces } of this.ranges) integers.push(...halves(start), ...halves(end), pieces);
    for (const row of this.rows) integers.push(row);
    return integers;
  }
}

function readReference(next: () => number): {
  readonly id: number;
  readonly ranges: readonly PiecedRange[];
  readonly rows: readonly number[];
} {
  const number = (): number => whole(next(), next());
  const id = number();
  const ranges = Array.from({ length: next() }, () => ({ start: number(), end: number(), pieces: next() }));
  const count = ranges.reduce((sum, { pieces }) => sum + pieces, 0);
  return { id, ranges, rows: Array.from({ length: count }, next) };
}

/** @returns The rows of the pieces of all values that these integers refer to. */
function piecesIn(integers: readonly number[]): readonly number[] {
  if (integers.length === 0) return NO_ROWS;
  const all: number[] = [];
  let read = 0;
  const next = (): number => integers[read++] as number;
  while (read < integers.length) for (const row of readReference(next).rows) all.push(row);
  return all;
}

const NO_ROWS: readonly number[] = [];
const NO_BYTES = Buffer.alloc(0);

const HALF = 2 ** 32;

function halves(number: number): [number, number] {
  return [number | 0, Math.floor(number / HALF)];
}

function whole(low: number, high: number): number {
  return high * HALF + (low >>> 0);
}
