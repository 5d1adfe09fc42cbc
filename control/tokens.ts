/**
 * The tokens that open the purge API: who may purge what, and until when.
 *
 *     swt_ID_SECRET      ID: 16 hexadecimal digits; SECRET: 43 characters, 256 random bits
 *
 * What is kept of the secret is its SHA-256. A slow hash is there to make
 * guessing expensive where people choose the secret; 256 random bits cannot be
 * guessed, however fast the hash is, and a slow one would let any caller who
 * sends wrong tokens keep the processor busy.
 *
 * Every request looks its token up in the database, so that one that is
 * revoked, by whichever process, opens nothing from then on.
 * @module
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import type { EpochMs } from '../lib/clock.ts';

/** Selector kinds that a token may purge, as in its request; `everything` means a whole site. */
export const SCOPE_KINDS = ['url', 'tag', 'prefix', 'host', 'everything'] as const;

export type ScopeKind = (typeof SCOPE_KINDS)[number];

/** In `kinds`: it may drain regions. It has to be given by name. */
export const DRAIN = 'drain';

export type TokenKind = ScopeKind | typeof DRAIN;

/** In `sites`: every site, and what concerns all of them at once. */
export const ALL_SITES = '*';

export interface TokenScope {
  /** Names of sites, or `*` alone. */
  readonly sites: readonly string[];
  readonly kinds: readonly TokenKind[];
  /** True if the token may read receipts. */
  readonly read: boolean;
}

export interface Token extends TokenScope {
  readonly id: string;
  readonly name: string;
  /** Milliseconds since the epoch, as are the others. */
  readonly created: number;
  readonly expires: number | undefined;
  readonly revoked: number | undefined;
}

export interface NewToken extends TokenScope {
  readonly name: string;
  readonly expires?: number | undefined;
}

const FORM = /^swt_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/;

/** Dummy hash to compare with for unknown tokens, so that they take as long as known ones. */
const NO_HASH = Buffer.alloc(32);

export class Tokens {
  readonly #now: () => EpochMs;
  readonly #statements: ReturnType<typeof prepare>;

  constructor(db: DatabaseSync, now: () => EpochMs) {
    this.#now = now;
    this.#statements = prepare(db);
  }

  /** @returns The token, and its text, which is not stored. */
  create({ name, sites, kinds, read, expires }: NewToken): { token: Token; text: string } {
    const id = randomBytes(8).toString('hex');
    const secret = randomBytes(32).toString('base64url');
    const created = this.#now();
    this.#statements.insert.run(
      id,
      name,
      digest(secret),
      JSON.stringify(sites),
      JSON.stringify(kinds),
      read ? 1 : 0,
      created,
      expires ?? null,
    );
    const token = { id, name, sites, kinds, read, created, expires, revoked: undefined };
    return { token, text: `swt_${id}_${secret}` };
  }

  /** @returns All of them, newest first. */
  list(): Token[] {
    return this.#statements.list.all().map(tokenOf);
  }

  /** @returns Whether there was one to revoke. */
  revoke(id: string): boolean {
    return this.#statements.revoke.run(this.#now(), id).changes > 0;
  }

  /** @returns The token that this is the text of, unless it is wrong, expired or revoked. */
  find(text: string): Token | undefined {
    const [, id = '', secret = ''] = FORM.exec(text) ?? [];
    const row = this.#statements.find.get(id);
    const hash = row === undefined ? NO_HASH : Buffer.from(row['hash'] as Uint8Array);
    // timingSafeEqual: how much of it is right does not show in the time it takes.
    if (!timingSafeEqual(digest(secret), hash) || row === undefined) return undefined;
    const token = tokenOf(row);
    return isValid(token, this.#now()) ? token : undefined;
  }
}

export function isValid({ expires, revoked }: Token, now: EpochMs): boolean {
  return revoked === undefined && (expires === undefined || now < expires);
}

/** @param site - `*`: all of them at once. */
export function maySite({ sites }: TokenScope, site: string): boolean {
  return sites.includes(ALL_SITES) || (site !== ALL_SITES && sites.includes(site));
}

function digest(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

function prepare(db: DatabaseSync) {
  return {
    insert: db.prepare(
      'INSERT INTO token (id, name, hash, sites, kinds, read, created, expires) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    ),
    find: db.prepare('SELECT * FROM token WHERE id = ?'),
    list: db.prepare('SELECT * FROM token ORDER BY created DESC, id'),
    revoke: db.prepare('UPDATE token SET revoked = ? WHERE id = ? AND revoked IS NULL'),
  };
}

function tokenOf(row: Readonly<Record<string, unknown>>): Token {
  return {
    id: row['id'] as string,
    name: row['name'] as string,
    sites: JSON.parse(row['sites'] as string) as string[],
    kinds: JSON.parse(row['kinds'] as string) as TokenKind[],
    read: row['read'] === 1,
    created: row['created'] as number,
    expires: (row['expires'] as number | null) ?? undefined,
    revoked: (row['revoked'] as number | null) ?? undefined,
  };
}
