/**
 * Reads the segments that an earlier process left: rows from footers, and from the records themselves where a segment
 * has no footer that belongs to it. Nothing says that a process ended well, and nothing has to.
 * @module
 */
import {
  areRowsOf,
  claimedBytes,
  type Footer,
  footerBytes,
  ROW_BYTES,
  type Row,
  readFooter,
  readRecord,
  readRow,
  readSegmentHead,
  type SegmentHead,
  UNIT_BYTES,
  type Word64,
} from './format.ts';
import { HANG_MS, type Space } from './space.ts';

export interface FoundSegment {
  readonly number: number;
  readonly first: SegmentHead;
  readonly lastSerial: number;
  /** Salt of the last head; `undefined` in a sealed segment, which gets no other. */
  readonly lastSalt: number | undefined;
  /** Start of the next record. */
  readonly end: number;
  readonly rows: readonly Row[];
}

export interface Segments {
  readonly space: Space;
  readonly identity: Word64;
  readonly segmentBytes: number;
}

const SCAN_BYTES = 1024 * 1024;

/** @returns What is in the segment, or `undefined` if nothing of this folder is. */
export async function readSegment(segments: Segments, number: number): Promise<FoundSegment | undefined> {
  const { space, identity, segmentBytes } = segments;
  const base = number * segmentBytes;
  const [head, tail] = await Promise.all([
    space.read(base, UNIT_BYTES, HANG_MS),
    space.read(base + segmentBytes - UNIT_BYTES, UNIT_BYTES, HANG_MS),
  ]);
  const first = readSegmentHead(head, 0, identity);
  if (first === undefined) return undefined;
  const footer = readFooter(tail, identity, segmentBytes);
  const isOfHead = footer?.first.serial === first.serial && footer.first.salt === first.salt;
  const rows = isOfHead ? await readRows(segments, number, footer) : undefined;
  if (footer === undefined || rows === undefined) return scan(segments, number, first);
  return { number, first, lastSerial: footer.lastSerial, lastSalt: undefined, end: footer.end, rows };
}

async function readRows(
  { space, segmentBytes }: Segments,
  number: number,
  footer: Footer,
): Promise<readonly Row[] | undefined> {
  const bytes = footer.rows * ROW_BYTES;
  const position = (number + 1) * segmentBytes - footerBytes(footer.rows);
  const source = bytes === 0 ? NO_BYTES : await space.read(position, bytes, HANG_MS);
  if (!areRowsOf(footer, source)) return undefined;
  return Array.from({ length: footer.rows }, (_, index) => readRow(source, index));
}

const NO_BYTES = Buffer.alloc(0);

/** Goes from record to record, up to the first that does not check out. Bodies are checked when they are asked for. */
async function scan(segments: Segments, number: number, first: SegmentHead): Promise<FoundSegment> {
  const { identity, segmentBytes } = segments;
  const window = new Window(segments, number * segmentBytes);
  const rows: Row[] = [];
  let { serial, salt } = first;
  let end = UNIT_BYTES;
  while (end + UNIT_BYTES <= segmentBytes) {
    await window.show(end, UNIT_BYTES);
    const next = readSegmentHead(window.bytes, window.at(end), identity);
    if (next !== undefined && next.saltBefore === salt && next.serial > serial) {
      ({ serial, salt } = next);
      end += UNIT_BYTES;
      continue;
    }
    const claimed = claimedBytes(window.bytes, window.at(end), segmentBytes - end);
    if (claimed === undefined) break;
    await window.show(end, claimed.headBytes);
    const record = readRecord(window.bytes, window.at(end), identity);
    if (record === undefined || record.serial !== serial || record.salt !== salt) break;
    rows.push({ hash: record.hash, start: end, bytes: record.isLive ? record.bytes : 0 });
    end += record.bytes;
  }
  return { number, first, lastSerial: serial, lastSalt: salt, end, rows };
}

/** A part of the segment, which moves along. */
class Window {
  readonly #segments: Segments;
  readonly #base: number;
  #start = 0;
  bytes: Buffer = NO_BYTES;

  constructor(segments: Segments, base: number) {
    this.#segments = segments;
    this.#base = base;
  }

  /** @returns Index in `bytes`. */
  at(position: number): number {
    return position - this.#start;
  }

  async show(position: number, bytes: number): Promise<void> {
    if (position >= this.#start && position + bytes <= this.#start + this.bytes.length) return;
    const { space, segmentBytes } = this.#segments;
    const length = Math.min(Math.max(SCAN_BYTES, bytes), segmentBytes - position);
    this.#start = position;
    this.bytes = await space.read(this.#base + position, length, HANG_MS);
  }
}
