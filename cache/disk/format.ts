/**
 * Layout of the file of segments. Integers are little-endian; everything begins at a multiple of 64 bytes. What does
 * not check out is not there: no reader trusts a length before the checksum of the header that says it.
 *
 * A segment begins with a head, and so does what a restarted process adds to it. Records follow. A sealed one ends with
 * rows of an index, and behind them, at its very end, a footer:
 *
 * ```
 * head     0 "SWSG"  4 crc of 8..64     8 format 2, zeros 2  12 identity of the folder 8  20 serial  24 salt
 *         28 salt of the head before it in the segment, 0 in the first
 * record   0 "SWRC"  4 "LIVE" or "DEAD"  8 crc of 12..64 and of the names and the meta behind
 *         12 format 2, zeros 2  16 low half of the identity  20 salt and  24 serial of the head before it
 *         28 hash of the key 8
 *         36 bytes of the key  40 of the term  44 asOf (a double)  52 bytes of the meta  56 of the body
 *         60 crc of the body
 *         64 key, term, meta, body, and zeros up to a multiple of 64
 * rows     each: hash of the key 8, start / 64, bytes / 64
 * footer   0 "SWFT"  4 crc of 8..64     8 format 2, zeros 2  12 identity 8  20 serial of the first head
 *         24 serial of the last head    28 number of rows    32 crc of the rows   36 end of the last record / 64
 *         40 salt of the first head
 * ```
 *
 * A salt is random: what an earlier process wrote behind the place where this one goes on has another. Serials alone do
 * not tell: when the newest head is lost, its serial is given again. So a head names the salt of the one before it, and
 * a footer that of the first.
 *
 * The state of a record is outside of the checksum, so that a removal is one write of 4 bytes.
 * @module
 */
import { crc32 } from 'node:zlib';

/** Version of the layout: a folder of another version is emptied. */
export const FORMAT = 2;

export const UNIT_BYTES = 64;
export const UNIT_BITS = 6;
export const ROW_BYTES = 16;

/** Bytes of the longest key that is stored. */
export const MAX_KEY_BYTES: number = 16 * 1024;

/** Positions in a segment have 20 bits of units. */
export const MAX_SEGMENT_BYTES: number = 64 * 1024 * 1024;

const [HEAD_MAGIC, RECORD_MAGIC, FOOTER_MAGIC] = [0x47535753, 0x43525753, 0x54465753];
const [LIVE, DEAD] = [0x4556494c, 0x44414544];

const STATE_AT = 4;
const RECORD_CRC_AT = 8;

/** Bytes that mark a record as removed, and where they belong. */
export const REMOVED: { readonly at: number; readonly bytes: Buffer } = {
  at: STATE_AT,
  bytes: Buffer.from('DEAD', 'latin1'),
};

/** 64 bits: a random identity, or a hash with a secret key. */
export interface Word64 {
  readonly low: number;
  readonly high: number;
}

/** Head of a segment, or of a part of it; the records behind it repeat both numbers. */
export interface SegmentHead {
  /** Grows with each head that is written. */
  readonly serial: number;
  readonly salt: number;
}

export interface LinkedHead extends SegmentHead {
  /** Salt of the head before it in the segment; 0 in the first. */
  readonly saltBefore: number;
}

export interface RecordHeader {
  readonly isLive: boolean;
  readonly salt: number;
  readonly serial: number;
  readonly hash: Word64;
  readonly key: string;
  /** Identity of the term of the journal in which `asOf` is a number; empty: unknown. */
  readonly term: string;
  readonly asOf: number;
  readonly meta: Buffer;
  readonly bodyBytes: number;
  readonly bodyCrc: number;
  /** Start of the body, from the start of the record. */
  readonly bodyAt: number;
  /** All of the record, in bytes. */
  readonly bytes: number;
}

/** Content of a record, apart from its place. */
export interface Content {
  readonly key: string;
  readonly term: string;
  readonly asOf: number;
  readonly meta: Buffer;
  readonly body: readonly Buffer[];
}

export interface Row {
  readonly hash: Word64;
  /** Position in the segment. */
  readonly start: number;
  readonly bytes: number;
}

export interface Footer {
  readonly first: SegmentHead;
  readonly lastSerial: number;
  readonly rows: number;
  readonly rowsCrc: number;
  readonly end: number;
}

/** @returns The next multiple of a unit. */
export function aligned(bytes: number): number {
  return Math.ceil(bytes / UNIT_BYTES) * UNIT_BYTES;
}

export function recordBytes({ key, term, meta, body }: Content): number {
  let bytes = UNIT_BYTES + Buffer.byteLength(key) + Buffer.byteLength(term) + meta.length;
  for (const chunk of body) bytes += chunk.length;
  return aligned(bytes);
}

