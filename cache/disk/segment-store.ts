/**
 * Records by key in a ring of segments: the newest segment is appended to, the oldest one is drained and then written
 * over. Of what is drained, records that were read since they were written are appended again, up to a quarter of a
 * segment; the others go.
 *
 * Everything may be lost at any moment, and the file may hold anything: a record counts if its header, its key and its
 * body check out, and no later record of its key was seen.
 * @module
 */
import { setImmediate } from 'node:timers/promises';
import { DiskIndex, type Location, MAX_SEGMENTS } from './disk-index.ts';
import type { Identity } from './folder.ts';
import {
  type Content,
  footerBytes,
  MAX_KEY_BYTES,
  MAX_SEGMENT_BYTES,
  REMOVED,
  type Row,
  readBody,
  readRecord,
  recordBytes,
  UNIT_BYTES,
  type Word64,
} from './format.ts';
import type { KeyFilter } from './key-filter.ts';
import { KeyHash } from './key-hash.ts';
import { type FoundSegment, readSegment } from './segment-loader.ts';
import { SegmentWriter, type WriterOptions } from './segment-writer.ts';
import { DiskBusyError, type Space } from './space.ts';
import { DISK_SYSTEM, type DiskSystem } from './system.ts';

const BUFFER_BYTES = 4 * 1024 * 1024;

/** Buffers' worth of writes that may be on their way; beyond that, records are refused. */
const MAX_PENDING_BUFFERS = 4;

/** A ring needs one segment that is written, one that is drained, and some that are neither. */
export const MIN_SEGMENTS = 4;

/** Room for a head, beside a body of 8 MiB. */
const MAX_HEAD_BYTES = 1024 * 1024;

/** Part of a segment that may be appended again when it is drained: so much more is written than is stored. */
const MAX_REINSERTED = 1 / 4;

/** Rows that are looked at in one turn of the event loop. */
const ROWS_A_TURN = 2_048;

/** Segments that are read at a time when a process starts. */
const LOADS_AT_A_TIME = 4;

export interface SegmentStoreOptions {
  readonly space: Space;
  readonly identity: Identity;
  /** Segments of the file. */
  readonly segments: number;
  /** By default, and at most, 64 MiB. */
  readonly segmentBytes?: number | undefined;
  readonly bufferBytes?: number | undefined;
  readonly maxIndexBytes: number;
  /** Filter of its keys, for other threads. */
  readonly filter?: KeyFilter | undefined;
  readonly system?: DiskSystem | undefined;
  /** Removals from the time when the folder could not be written to. */
  readonly removed?: { readonly hashes: readonly Word64[]; readonly keys: Iterable<string> } | undefined;
}

export type AppendRefusal = 'loading' | 'busy' | 'too-large' | 'index-full';

/** Totals since the start. */
export interface SegmentCounts {
  appendedBytes: number;
  reinsertedBytes: number;
  /** Records that did not check out. */
  corrupt: number;
}

interface SealedSegment {
  readonly firstSerial: number;
  readonly lastSerial: number;
}

export class SegmentStore {
  readonly counts: SegmentCounts = { appendedBytes: 0, reinsertedBytes: 0, corrupt: 0 };
  readonly segmentBytes: number;
  /** A larger record is refused. */
  readonly maxRecordBytes: number;
  readonly #options: SegmentStoreOptions;
  readonly #writing: WriterOptions;
  readonly #maxPendingBytes: number;
  readonly #hash: KeyHash;
  readonly #index: DiskIndex;
  /** Segments that are full; `undefined` for one that may be written over. */
  readonly #sealed: (SealedSegment | undefined)[];
  #writer: SegmentWriter | undefined;
  /** The segment that comes next. */
  #next = 0;
  #isNextFree = false;
  #lastSerial = 0;
  /** Hashes of which nothing may be found in a segment that is still to be read; `undefined` when all are. */
  #removed: Map<string, Word64> | undefined;
  /** Removals that are not in the file yet. */
  readonly #unwritten = new Set<Word64>();
  #isClosed = false;

