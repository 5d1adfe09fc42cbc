/**
 * The end of a segment that is being filled: records are collected in a buffer and written when it is full, or a second
 * after the first of them. What is not written yet can be read from here.
 * @module
 */
import {
  type Content,
  footerBytes,
  makeFooter,
  REMOVED,
  ROW_BYTES,
  type Row,
  readRow,
  recordBytes,
  type SegmentHead,
  UNIT_BYTES,
  type Word64,
  writeRecord,
  writeRow,
  writeSegmentHead,
} from './format.ts';
import type { Space } from './space.ts';
import type { DiskSystem } from './system.ts';

/** A record above this part of the buffer is written by itself. */
const LARGE_PART = 1 / 4;

const FLUSH_MS = 1_000;

const FIRST_ROWS = 256;

/** Buffers that are kept for the next segment's end. */
const MAX_SPARE = 2;

export interface WriterOptions {
  readonly space: Space;
  readonly identity: Word64;
  readonly segmentBytes: number;
  readonly bufferBytes: number;
  /** Buffers that are free, shared by the writers of a store. */
  readonly spare: Buffer[];
  readonly system: DiskSystem;
}

/** Records that an earlier process has left in a segment. */
export interface PartialSegment {
  readonly first: SegmentHead;
  /** Salt of the last head. */
  readonly saltBefore: number;
  readonly rows: readonly Row[];
  readonly end: number;
}

export class SegmentWriter {
  readonly number: number;
  /** First head of the segment. */
  readonly first: SegmentHead;
  readonly lastSerial: number;
  readonly #salt: number;
  readonly #options: WriterOptions;
  /** Position of the segment in the file. */
  readonly #base: number;
  /** Rows of the footer, one for each record. */
  #rows: Buffer;
  #count: number;
  #buffer: Buffer | undefined;
  /** Position of the buffer in the segment. */
  #bufferStart: number;
  #end: number;
  #stopTimer: (() => void) | undefined;

  /**
   * @param serial - Of the head that is written now.
   * @param partial - Records that an earlier process has left in the segment.
   */
  constructor(options: WriterOptions, number: number, serial: number, partial: PartialSegment | undefined) {
    this.#options = options;
    this.#salt = options.system.random(4).readUInt32LE();
    this.number = number;
    this.#base = number * options.segmentBytes;
    const head = { serial, salt: this.#salt, saltBefore: partial?.saltBefore ?? 0 };
    this.first = partial?.first ?? head;
    this.lastSerial = serial;
    this.#rows = Buffer.alloc(Math.max(FIRST_ROWS, (partial?.rows.length ?? 0) * 2) * ROW_BYTES);
    this.#count = 0;
    for (const row of partial?.rows ?? []) this.#addRow(row);
    this.#end = partial?.end ?? 0;
    this.#bufferStart = this.#end;
    writeSegmentHead(this.#room(UNIT_BYTES), this.#end - this.#bufferStart, options.identity, head);
    this.#end += UNIT_BYTES;
  }

  /** Bytes in use. */
  get end(): number {
    return this.#end;
  }

  hasRoom(bytes: number): boolean {
    return this.#end + bytes + footerBytes(this.#count + 1) <= this.#options.segmentBytes;
  }

  /** Adds a record, for which there has to be room. @returns Where it begins in the segment. */
  append(content: Content, hash: Word64): { readonly start: number; readonly bytes: number } {
    const { space, identity, bufferBytes } = this.#options;
    const bytes = recordBytes(content);
    const start = this.#end;
    const place = { identity, serial: this.lastSerial, salt: this.#salt, hash };
    if (bytes > bufferBytes * LARGE_PART) {
      this.flush();
      const own = Buffer.allocUnsafeSlow(bytes);
      writeRecord(own, 0, content, place);
      this.#end += bytes;
      this.#bufferStart = this.#end;
      space.write(this.#base + start, own);
    } else {
      const buffer = this.#room(bytes);
      writeRecord(buffer, start - this.#bufferStart, content, place);
      this.#end += bytes;
    }
    this.#addRow({ hash, start, bytes });
    this.#stopTimer ??= this.#options.system.after(FLUSH_MS, () => this.flush());
    return { start, bytes };
  }

  /** Marks a record as removed, if it has not been handed over yet. @returns Whether it was. */
  remove(start: number): boolean {
    const at = start - this.#bufferStart;
    if (this.#buffer === undefined || at < 0) return false;
    REMOVED.bytes.copy(this.#buffer, at + REMOVED.at);
    return true;
  }

  /** @returns A copy of what has not been handed over yet, or `undefined`. */
  pending(start: number, bytes: number): Buffer | undefined {
    const at = start - this.#bufferStart;
    if (this.#buffer === undefined || at < 0) return undefined;
    return Buffer.from(this.#buffer.subarray(at, at + bytes));
  }

  /** Hands over what was collected. */
  flush(): void {
    this.stop();
    const buffer = this.#buffer;
    const length = this.#end - this.#bufferStart;
    this.#buffer = undefined;
    if (buffer === undefined) return;
    const { space, spare } = this.#options;
    space.write(this.#base + this.#bufferStart, buffer.subarray(0, length), () => {
      if (spare.length < MAX_SPARE) spare.push(buffer);
    });
    this.#bufferStart = this.#end;
  }

  /** Writes the footer. @param isLive - Says whether the record of a row is still the one of its key. */
  seal(isLive: (row: Row) => boolean): void {
    this.flush();
    for (let index = 0; index < this.#count; index++) {
      const row = readRow(this.#rows, index);
      if (row.bytes > 0 && !isLive(row)) writeRow(this.#rows, index, { ...row, bytes: 0 });
    }
    const { space, segmentBytes, identity } = this.#options;
    const { first, lastSerial } = this;
    const footer = makeFooter(this.#rows, this.#count, { identity, first, lastSerial, end: this.#end });
    space.write(this.#base + segmentBytes - footer.length, footer);
  }

  stop(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }

  #addRow(row: Row): void {
    if ((this.#count + 1) * ROW_BYTES > this.#rows.length)
      this.#rows = Buffer.concat([this.#rows, Buffer.alloc(this.#rows.length)]);
    writeRow(this.#rows, this.#count++, row);
  }

  /** @returns The buffer, with room for so many bytes behind what it holds. */
  #room(bytes: number): Buffer {
    const { bufferBytes, spare } = this.#options;
    if (this.#buffer !== undefined && this.#end - this.#bufferStart + bytes > bufferBytes) this.flush();
    this.#buffer ??= spare.pop() ?? Buffer.allocUnsafeSlow(bufferBytes);
    return this.#buffer;
  }
}
