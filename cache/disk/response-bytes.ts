/**
 * Responses of a key as the content of one record: their heads as JSON, their bodies one after the other.
 * @module
 */
import type { ByteRange } from '../../http/fields/range.ts';
import type { BodyReader } from '../../http/message.ts';
import { type EpochMs, epochMs } from '../../lib/clock.ts';
import type { Ledger, Stamp } from '../ledger.ts';
import { EvictedError, type Store, type StoredBody, type StoreWriter } from '../store/store.ts';
import type { StoredResponse } from '../stored-response.ts';
import type { Content } from './format.ts';

/** Meta of a record: a response without its body. `FORMAT` changes with it. */
type Head = Omit<StoredResponse, 'body' | 'stamp' | 'encodings' | 'facts' | 'prepared' | 'forms'> & {
  /** Term and number. */
  readonly asOf: readonly [term: string, seq: number];
  /** Ranges of the body, which follow one another. */
  readonly ranges: readonly (readonly [start: number, end: number])[];
};

/** @returns `undefined` where a body cannot be read at once, or has been evicted. */
export function contentOf(key: string, variants: readonly StoredResponse[], ledger: Ledger): Content | undefined {
  const body: Buffer[] = [];
  const heads: Head[] = [];
  for (const stored of variants) {
    for (const range of stored.body.ranges) if (!collect(stored.body, range, body)) return undefined;
    heads.push(headOf(stored, ledger));
  }
  const [term, asOf] = heads[0]?.asOf ?? ['', 0];
  return { key, term, asOf, meta: Buffer.from(JSON.stringify(heads)), body };
}

function headOf(stored: StoredResponse, ledger: Ledger): Head {
  const { status, statusText, headers, trailers, vary, tags, policy, responseTime, length, generation, stamp, body } =
    stored;
  const { identity = '', seq } = ledger.positionOf(stamp);
  const ranges = body.ranges.map(({ start, end }) => [start, end] as const);
  return {
    status,
    statusText,
    headers,
    trailers,
    vary,
    tags,
    policy,
    responseTime,
    length,
    generation,
    asOf: [identity, seq],
    ranges,
  };
}

function collect(body: StoredBody, range: ByteRange, to: Buffer[]): boolean {
  let reader: BodyReader;
  try {
    reader = body.open(range);
  } catch (error) {
    if (error instanceof EvictedError) return false;
    throw error;
  }
  for (;;) {
    const piece = reader.next();
    if (piece === null) return true;
    if (piece instanceof Promise) {
      piece.catch(() => undefined);
      reader.close();
      return false;
    }
    to.push(piece);
  }
}

/** Clocks of a machine that restarts may be a little behind. */
const MAX_AHEAD_MS = 60_000;

/** Responses of a record, in memory but not stored under their key. */
export interface ReadResponses {
  readonly variants: readonly StoredResponse[];
  /** Gives back the memory that they take; none of what is stored or read by then. Always called. */
  release(): void;
}

/**
 * Brings the responses of a record into memory.
 *
 * @returns `undefined` when there is no room, or when they come from the future: their age cannot be told.
 */
export function responsesOf(
  content: Content,
  { store, ledger, now }: { readonly store: Store; readonly ledger: Ledger; readonly now: EpochMs },
): ReadResponses | undefined {
  const heads = JSON.parse(content.meta.toString()) as Head[]; // its checksum was right, so it is as it was written
  const writers: StoreWriter[] = [];
  const release = (): void => {
    for (const writer of writers) writer.abort();
  };
  const begin = (bytes: number): StoreWriter | undefined => {
    const writer = store.begin(bytes);
    if (writer !== undefined) writers.push(writer);
    return writer;
  };
  const variants: StoredResponse[] = [];
  const bytes = content.body[0] ?? NO_BYTES;
  let at = 0;
  for (const { asOf, ranges, ...head } of heads) {
    const length = ranges.reduce((sum, [start, end]) => sum + end - start, 0);
    const isOfNow = head.responseTime <= now + MAX_AHEAD_MS;
    const body = isOfNow ? bodyOf(store, begin, bytes.subarray(at, at + length), ranges) : undefined;
    if (body === undefined) {
      release();
      return undefined;
    }
    at += length;
    const responseTime = epochMs(head.responseTime);
    variants.push({ ...head, responseTime, stamp: stampOf(ledger, asOf), body, facts: undefined, prepared: undefined });
  }
  return { variants, release };
}

const NO_BYTES = Buffer.alloc(0);
const NO_RANGES = [[0, 0]] as const;

function stampOf(ledger: Ledger, [term, seq]: Head['asOf']): Stamp {
  return ledger.stampRestored({ identity: term === '' ? undefined : term, seq });
}

function bodyOf(store: Store, begin: Store['begin'], bytes: Buffer, ranges: Head['ranges']): StoredBody | undefined {
  let body: StoredBody | undefined;
  let at = 0;
  for (const [start, end] of ranges.length > 0 ? ranges : NO_RANGES) {
    const part = partOf(begin, bytes.subarray(at, at + end - start), start);
    if (part === undefined) return undefined;
    body = body === undefined ? part : store.combine(body, part);
    at += end - start;
  }
  return body;
}

function partOf(begin: Store['begin'], bytes: Buffer, start: number): StoredBody | undefined {
  const writer = begin(bytes.length);
  if (writer === undefined || (bytes.length > 0 && writer.append(bytes, true) === undefined)) return undefined;
  return writer.commit(start);
}