  constructor(options: SegmentStoreOptions) {
    const { space, identity, segments, segmentBytes = MAX_SEGMENT_BYTES, bufferBytes = BUFFER_BYTES } = options;
    const { system = DISK_SYSTEM } = options;
    if (segments < MIN_SEGMENTS || segments > MAX_SEGMENTS || segmentBytes > MAX_SEGMENT_BYTES)
      throw new RangeError(`${segments} segments of ${segmentBytes} bytes`);
    this.#options = options;
    this.segmentBytes = segmentBytes;
    this.#maxPendingBytes = bufferBytes * MAX_PENDING_BUFFERS;
    this.maxRecordBytes = Math.min(segmentBytes / 4, this.#maxPendingBytes / 2 + MAX_HEAD_BYTES);
    this.#writing = { space, identity: identity.id, segmentBytes, bufferBytes, spare: [], system };
    this.#hash = new KeyHash(identity.secret);
    options.filter?.begin(identity.secret);
    this.#index = new DiskIndex(options.filter);
    const { hashes = [], keys = [] } = options.removed ?? {};
    this.#removed = new Map(
      [...hashes, ...[...keys].map((key) => this.hashOf(key))].map((hash) => [nameOf(hash), hash]),
    );
    this.#sealed = new Array(segments).fill(undefined);
  }

  /** Records that can be found. */
  get size(): number {
    return this.#index.size;
  }

  get indexBytes(): number {
    return this.#index.bytes;
  }

  get isLoaded(): boolean {
    return this.#removed === undefined;
  }

  /** Hashes of what the file may still have though it was removed. */
  get unwrittenRemovals(): readonly Word64[] {
    return [...this.#unwritten, ...(this.#removed?.values() ?? [])];
  }

  hashOf(key: string): Word64 {
    return this.#hash.of(key);
  }

  /** Reads what an earlier process has left. @throws The system's error. */
  async load(): Promise<void> {
    const { space, segments, identity } = this.#options;
    const found: FoundSegment[] = [];
    const numbers = Array.from({ length: segments }, (_, number) => number).values();
    const readOn = async (): Promise<void> => {
      for (const number of numbers) {
        const segment = await readSegment({ space, identity: identity.id, segmentBytes: this.segmentBytes }, number);
        if (segment !== undefined) found.push(segment);
      }
    };
    await Promise.all(Array.from({ length: LOADS_AT_A_TIME }, readOn));
    found.sort((a, b) => b.lastSerial - a.lastSerial);
    for (const segment of found) await this.#adopt(segment);
    this.#removed = undefined;
    const newest = found[0];
    this.#lastSerial = newest?.lastSerial ?? 0;
    if (newest !== undefined) this.#next = (newest.number + 1) % segments;
    if (newest?.lastSalt !== undefined) this.#goOnWith(newest, newest.lastSalt);
    void this.#freeNext();
  }

  /** Newest segments come first: what a later one has is not replaced by an earlier one. */
  async #adopt(found: FoundSegment): Promise<void> {
    const { number, rows } = found;
    this.#sealed[number] = serialsOf(found);
    for (let i = rows.length - 1; i >= 0; i--) {
      if (i % ROWS_A_TURN === 0) await setImmediate();
      const { hash, start, bytes } = rows[i] as Row;
      if (this.#index.get(hash) !== undefined) continue;
      if (this.#removed?.has(nameOf(hash))) this.#removeAt(hash, { segment: number, start });
      else if (bytes === 0) this.#removed?.set(nameOf(hash), hash);
      else if (this.#index.bytes < this.#options.maxIndexBytes) this.#index.set(hash, number, start, bytes);
    }
  }

  /** The newest segment is written on, under another serial: what lies behind its end is not taken for part of it. */
  #goOnWith({ number, first, rows, end }: FoundSegment, saltBefore: number): void {
    if (end + 2 * UNIT_BYTES + footerBytes(rows.length + 1) > this.segmentBytes) return;
    this.#writer = new SegmentWriter(this.#writing, number, ++this.#lastSerial, {
      first,
      saltBefore,
      rows,
      end,
    });
    this.#sealed[number] = undefined;
  }

