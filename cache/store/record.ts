/**
 * All variants of a key as one record of bytes: what is stored and not asked
 * for is no object that the garbage collector would have to look at. A record is
 * made when something is stored, and read when it is looked up.
 *
 * ```
 * integer   row of the index       integer   bytes of the record
 * integer   where texts begin      integer   their length; negative: two bytes a character
 * integer   length of the key, the first of the texts
 * integer   serial number
 * integer   how many integers say where bodies lie outside, then these
 * integer   how many variants, then each (`writeVariant`); or that they lie elsewhere (`makeSplitRecord`)
 * texts     one byte a character, if that is enough for all of them
 * bodies    those that are small, one after the other
 * ```
 * @module
 */

import { CODINGS, type Coding } from '../../http/fields/content-coding.ts';
import { isLatin1 } from '../../http/fields/headers.ts';
import { epochMs } from '../../lib/clock.ts';
import { uncheckedStamp } from '../ledger.ts';
import type { ResponseDirectives } from '../policy/directives.ts';
import { bodiesOf, type Encoding, type StoredResponse } from '../stored-response.ts';
import type { VaryMember } from '../vary.ts';
import { MemoryBody } from './body.ts';
import type { KeyBytes } from './key-bytes.ts';
import { RecordBytes, RecordReader } from './record-bytes.ts';
import type { StoredBody } from './store.ts';
import { OWN_TEXTS, type Texts } from './texts.ts';

/** Bodies up to this are part of the record. */
export const PACKED_BYTES: number = 16 * 1024;

/** Offsets in a record's header. */
export const [ROW, BYTES, TEXTS, TEXTS_LENGTH, KEY_LENGTH, SERIAL, OUTSIDE, HEAD_BYTES] = [
  0, 4, 8, 12, 16, 20, 24, 28,
] as const;

/** Memory in which records lie. */
export interface RecordMemory {
  readonly buffer: Buffer;
  readonly view: DataView;
}

/** Location of bodies outside of records. */
export interface Outside {
  /** @returns Integers that say where the body is. */
  put(body: StoredBody): readonly number[];
  /** @param next - Returns what `put` returned, one after the other. */
  get(next: () => number): StoredBody;
}

/** Record as it is read: where it lies, and what it refers to. */
export interface RecordSource {
  readonly outside: Outside;
  readonly texts: Texts;
}

/** The record that is being made: one at a time. */
const out = new RecordBytes();
let packed: MemoryBody[] = [];
let texts = '';
let textsBytes = 0;
let isWide = false;
let counts = { key: 0, outside: 0 };

/** Makes the next record. @returns Its bytes; `writeRecord` puts it where it is to be. */
export function makeRecord(
  key: string,
  variants: readonly StoredResponse[],
  { outside, texts: shared }: RecordSource,
): number {
  out.begin(shared);
  packed = [];
  for (let i = 0; i < HEAD_BYTES / 4; i++) out.integer(0);
  const large = variants.flatMap(bodiesOf).filter((body) => !isPacked(body));
  const integers = large.flatMap((body) => outside.put(body));
  for (const integer of integers) out.integer(integer);
  out.integer(variants.length);
  let bodies = 0;
  for (const stored of variants) bodies += writeVariant(stored);
  counts = { key: key.length, outside: integers.length };
  texts = key + out.texts;
  isWide = !isLatin1(texts);
  textsBytes = isWide ? texts.length * 2 : texts.length;
  return out.length + textsBytes + bodies;
}

/** Largest buffer of which Node writes text into any place. */
const MAX_WRITTEN_BUFFER = 2 ** 32 - 1;

/** @param bytes - As `makeRecord` returned them. */
export function writeRecord({ buffer, view }: RecordMemory, at: number, row: number, bytes: number, serial = 0): void {
  out.copyTo(buffer, at);
  const textsAt = out.length;
  view.setInt32(at + ROW, row, true);
  view.setInt32(at + BYTES, bytes, true);
  view.setInt32(at + TEXTS, textsAt, true);
  view.setInt32(at + TEXTS_LENGTH, isWide ? -texts.length : texts.length, true);
  view.setInt32(at + KEY_LENGTH, counts.key, true);
  view.setInt32(at + SERIAL, serial, true);
  view.setInt32(at + OUTSIDE, counts.outside, true);
  // A write into a buffer that goes on for more than 4 GiB ends the process (an assertion of Node's).
  const from = at + textsAt;
  const place = buffer.length > MAX_WRITTEN_BUFFER ? buffer.subarray(from, from + textsBytes) : undefined;
  if (place !== undefined) place.write(texts, isWide ? 'utf16le' : 'latin1');
  else buffer.write(texts, from, isWide ? 'utf16le' : 'latin1');
  let bodyAt = at + textsAt + textsBytes;
  for (const body of packed) bodyAt += body.copyTo(buffer, bodyAt);
  packed = [];
  texts = '';
}