/** Writes a record. @param target - With room for `recordBytes`. */
export function writeRecord(
  target: Buffer,
  at: number,
  content: Content,
  place: SegmentHead & { readonly identity: Word64; readonly hash: Word64 },
): void {
  const { key, term, asOf, meta, body } = content;
  const keyBytes = target.write(key, at + UNIT_BYTES, 'utf8');
  const termBytes = target.write(term, at + UNIT_BYTES + keyBytes, 'utf8');
  const metaAt = at + UNIT_BYTES + keyBytes + termBytes;
  meta.copy(target, metaAt);
  const bodyAt = metaAt + meta.length;
  let end = bodyAt;
  let bodyCrc = 0;
  for (const chunk of body) {
    chunk.copy(target, end);
    bodyCrc = crc32(chunk, bodyCrc);
    end += chunk.length;
  }
  target.fill(0, end, at + aligned(end - at));
  target.writeUInt32LE(RECORD_MAGIC, at);
  target.writeUInt32LE(LIVE, at + STATE_AT);
  target.writeUInt16LE(FORMAT, at + 12);
  target.writeUInt16LE(0, at + 14);
  target.writeInt32LE(place.identity.low | 0, at + 16);
  target.writeUInt32LE(place.salt, at + 20);
  target.writeUInt32LE(place.serial, at + 24);
  writeWord(target, at + 28, place.hash);
  target.writeUInt32LE(keyBytes, at + 36);
  target.writeUInt32LE(termBytes, at + 40);
  target.writeDoubleLE(asOf, at + 44);
  target.writeUInt32LE(meta.length, at + 52);
  target.writeUInt32LE(end - bodyAt, at + 56);
  target.writeUInt32LE(bodyCrc, at + 60);
  target.writeUInt32LE(crc32(target.subarray(at + 12, bodyAt)), at + RECORD_CRC_AT);
}

/** Lengths that a record's first 64 bytes give, before anything is checked. */
export interface Claimed {
  /** Up to the body. */
  readonly headBytes: number;
  readonly bytes: number;
}

/** @returns `undefined` for anything that cannot be a record of at most so many bytes. */
export function claimedBytes(source: Buffer, at: number, maxBytes: number): Claimed | undefined {
  if (at + UNIT_BYTES > source.length || source.readUInt32LE(at) !== RECORD_MAGIC) return undefined;
  const headBytes =
    UNIT_BYTES + source.readUInt32LE(at + 36) + source.readUInt32LE(at + 40) + source.readUInt32LE(at + 52);
  const bytes = aligned(headBytes + source.readUInt32LE(at + 56));
  return bytes <= maxBytes ? { headBytes, bytes } : undefined;
}

/**
 * Reads the header of a record, and what stands between it and the body.
 *
 * @returns `undefined` unless all of that is as it was written, in this format and by this folder.
 */
export function readRecord(source: Buffer, at: number, identity: Word64): RecordHeader | undefined {
  const claimed = claimedBytes(source, at, MAX_SEGMENT_BYTES);
  if (claimed === undefined || at + claimed.headBytes > source.length) return undefined;
  const bodyAt = at + claimed.headBytes;
  if (crc32(source.subarray(at + 12, bodyAt)) !== source.readUInt32LE(at + RECORD_CRC_AT)) return undefined;
  if (source.readUInt32LE(at + 12) !== FORMAT || source.readInt32LE(at + 16) !== (identity.low | 0)) return undefined;
  const state = source.readUInt32LE(at + STATE_AT);
  if (state !== LIVE && state !== DEAD) return undefined;
  const keyEnd = at + UNIT_BYTES + source.readUInt32LE(at + 36);
  const termEnd = keyEnd + source.readUInt32LE(at + 40);
  return {
    isLive: state === LIVE,
    salt: source.readUInt32LE(at + 20),
    serial: source.readUInt32LE(at + 24),
    hash: readWord(source, at + 28),
    key: source.toString('utf8', at + UNIT_BYTES, keyEnd),
    term: source.toString('utf8', keyEnd, termEnd),
    asOf: source.readDoubleLE(at + 44),
    meta: source.subarray(termEnd, bodyAt),
    bodyBytes: source.readUInt32LE(at + 56),
    bodyCrc: source.readUInt32LE(at + 60),
    bodyAt: claimed.headBytes,
    bytes: claimed.bytes,
  };
}

/** @param record - Header of the record that begins at `at`. @returns `undefined` unless it is as it was written. */
export function readBody(source: Buffer, at: number, record: RecordHeader): Buffer | undefined {
  const start = at + record.bodyAt;
  if (start + record.bodyBytes > source.length) return undefined;
  const body = source.subarray(start, start + record.bodyBytes);
  return crc32(body) === record.bodyCrc ? body : undefined;
}

