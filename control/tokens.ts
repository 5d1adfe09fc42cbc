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
 * Every request looks its token up in the store, so that one that is
 * revoked, by whichever process, opens nothing from then on.
 * @module
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { EpochMs } from '../lib/clock.ts';
import type { Waiting } from './audit-outbox.ts';

/** Selector kinds that a token may purge, as in its request; `everything` means a whole site. */
export const SCOPE_KINDS = ['url', 'tag', 'prefix', 'host', 'everything'] as const;

export type ScopeKind = (typeof SCOPE_KINDS)[number];

/** In `kinds`: it may drain regions. It has to be given by name. */
export const DRAIN = 'drain';

/** In `kinds`: it may start and end jobs. It has to be given by name. */
export const JOB = 'job';

export type TokenKind = ScopeKind | typeof DRAIN | typeof JOB;

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

/** A token as it is kept. */
export interface StoredToken extends Token {
  /** SHA-256 of its secret. */
  readonly hash: Uint8Array;
}

/** Store of tokens. Each call sees what any process has written before it. */
export interface TokenStore {
  /** @param audit - Entry for the audit log, written in the same transaction. */
  add(token: StoredToken, audit?: Waiting): Promise<void>;
  find(id: string): Promise<StoredToken | undefined>;
  /** @returns All of them, in any order. */
  list(): Promise<readonly StoredToken[]>;
  /** @returns Whether there was one that was not revoked yet; `audit` is written with that. */
  revoke(id: string, at: EpochMs, audit?: Waiting): Promise<boolean>;
}

const FORM = /^swt_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/;

/** Dummy hash to compare with for unknown tokens, so that they take as long as known ones. */
const NO_HASH = Buffer.alloc(32);

/** @returns A new token as it is kept, and its text, which is not. */
export function newToken(
  { name, sites, kinds, read, expires }: NewToken,
  created: EpochMs,
): { stored: StoredToken; text: string } {
  const id = randomBytes(8).toString('hex');
  const secret = randomBytes(32).toString('base64url');
  const stored = { id, name, sites, kinds, read, created, expires, revoked: undefined, hash: digest(secret) };
  return { stored, text: `swt_${id}_${secret}` };
}

export class Tokens {
  readonly #store: TokenStore;
  readonly #now: () => EpochMs;

  constructor(store: TokenStore, now: () => EpochMs) {
    this.#store = store;
    this.#now = now;
  }

  /**
   * @param audited - Entry for the audit log.
   * @returns The token, and its text, which is not stored.
   */
  async create(wanted: NewToken, audited?: (token: Token) => Waiting): Promise<{ token: Token; text: string }> {
    const { stored, text } = newToken(wanted, this.#now());
    await this.#store.add(stored, audited?.(withoutHash(stored)));
    return { token: withoutHash(stored), text };
  }

  /** @returns All of them, newest first. */
  async list(): Promise<Token[]> {
    const all = await this.#store.list();
    return all.toSorted((one, other) => other.created - one.created || (one.id < other.id ? -1 : 1)).map(withoutHash);
  }

  /** @returns Whether there was one to revoke. */
  revoke(id: string, audit?: Waiting): Promise<boolean> {
    return this.#store.revoke(id, this.#now(), audit);
  }

  /** @returns The token that this is the text of, unless it is wrong, expired or revoked. */
  async find(text: string): Promise<Token | undefined> {
    const [, id, secret = ''] = FORM.exec(text) ?? [];
    const stored = id === undefined ? undefined : await this.#store.find(id);
    // timingSafeEqual: how much of it is right does not show in the time it takes.
    const isRight = timingSafeEqual(digest(secret), stored?.hash ?? NO_HASH);
    return isRight ? validToken(stored, this.#now()) : undefined;
  }

  /** @returns The token of this id, unless it is expired or revoked. For callers who have shown it before. */
  async known(id: string): Promise<Token | undefined> {
    return validToken(await this.#store.find(id), this.#now());
  }
}

/** @returns The token, unless it is expired or revoked. */
function validToken(stored: StoredToken | undefined, now: EpochMs): Token | undefined {
  return stored !== undefined && isValid(stored, now) ? withoutHash(stored) : undefined;
}

function withoutHash({ hash: _, ...token }: StoredToken): Token {
  return token;
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
