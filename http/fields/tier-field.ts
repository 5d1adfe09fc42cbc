/**
 * The field in which the nodes of a network speak to each other, and by whose
 * secret they know each other: a Dictionary of RFC 9651.
 *
 *     Seawall-Tier: secret="…", from="eu-1", …
 * @module
 */
import { hash, timingSafeEqual } from 'node:crypto';
import { type Item, parseDictionary } from 'structured-headers';
import { HttpError } from '../errors.ts';
import { fieldLines, type RawHeaders } from './headers.ts';

export const TIER_FIELD = 'Seawall-Tier';

/** A Token, told apart from a String. */
export interface TierToken {
  readonly token: string;
}

/** @param text - A Token of RFC 9651: for words that this program has itself. */
export function token(text: string): TierToken {
  return { token: text };
}

/**
 * Written out, as every request between nodes has one (RFC 9651, section 4.1).
 *
 * @param members - Those that are undefined are left out; numbers are whole.
 * @throws {RangeError} for a text that no String can hold.
 */
export function formatTierField(
  members: Readonly<Record<string, string | number | true | TierToken | undefined>>,
): string {
  let field = '';
  for (const name in members) {
    const value = members[name];
    if (value === undefined) continue;
    if (field !== '') field += ', ';
    field += name;
    if (value !== true)
      field += `=${typeof value === 'string' ? quoted(value) : typeof value === 'number' ? value : value.token}`;
  }
  return field;
}

function quoted(text: string): string {
  if (!STRING.test(text)) throw new RangeError('not a String of RFC 9651');
  return `"${text.includes('"') || text.includes('\\') ? text.replace(/["\\]/g, '\\$&') : text}"`;
}

const STRING = /^[\x20-\x7e]*$/;

/** @returns The field's members, unless it is missing, repeated or no Dictionary. */
export function readTierField(headers: RawHeaders, name = TIER_FIELD): ReadonlyMap<string, unknown> | undefined {
  const lines = fieldLines(headers, name);
  if (lines.length !== 1) return undefined;
  return plainMembers(lines[0] as string) ?? anyMembers(lines[0] as string);
}

/** One member as `formatTierField` writes nearly all of them. */
const PLAIN_MEMBER =
  /([a-z][a-z-]*)(?:=(?:"([\x20\x21\x23-\x5b\x5d-\x7e]*)"|(0|[1-9]\d{0,14})|([A-Za-z][A-Za-z0-9-]*)))?(?:, |$)/y;

/** @returns `undefined` when there is anything in it that is not as plain as that. */
function plainMembers(line: string): ReadonlyMap<string, unknown> | undefined {
  const members = new Map<string, unknown>();
  PLAIN_MEMBER.lastIndex = 0;
  let end = 0;
  while (end < line.length) {
    const match = PLAIN_MEMBER.exec(line);
    if (match === null) return undefined;
    end = PLAIN_MEMBER.lastIndex;
    const [, name = '', text, number, word] = match;
    members.set(name, text ?? (number === undefined ? (word ?? true) : Number(number)));
  }
  return line === '' || line.endsWith(', ') ? undefined : members;
}

function anyMembers(line: string): ReadonlyMap<string, unknown> | undefined {
  try {
    return new Map([...parseDictionary(line)].map(([name, member]) => [name, (member as Item)[0]]));
  } catch {
    return undefined; // not a Dictionary: the caller refuses it
  }
}

/** @throws {HttpError} `unauthorised_tier` unless the field comes from a node that knows the secret. */
export function readSecretTierField(headers: RawHeaders, secret: string): ReadonlyMap<string, unknown> {
  const members = readTierField(headers);
  if (members === undefined || !isSecret(members.get('secret'), secret)) throw new HttpError('unauthorised_tier');
  return members;
}

/** Neither content nor length shows in the time it takes: what is compared is always as long as this, or a digest. */
function isSecret(given: unknown, secret: string): boolean {
  if (typeof given !== 'string') return false;
  if (secret !== known.secret) known = { secret, form: formOf(secret) };
  return timingSafeEqual(known.form.length === PADDED_BYTES ? padded(given) : digest(given), known.form);
}

/** A padded secret ends with a zero byte, which no text of a header has. */
const PADDED_BYTES = 256;

const PAD = Buffer.alloc(PADDED_BYTES);

let known = { secret: '', form: formOf('') };

function formOf(secret: string): Buffer {
  return STRING.test(secret) && secret.length < PADDED_BYTES ? Buffer.from(padded(secret)) : digest(secret);
}

/** @returns The same Buffer each time. */
function padded(text: string): Buffer {
  PAD.fill(0);
  PAD.write(text, 0, PADDED_BYTES, 'latin1');
  return PAD;
}

function digest(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}