  /** Returns whether something is stored under the key, or would be if nothing else had its hash. */
  has(key: string): boolean {
    return this.#index.get(this.hashOf(key)) !== undefined;
  }

  /** The record is not the first to go when its segment is drained. @returns False if there is none. */
  markUsed(key: string): boolean {
    return this.#index.markUsed(this.hashOf(key));
  }

  /**
   * @returns `undefined` at once if there is nothing; what is read is `undefined` if it does not check out.
   * @throws {DiskBusyError} (rejects), and the system's error.
   */
  read(key: string): Promise<Content | undefined> | undefined {
    const hash = this.hashOf(key);
    const location = this.#index.get(hash);
    return location && this.#read(hash, location, key);
  }

  async #read(hash: Word64, location: Location, key: string | undefined): Promise<Content | undefined> {
    const { segment, start, bytes } = location;
    const writer = this.#writer?.number === segment ? this.#writer : undefined;
    const source =
      writer?.pending(start, bytes) ?? (await this.#options.space.read(segment * this.segmentBytes + start, bytes));
    if (!this.#index.isAt(hash, segment, start)) {
      const moved = key === undefined ? undefined : this.#index.get(hash); // appended again, or replaced
      return moved && this.#read(hash, moved, key);
    }
    const record = readRecord(source, 0, this.#options.identity.id);
    const isExpected =
      record !== undefined &&
      record.bytes === bytes &&
      this.#isOf(segment, record.serial) &&
      record.hash.low === hash.low &&
      record.hash.high === hash.high;
    if (isExpected && record.isLive && key !== undefined && record.key !== key) return undefined; // another's
    const body = isExpected && record.isLive ? readBody(source, 0, record) : undefined;
    if (body === undefined || record === undefined) {
      if (!isExpected || record.isLive) this.counts.corrupt++;
      this.#index.delete(hash);
      return undefined;
    }
    if (key !== undefined) this.#index.markUsed(hash);
    return { key: record.key, term: record.term, asOf: record.asOf, meta: record.meta, body: [body] };
  }

  /** Returns whether records of this serial belong into the segment. */
  #isOf(segment: number, serial: number): boolean {
    const writer = this.#writer?.number === segment ? this.#writer : undefined;
    const range = writer ? serialsOf(writer) : this.#sealed[segment];
    return range !== undefined && serial >= range.firstSerial && serial <= range.lastSerial;
  }

