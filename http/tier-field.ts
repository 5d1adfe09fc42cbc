/**
 * The field in which the nodes of a network speak to each other, and by whose
 * secret they know each other: a Dictionary of RFC 9651.
 *
 *     Seawall-Tier: secret="…", from="eu-1", …
 * @module
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { type Item, parseDictionary, serializeDictionary } from 'structured-headers';
import { HttpError } from './errors.ts';
import { fieldLines, type RawHeaders } from './headers.ts';

export const TIER_FIELD = 'Seawall-Tier';

type Value = Item[0];

/** @param members - Those that are undefined are left out. */
export function formatTierField(members: Readonly<Record<string, Value | undefined>>): string {
  const items = Object.entries(members).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, [value, new Map()]] as [string, Item]],
  );
  return serializeDictionary(new Map(items));
}

/** @returns The field's members, unless it is missing, repeated or no Dictionary. */
export function readTierField(headers: RawHeaders): ReadonlyMap<string, unknown> | undefined {
  const lines = fieldLines(headers, TIER_FIELD);
  if (lines.length !== 1) return undefined;
  try {
    return new Map([...parseDictionary(lines[0] as string)].map(([name, member]) => [name, (member as Item)[0]]));
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

/** Compares digests, so that neither content nor length shows in the time it takes. */
function isSecret(given: unknown, secret: string): boolean {
  return typeof given === 'string' && timingSafeEqual(digest(given), digest(secret));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