export function recordBytes({ view }: RecordMemory, at: number): number {
  return view.getInt32(at + BYTES, true);
}

/**
 * Makes the next record the one of a key whose variants lie in a value elsewhere, as they need more room than a record
 * may take. @param outside - Integers that say where, then those of the bodies of the variants.
 * @returns Its bytes; `writeRecord` puts it where it is to be.
 */
export function makeSplitRecord(key: string, outside: readonly number[]): number {
  out.begin(OWN_TEXTS);
  for (let i = 0; i < HEAD_BYTES / 4; i++) out.integer(0);
  for (const integer of outside) out.integer(integer);
  out.integer(SPLIT);
  counts = { key: key.length, outside: outside.length };
  texts = key;
  isWide = !isLatin1(key);
  textsBytes = isWide ? key.length * 2 : key.length;
  return out.length + textsBytes;
}

/** Stands for the number of variants in a record whose variants lie elsewhere. */
const SPLIT = -1;

export function isSplit({ view }: RecordMemory, at: number): boolean {
  return view.getInt32(at + HEAD_BYTES + 4 * view.getInt32(at + OUTSIDE, true), true) === SPLIT;
}

/** @returns The integers that say where the record's bodies outside are. */
export function outsideOf({ view }: RecordMemory, at: number): readonly number[] {
  const count = view.getInt32(at + OUTSIDE, true);
  if (count === 0) return NO_NUMBERS;
  return Array.from({ length: count }, (_, i) => view.getInt32(at + HEAD_BYTES + 4 * i, true));
}

const NO_NUMBERS: readonly number[] = [];

export function isKeyOf({ buffer, view }: RecordMemory, at: number, key: KeyBytes): boolean {
  if (view.getInt32(at + KEY_LENGTH, true) !== key.length) return false;
  const start = at + view.getInt32(at + TEXTS, true);
  // In memory that threads share, what is read while it is written anew may be anything.
  if (start < at || start + key.length > buffer.length) return false;
  if (view.getInt32(at + TEXTS_LENGTH, true) < 0)
    return buffer.toString('utf16le', start, start + 2 * key.length) === key.toString();
  return key.wide === undefined && key.isAt(view, start);
}

export function keyOf(slab: RecordMemory, at: number): string {
  return textsOf(slab, at).slice(0, slab.view.getInt32(at + KEY_LENGTH, true));
}

function textsOf({ buffer, view }: RecordMemory, at: number): string {
  const start = at + view.getInt32(at + TEXTS, true);
  const length = view.getInt32(at + TEXTS_LENGTH, true);
  return length < 0
    ? buffer.toString('utf16le', start, start - 2 * length)
    : buffer.toString('latin1', start, start + length);
}

/** @param isKept - Whether it is kept for longer than an answer takes: its bodies then hold no memory but their own. */
export function readRecord(
  slab: RecordMemory,
  at: number,
  { outside, texts: shared }: RecordSource,
  isKept = false,
): readonly StoredResponse[] {
  const { view } = slab;
  const all = textsOf(slab, at);
  const numbers = outsideOf(slab, at);
  const from = new RecordReader(
    view,
    at + HEAD_BYTES + 4 * numbers.length,
    all.slice(view.getInt32(at + KEY_LENGTH, true)),
    shared,
  );
  const place = { slab, at: at + bodiesAt(slab, at), isKept };
  let read = 0;
  const next = (): number => numbers[read++] as number;
  const variants: StoredResponse[] = [];
  for (let left = from.integer(); left > 0; left--) {
    variants.push(readVariant(from, place, () => outside.get(next)));
  }
  return variants;
}

/** Bytes before the record's bodies. */
function bodiesAt({ view }: RecordMemory, at: number): number {
  const length = view.getInt32(at + TEXTS_LENGTH, true);
  return view.getInt32(at + TEXTS, true) + (length < 0 ? -2 * length : length);
}

/** Returns whether the body is small enough to be part of its record. */
export function isPacked(body: StoredBody): boolean {
  const [range, more] = body.ranges;
  return more === undefined && (range === undefined || range.end - range.start <= PACKED_BYTES);
}

