/**
 * Validates purges on their way into the journal and out of a connection to it.
 * @module
 */
import { JournalError, type JournalErrorCode } from './errors.ts';
import {
  type JournalRecord,
  type JournalState,
  MAX_ONCE_KEY_LENGTH,
  MAX_TERMS,
  type Once,
  type Purge,
  type SelectorKind,
  type Term,
} from './journal.ts';

/** Lengths in UTF-16 code units. A record is never longer on the wire than six times their sum. */
export const MAX_SITE_LENGTH = 255;
export const MAX_SELECTOR_LENGTH = 16_384;
export const MAX_WHO_LENGTH = 255;
export const MAX_WHY_LENGTH = 1_024;

/** Kind → whether it has a selector. */
const HAS_SELECTOR: Readonly<Record<SelectorKind, boolean>> = {
  url: true,
  variant: true,
  tag: true,
  prefix: true,
  pattern: true,
  host: true,
  site: false,
  everything: false,
};

/** Site of a purge of everything. */
export const EVERY_SITE = '*';

/** @throws {JournalError} with `code` and the field that is wrong, unless it is a purge that the journal can keep. */
export function checkPurge(value: unknown, code: JournalErrorCode = 'journal_bad_purge'): asserts value is Purge {
  const purge = fields(value, code);
  const refuse = (field: string): never => {
    throw new JournalError(code, field);
  };
  const { site, kind, selector, soft, who, why } = purge;
  if (!isText(site, MAX_SITE_LENGTH) || site === '' || CONTROL.test(site)) refuse('site');
  if (!isKind(kind)) return refuse('kind');
  if ((kind === 'everything') !== (site === EVERY_SITE)) refuse('site');
  if (!isText(selector, MAX_SELECTOR_LENGTH) || CONTROL.test(selector)) return refuse('selector');
  if (HAS_SELECTOR[kind] !== (selector !== '')) refuse('selector');
  if (typeof soft !== 'boolean') refuse('soft');
  if (!isText(who, MAX_WHO_LENGTH)) refuse('who');
  if (!isText(why, MAX_WHY_LENGTH)) refuse('why');
}

/** @throws {JournalError} `journal_bad_purge` unless it is a key that the journal can keep. */
export function checkOnce({ key }: Once): void {
  if (!isText(key, MAX_ONCE_KEY_LENGTH) || key === '') throw new JournalError('journal_bad_purge', 'idempotency key');
}

/** @throws {JournalError} `journal_bad_message` */
export function checkRecord(value: unknown): asserts value is JournalRecord {
  const { seq, time } = fields(value, 'journal_bad_message');
  if (!isNumber(seq) || seq === 0) throw new JournalError('journal_bad_message', 'seq');
  if (!isNumber(time)) throw new JournalError('journal_bad_message', 'time');
  checkPurge(value, 'journal_bad_message');
}

/** @throws {JournalError} `journal_bad_message` */
export function checkState(value: unknown): asserts value is JournalState {
  const { terms, floor, newest } = fields(value, 'journal_bad_message');
  if (!isNumber(newest)) throw new JournalError('journal_bad_message', 'newest');
  if (!isNumber(floor) || floor > newest) throw new JournalError('journal_bad_message', 'floor');
  checkTerms(terms, newest);
}

/** @throws {JournalError} with `code` unless each begins above the one before, the last one not above `newest`. */
export function checkTerms(
  value: unknown,
  newest: number,
  code: JournalErrorCode = 'journal_bad_message',
): asserts value is readonly Term[] {
  const refuse = (what: string): never => {
    throw new JournalError(code, what);
  };
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_TERMS) return refuse('terms');
  const identities = new Set<string>();
  let last = BEFORE_ALL - 1;
  for (const term of value) {
    const { identity, after } = fields(term, code);
    if (!isIdentity(identity) || identities.has(identity)) return refuse('identity of a term');
    if (!Number.isSafeInteger(after) || (after as number) <= last || (after as number) > newest)
      refuse('after of a term');
    identities.add(identity);
    last = after as number;
  }
}

/** Position before the first term of a journal; 0 belongs to that term. */
export const BEFORE_ALL = -1;

/** Returns whether the value is a number that a journal can assign, or 0. */
export function isNumber(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Returns whether the value fits into a URL and a header unchanged. */
export function isIdentity(value: unknown): value is string {
  return typeof value === 'string' && /^[\w.-]{1,64}$/.test(value);
}

/** @throws {JournalError} with `code` unless it is an object. */
export function fields(value: unknown, code: JournalErrorCode): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) throw new JournalError(code, 'not an object');
  return value as Record<string, unknown>;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u001f\u007f]/;

/** Returns whether the value is a kind of selector. */
export function isKind(value: unknown): value is SelectorKind {
  return typeof value === 'string' && Object.hasOwn(HAS_SELECTOR, value);
}

/** Half a surrogate pair or a NUL would not come back from every store as it went in. */
function isText(value: unknown, maxLength: number): value is string {
  return typeof value === 'string' && value.length <= maxLength && value.isWellFormed() && !value.includes('\0');
}