export function writeSegmentHead(target: Buffer, at: number, identity: Word64, head: LinkedHead): void {
  target.fill(0, at, at + UNIT_BYTES);
  target.writeUInt32LE(HEAD_MAGIC, at);
  target.writeUInt16LE(FORMAT, at + 8);
  writeWord(target, at + 12, identity);
  target.writeUInt32LE(head.serial, at + 20);
  target.writeUInt32LE(head.salt, at + 24);
  target.writeUInt32LE(head.saltBefore, at + 28);
  seal(target, at);
}

export function readSegmentHead(source: Buffer, at: number, identity: Word64): LinkedHead | undefined {
  if (!isSealed(source, at, HEAD_MAGIC, identity)) return undefined;
  const [serial, salt] = [source.readUInt32LE(at + 20), source.readUInt32LE(at + 24)];
  return { serial, salt, saltBefore: source.readUInt32LE(at + 28) };
}

export function footerBytes(rows: number): number {
  return UNIT_BYTES + rows * ROW_BYTES;
}

/** Writes a row. @param bytes - 0 for a record that was removed: an older one of its key must not come in its place. */
export function writeRow(rows: Buffer, index: number, { hash, start, bytes }: Row): void {
  const at = index * ROW_BYTES;
  writeWord(rows, at, hash);
  rows.writeUInt32LE(start / UNIT_BYTES, at + 8);
  rows.writeUInt32LE(bytes / UNIT_BYTES, at + 12);
}

export function readRow(rows: Buffer, index: number): Row {
  const at = index * ROW_BYTES;
  const start = rows.readUInt32LE(at + 8) * UNIT_BYTES;
  return { hash: readWord(rows, at), start, bytes: rows.readUInt32LE(at + 12) * UNIT_BYTES };
}

/** @returns Rows and footer, which belong at the end of the segment. */
export function makeFooter(
  rows: Buffer,
  count: number,
  segment: {
    readonly identity: Word64;
    readonly first: SegmentHead;
    readonly lastSerial: number;
    readonly end: number;
  },
): Buffer {
  const bytes = Buffer.alloc(footerBytes(count));
  const at = count * ROW_BYTES;
  rows.copy(bytes, 0, 0, at);
  bytes.writeUInt32LE(FOOTER_MAGIC, at);
  bytes.writeUInt16LE(FORMAT, at + 8);
  writeWord(bytes, at + 12, segment.identity);
  bytes.writeUInt32LE(segment.first.serial, at + 20);
  bytes.writeUInt32LE(segment.lastSerial, at + 24);
  bytes.writeUInt32LE(count, at + 28);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, at)), at + 32);
  bytes.writeUInt32LE(segment.end / UNIT_BYTES, at + 36);
  bytes.writeUInt32LE(segment.first.salt, at + 40);
  seal(bytes, at);
  return bytes;
}

/** @param source - The last 64 bytes of a segment. */
export function readFooter(source: Buffer, identity: Word64, segmentBytes: number): Footer | undefined {
  if (!isSealed(source, 0, FOOTER_MAGIC, identity)) return undefined;
  const rows = source.readUInt32LE(28);
  const end = source.readUInt32LE(36) * UNIT_BYTES;
  if (end + footerBytes(rows) > segmentBytes) return undefined;
  const first = { serial: source.readUInt32LE(20), salt: source.readUInt32LE(40) };
  return { first, lastSerial: source.readUInt32LE(24), rows, rowsCrc: source.readUInt32LE(32), end };
}

/** Returns whether these are the rows of the footer, as they were written. */
export function areRowsOf({ rows, rowsCrc }: Footer, source: Buffer): boolean {
  return source.length === rows * ROW_BYTES && crc32(source) === rowsCrc;
}

function seal(target: Buffer, at: number): void {
  target.writeUInt32LE(crc32(target.subarray(at + 8, at + UNIT_BYTES)), at + 4);
}

function isSealed(source: Buffer, at: number, magic: number, identity: Word64): boolean {
  return (
    at + UNIT_BYTES <= source.length &&
    source.readUInt32LE(at) === magic &&
    crc32(source.subarray(at + 8, at + UNIT_BYTES)) === source.readUInt32LE(at + 4) &&
    source.readUInt32LE(at + 8) === FORMAT &&
    isWord(source, at + 12, identity)
  );
}

function writeWord(target: Buffer, at: number, { low, high }: Word64): void {
  target.writeInt32LE(low | 0, at);
  target.writeInt32LE(high | 0, at + 4);
}

function readWord(source: Buffer, at: number): Word64 {
  return { low: source.readInt32LE(at), high: source.readInt32LE(at + 4) };
}

function isWord(source: Buffer, at: number, { low, high }: Word64): boolean {
  return source.readInt32LE(at) === (low | 0) && source.readInt32LE(at + 4) === (high | 0);
}