/** @returns Bytes of the body that is to be part of the record. */
function writeVariant(stored: StoredResponse): number {
  const { policy, body, stamp, encodings } = stored;
  out.integer(stored.status);
  out.name(stored.statusText);
  out.fields(stored.headers);
  out.fields(stored.trailers);
  out.integer(stored.vary.length);
  for (const { name, value } of stored.vary) {
    out.name(name);
    out.text(value);
  }
  out.list(stored.tags);
  out.double(stamp.asOf);
  out.integer(stamp.epoch);
  writeDirectives(policy.directives);
  out.integer(
    (policy.addressed ? ADDRESSED : 0) |
      (policy.declared ? DECLARED : 0) |
      (encodings === undefined ? 0 : HAS_ENCODINGS),
  );
  out.double(policy.explicitLifetimeMs ?? Number.NaN);
  out.double(policy.lifetimeMs);
  out.double(policy.initialAgeMs);
  out.double(policy.staleWhileRevalidateMs);
  out.double(policy.staleIfErrorMs);
  out.double(stored.responseTime);
  out.double(stored.length);
  out.text(stored.generation);
  const bytes = writeBody(body);
  return encodings === undefined ? bytes : bytes + writeEncodings(encodings);
}

function writeEncodings(encodings: readonly Encoding[]): number {
  let bytes = 0;
  out.integer(encodings.length);
  for (const { coding, isFast, body } of encodings) {
    out.integer(CODINGS.indexOf(coding) | (isFast ? IS_FAST : 0) | (body === undefined ? HAS_NO_BODY : 0));
    if (body !== undefined) bytes += writeBody(body);
  }
  return bytes;
}

/** @returns Bytes of the body that is to be part of the record. */
function writeBody(body: StoredBody): number {
  if (!isPacked(body)) {
    out.double(0);
    return 0;
  }
  const [range] = body.ranges;
  const bytes = range === undefined ? 0 : range.end - range.start;
  out.double(body.id);
  out.double(range?.start ?? 0);
  out.integer(bytes);
  if (bytes > 0) packed.push(body as MemoryBody);
  return bytes;
}

interface RecordCursor {
  readonly slab: RecordMemory;
  at: number;
  readonly isKept: boolean;
}

function readVariant(from: RecordReader, place: RecordCursor, nextOutside: () => StoredBody): StoredResponse {
  const status = from.integer();
  const statusText = from.text() as string;
  const headers = from.list();
  const trailers = from.list();
  const vary = readVary(from);
  const tags = from.list();
  const stamp = uncheckedStamp(from.double(), from.integer());
  const directives = readDirectives(from);
  const by = from.integer();
  const explicit = from.double();
  const policy = {
    directives,
    addressed: (by & ADDRESSED) !== 0,
    declared: (by & DECLARED) !== 0,
    explicitLifetimeMs: Number.isNaN(explicit) ? undefined : explicit,
    lifetimeMs: from.double(),
    initialAgeMs: from.double(),
    staleWhileRevalidateMs: from.double(),
    staleIfErrorMs: from.double(),
  };
  const responseTime = epochMs(from.double());
  const length = from.double();
  const generation = from.text();
  const body = readBody(from, place, nextOutside);
  const encodings = by & HAS_ENCODINGS ? readEncodings(from, place, nextOutside) : undefined;
  return {
    status,
    statusText,
    headers,
    vary,
    tags,
    stamp,
    policy,
    responseTime,
    trailers,
    length,
    body,
    generation,
    encodings,
    facts: undefined, // these have their places in the object from the start
    prepared: undefined,
    forms: undefined,
  };
}

function readEncodings(from: RecordReader, place: RecordCursor, nextOutside: () => StoredBody): readonly Encoding[] {
  const encodings: Encoding[] = [];
  for (let left = from.integer(); left > 0; left--) {
    const bits = from.integer();
    const body = bits & HAS_NO_BODY ? undefined : readBody(from, place, nextOutside);
    encodings.push({ coding: CODINGS[bits & CODING_MASK] as Coding, isFast: (bits & IS_FAST) !== 0, body });
  }
  return encodings;
}