  /** Stores a record in the place of what was stored under its key. @returns Why it was not. */
  append(content: Content): AppendRefusal | undefined {
    const hash = this.hashOf(content.key);
    const bytes = recordBytes(content);
    if (!this.isLoaded || this.#isClosed) return 'loading';
    if (bytes > this.maxRecordBytes || Buffer.byteLength(content.key) > MAX_KEY_BYTES) return 'too-large';
    if (this.#index.bytes >= this.#options.maxIndexBytes && this.#index.get(hash) === undefined) return 'index-full';
    if (!this.#makeRoom(bytes)) return 'busy';
    const before = this.#index.get(hash);
    if (before !== undefined) this.#removeAt(hash, before);
    this.#put(hash, content);
    this.counts.appendedBytes += bytes;
    return undefined;
  }

  #put(hash: Word64, content: Content): void {
    const writer = this.#writer as SegmentWriter;
    const { start, bytes } = writer.append(content, hash);
    this.#index.set(hash, writer.number, start, bytes);
  }

  /** Removes the record of the key, for this process and for later ones. */
  remove(key: string): void {
    this.removeHash(this.hashOf(key));
  }

  removeHash(hash: Word64): void {
    this.#removed?.set(nameOf(hash), hash);
    const location = this.#index.get(hash);
    if (location === undefined) return;
    this.#index.delete(hash);
    this.#removeAt(hash, location);
  }

  #removeAt(hash: Word64, { segment, start }: Pick<Location, 'segment' | 'start'>): void {
    if (this.#writer?.number === segment && this.#writer.remove(start)) return;
    this.#unwritten.add(hash);
    const position = segment * this.segmentBytes + start + REMOVED.at;
    this.#options.space.write(position, REMOVED.bytes, () => this.#unwritten.delete(hash));
  }

  /** Resolves when all that was appended and removed has been handed to the system. */
  async flush(): Promise<void> {
    this.#writer?.flush();
    await this.#options.space.drain();
  }

  /** Flushes first, if it is to last. */
  close(): void {
    this.#isClosed = true;
    this.#writer?.stop();
    this.#index.close();
    this.#options.space.close();
  }

  /** @returns Whether a record of so many bytes can be appended now. */
  #makeRoom(bytes: number): boolean {
    if (this.#options.space.pendingBytes + bytes > this.#maxPendingBytes) return false;
    const reserved = this.#isNextFree ? 0 : this.segmentBytes * MAX_REINSERTED; // for what is drained
    if (this.#writer?.hasRoom(bytes + reserved)) return true;
    if (!this.#isNextFree) return false;
    this.#seal();
    const { segments } = this.#options;
    this.#writer = new SegmentWriter(this.#writing, this.#next, ++this.#lastSerial, undefined);
    this.#next = (this.#next + 1) % segments;
    this.#isNextFree = false;
    void this.#freeNext();
    return true;
  }

  #seal(): void {
    const writer = this.#writer;
    if (writer === undefined) return;
    const { number } = writer;
    writer.seal(({ hash, start }) => this.#index.isAt(hash, number, start));
    this.#sealed[number] = serialsOf(writer);
    this.#writer = undefined;
  }

  /** Makes the next segment one that may be written over. */
  async #freeNext(): Promise<void> {
    const number = this.#next;
    try {
      if (this.#sealed[number] !== undefined) await this.#drain(number);
      this.#isNextFree = true;
    } catch (error) {
      // What could not be read is left for the next process to find, and is no reason to stop: it is written over.
      if (!(error instanceof DiskBusyError) || this.#isClosed) return; // the space has told of its failure
      this.#index.deleteSegment(number);
      this.#forget(number);
      this.#isNextFree = true;
    }
  }

  async #drain(number: number): Promise<void> {
    const { space, identity } = this.#options;
    const found = await readSegment({ space, identity: identity.id, segmentBytes: this.segmentBytes }, number);
    let left = this.segmentBytes * MAX_REINSERTED;
    for (const [index, { hash, start, bytes }] of (found?.rows ?? []).entries()) {
      if (index % ROWS_A_TURN === 0) await setImmediate();
      if (this.#isClosed) return;
      const location = this.#index.get(hash);
      if (location === undefined || location.segment !== number || location.start !== start) continue;
      const isKept = location.isUsed && bytes <= left && (await this.#reinsert(hash, location));
      if (isKept) left -= bytes;
      else if (this.#index.isAt(hash, number, start)) this.#index.delete(hash);
    }
    if (found === undefined || found.lastSalt !== undefined) this.#index.deleteSegment(number); // rows are lost
    this.#forget(number);
  }

  async #reinsert(hash: Word64, location: Location): Promise<boolean> {
    const content = await this.#read(hash, location, undefined);
    if (content === undefined || !this.#index.isAt(hash, location.segment, location.start)) return false;
    const { bytes } = location;
    // Records that are stored leave so much room in the segment, and half of what may be on its way.
    if (!this.#writer?.hasRoom(bytes)) return false;
    if (this.#options.space.pendingBytes + bytes > this.#maxPendingBytes * 2) return false;
    this.#put(hash, content);
    this.counts.reinsertedBytes += bytes;
    return true;
  }

  /** Removes all records of the segment: without its head no reader finds them, even before they are written over. */
  #forget(number: number): void {
    this.#sealed[number] = undefined;
    this.#options.space.write(number * this.segmentBytes, Buffer.alloc(UNIT_BYTES));
  }
}

function serialsOf({ first, lastSerial }: FoundSegment | SegmentWriter): SealedSegment {
  return { firstSerial: first.serial, lastSerial };
}

function nameOf({ low, high }: Word64): string {
  return `${high} ${low}`;
}
