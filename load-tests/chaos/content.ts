/**
 * Content of the site under chaos: every byte of a body follows from its path and its version, so that a visitor can
 * check each of them without having seen it before.
 * @module
 */
import { createHash } from 'node:crypto';
import type { Random } from '../../test/support/random.ts';
import { zipf } from '../../test/support/random.ts';
import { patternAt } from '../herd/pattern.ts';

/**
 * `long`: kept for an hour. `short`: another one each second, kept for a second. `item`: kept for an hour, changed and
 * purged. `cold`: asked for once. `own`: never stored. `large`: longer than a chunk, and stored in chunks.
 */
export type Kind = 'long' | 'short' | 'item' | 'cold' | 'own' | 'large';

/**
 * Behaviour of a server of the origin. `garbage`: bytes that are no HTTP. `broken`: bodies break off in the middle.
 * `errors`: 503. `slow`: half a second before each response.
 */
export type Mode = 'well' | 'garbage' | 'broken' | 'errors' | 'slow';

export const CHECK_PATH = '/healthz';

export const SHORT_SECONDS = 1;
/** Time for which an old `short` may stand in for an origin that fails. */
export const STAND_IN_SECONDS = 2;

export const ITEMS = 40;

const LONG = 400;
const SHORT = 40;
const LARGE = 4;
const ZIPF_EXPONENT = 0.9;

const SMALL_BYTES = 700;
const MIDDLE_BYTES = 30_000;
const BIG_BYTES = 300_000;
export const LARGE_BYTES = 3_000_000;

/** Parts of all requests. */
const MIX: readonly (readonly [Kind, number])[] = [
  ['long', 0.62],
  ['short', 0.12],
  ['item', 0.1],
  ['cold', 0.08],
  ['own', 0.07],
  ['large', 0.01],
];

export interface Wanted {
  readonly kind: Kind;
  readonly path: string;
  /** Number of an `item`. */
  readonly item: number | undefined;
}

/** Returns what draws the next request. */
export function drawer(random: Random): () => Wanted {
  const ranks: Partial<Record<Kind, () => number>> = {
    long: zipf(LONG, ZIPF_EXPONENT, random),
    short: zipf(SHORT, ZIPF_EXPONENT, random),
    item: zipf(ITEMS, ZIPF_EXPONENT, random),
    large: zipf(LARGE, ZIPF_EXPONENT, random),
  };
  let unique = 0;
  return () => {
    const kind = kindAt(random());
    const number = ranks[kind]?.() ?? unique++;
    return { kind, path: `/${kind}/${number}`, item: kind === 'item' ? number : undefined };
  };
}

function kindAt(drawn: number): Kind {
  let upTo = 0;
  for (const [kind, part] of MIX) {
    upTo += part;
    if (drawn < upTo) return kind;
  }
  return 'long';
}

const CACHE_CONTROL: Readonly<Record<Kind, string>> = {
  long: 'public, max-age=3600',
  short: `public, max-age=${SHORT_SECONDS}, stale-if-error=${STAND_IN_SECONDS}`,
  item: 'public, max-age=3600',
  cold: 'public, max-age=3600',
  own: 'private, no-store',
  large: 'public, max-age=3600',
};

/** Returns the kind and the number of a path; `undefined` if there is no such content. */
export function contentAt(path: string): { readonly kind: Kind; readonly number: number } | undefined {
  const [, kind, number] = /^\/([a-z]+)\/(\d+)$/.exec(path) ?? [];
  return kind !== undefined && kind in CACHE_CONTROL ? { kind: kind as Kind, number: Number(number) } : undefined;
}

export function headersOf(path: string, kind: Kind, version: number): Record<string, string> {
  return {
    'Content-Type': 'application/octet-stream',
    'Cache-Control': CACHE_CONTROL[kind],
    ETag: `"${path.slice(1).replace('/', '-')}-${version}"`,
    'Cache-Tag': kind,
  };
}

export function bodyOf(path: string, version: number): Buffer {
  const content = contentAt(path);
  const first = Buffer.from(`${path} ${version}\n`);
  const length = lengthOf(content?.kind ?? 'long', content?.number ?? 0);
  const parts: Buffer[] = [first];
  for (let at = 0; at < length; at += STEP_BYTES) {
    parts.push(patternAt(offsetOf(path, version) + at, Math.min(STEP_BYTES, length - at)));
  }
  return Buffer.concat(parts);
}

/** @returns The version that a body is, or `undefined` if it is not, byte for byte, one of this path. */
export function versionOf(path: string, body: Buffer): number | undefined {
  const end = body.indexOf(0x0a);
  const [of, version] = body.subarray(0, Math.max(0, end)).toString('latin1').split(' ');
  if (of !== path || version === undefined || !/^\d{1,12}$/.test(version)) return undefined;
  return body.equals(bodyOf(path, Number(version))) ? Number(version) : undefined;
}

const STEP_BYTES = 1024 * 1024;

function lengthOf(kind: Kind, number: number): number {
  if (kind === 'large') return LARGE_BYTES + number;
  if (number % 20 === 7) return BIG_BYTES + number;
  return number % 4 === 1 ? MIDDLE_BYTES + number : SMALL_BYTES + number;
}

function offsetOf(path: string, version: number): number {
  return createHash('sha256').update(`${path} ${version}`).digest().readUInt32BE(0);
}

/**
 * Returns for how many milliseconds an answer is older than it may be.
 *
 * @param askedAt - Milliseconds since the epoch.
 */
export function tooOldMs(kind: Kind, version: number, askedAt: number): number {
  if (kind !== 'short') return 0;
  const changedAt = (version + 1) * 1_000;
  return Math.max(0, askedAt - changedAt - (SHORT_SECONDS + STAND_IN_SECONDS) * 1_000);
}