function readBody(from: RecordReader, place: RecordCursor, nextOutside: () => StoredBody): StoredBody {
  const id = from.double();
  if (id === 0) return nextOutside();
  const start = from.double();
  const bytes = from.integer();
  if (bytes === 0) return new MemoryBody(NO_SEGMENTS, { id });
  const { at } = place;
  place.at += bytes;
  // A copy, as the slab is written anew when it is of no use any more. A piece of the shared pool would hold all of
  // that.
  const chunk = place.isKept ? Buffer.allocUnsafeSlow(bytes) : Buffer.allocUnsafe(bytes);
  place.slab.buffer.copy(chunk, 0, at, place.at);
  return new MemoryBody([{ start, end: start + bytes, chunks: [chunk] }], { id });
}

const NO_SEGMENTS: readonly never[] = [];

function readVary(from: RecordReader): readonly VaryMember[] {
  const length = from.integer();
  if (length === 0) return NOTHING;
  const members: VaryMember[] = [];
  for (let i = 0; i < length; i++) members.push({ name: from.text() as string, value: from.text() });
  return members;
}

const NOTHING: readonly VaryMember[] = [];

/** Bits of who says that a response may be stored. */
const [ADDRESSED, DECLARED] = [1, 2] as const;
/** Bit beside them: encodings follow the body. */
const HAS_ENCODINGS = 4;

/** Bits of an encoding, in one integer. */
const [CODING_MASK, IS_FAST, HAS_NO_BODY] = [3, 4, 8] as const;

/** Bits of what a response's directives are, in one integer; numbers and names follow where there are any. */
const [NO_STORE, NO_CACHE, PRIVATE, PUBLIC, MUST_REVALIDATE, PROXY_REVALIDATE, MUST_UNDERSTAND] = [
  1, 2, 4, 8, 16, 32, 64,
] as const;
const [HAS_S_MAXAGE, HAS_MAX_AGE, HAS_WHILE_REVALIDATE, HAS_IF_ERROR, HAS_FIELDS] = [
  128, 256, 512, 1_024, 2_048,
] as const;

function writeDirectives(directives: ResponseDirectives): void {
  const { sMaxage, maxAge, staleWhileRevalidate, staleIfError, noCacheFields, privateFields } = directives;
  const hasFields = noCacheFields.length > 0 || privateFields.length > 0;
  out.integer(
    (directives.noStore ? NO_STORE : 0) |
      (directives.noCache ? NO_CACHE : 0) |
      (directives.isPrivate ? PRIVATE : 0) |
      (directives.isPublic ? PUBLIC : 0) |
      (directives.mustRevalidate ? MUST_REVALIDATE : 0) |
      (directives.proxyRevalidate ? PROXY_REVALIDATE : 0) |
      (directives.mustUnderstand ? MUST_UNDERSTAND : 0) |
      (sMaxage !== undefined ? HAS_S_MAXAGE : 0) |
      (maxAge !== undefined ? HAS_MAX_AGE : 0) |
      (staleWhileRevalidate !== undefined ? HAS_WHILE_REVALIDATE : 0) |
      (staleIfError !== undefined ? HAS_IF_ERROR : 0) |
      (hasFields ? HAS_FIELDS : 0),
  );
  for (const seconds of [sMaxage, maxAge, staleWhileRevalidate, staleIfError]) {
    if (seconds !== undefined) out.double(seconds);
  }
  if (!hasFields) return;
  out.list(noCacheFields);
  out.list(privateFields);
}

function readDirectives(from: RecordReader): ResponseDirectives {
  const bits = from.integer();
  const sMaxage = bits & HAS_S_MAXAGE ? from.double() : undefined;
  const maxAge = bits & HAS_MAX_AGE ? from.double() : undefined;
  const staleWhileRevalidate = bits & HAS_WHILE_REVALIDATE ? from.double() : undefined;
  const staleIfError = bits & HAS_IF_ERROR ? from.double() : undefined;
  return {
    noStore: (bits & NO_STORE) !== 0,
    noCache: (bits & NO_CACHE) !== 0,
    noCacheFields: bits & HAS_FIELDS ? from.list() : NO_FIELDS,
    isPrivate: (bits & PRIVATE) !== 0,
    privateFields: bits & HAS_FIELDS ? from.list() : NO_FIELDS,
    isPublic: (bits & PUBLIC) !== 0,
    mustRevalidate: (bits & MUST_REVALIDATE) !== 0,
    proxyRevalidate: (bits & PROXY_REVALIDATE) !== 0,
    mustUnderstand: (bits & MUST_UNDERSTAND) !== 0,
    sMaxage,
    maxAge,
    staleWhileRevalidate,
    staleIfError,
  };
}

const NO_FIELDS: readonly string[] = [];
