/**
 * Calls that were made with an Idempotency-Key, so that one that is repeated
 * purges nothing again, also when this program ended in between.
 *
 * Before the journal is written to, the call is noted with the nonce that its
 * records will carry and the newest number at that time: whether a call that
 * was interrupted got into the journal is then found there.
 * @module
 */
import type { DatabaseSync } from 'node:sqlite';
import type { EpochMs } from '../lib/clock.ts';

export interface IdempotentCall {
  /** Id of the token: keys of different tokens are different keys. */
  readonly token: string;
  readonly key: string;
  /** Digest of what was asked for. */
  readonly body: Uint8Array;
}

export interface NotedCall {
  readonly body: Uint8Array;
  readonly nonce: string;
  /** Newest number of the journal when the call was noted. */
  readonly since: number;
  /** Time of the entry, in milliseconds since the epoch. */
  readonly at: number;
  /** Its records; absent while it is unknown whether there are any. */
  readonly records: { readonly first: number; readonly count: number } | undefined;
}

/** Lifetime of a key. */
const RETENTION_MS = 24 * 60 * 60 * 1_000;

/** Beyond, the oldest go early. */
const MAX_KEYS = 100_000;

/** Calls between two sweeps. */
const SWEEP_EVERY = 1_000;

export class IdempotencyKeys {
  readonly #now: () => EpochMs;
  readonly #statements: ReturnType<typeof prepare>;
  #untilSweep = 0;

  constructor(db: DatabaseSync, now: () => EpochMs) {
    this.#now = now;
    this.#statements = prepare(db);
  }

  find({ token, key }: IdempotentCall): NotedCall | undefined {
    const row = this.#statements.find.get(token, key, this.#now() - RETENTION_MS);
    if (row === undefined) return undefined;
    return {
      body: row['body'] as Uint8Array,
      nonce: row['nonce'] as string,
      since: row['since'] as number,
      at: row['at'] as number,
      records: row['first'] === null ? undefined : { first: Number(row['first']), count: Number(row['count']) },
    };
  }

  note({ token, key, body }: IdempotentCall, nonce: string, since: number): void {
    if (this.#untilSweep-- <= 0) this.#sweep();
    this.#statements.note.run(token, key, body, nonce, since, this.#now());
  }

  complete({ token, key }: IdempotentCall, { first, count }: { first: number; count: number }): void {
    this.#statements.complete.run(first, count, token, key);
  }

  #sweep(): void {
    this.#untilSweep = SWEEP_EVERY;
    this.#statements.expire.run(this.#now() - RETENTION_MS);
    this.#statements.trim.run(MAX_KEYS);
  }
}

function prepare(db: DatabaseSync) {
  return {
    find: db.prepare('SELECT * FROM idempotency WHERE token = ? AND key = ? AND at > ?'),
    note: db.prepare('REPLACE INTO idempotency (token, key, body, nonce, since, at) VALUES (?, ?, ?, ?, ?, ?)'),
    complete: db.prepare('UPDATE idempotency SET first = ?, count = ? WHERE token = ? AND key = ?'),
    expire: db.prepare('DELETE FROM idempotency WHERE at <= ?'),
    trim: db.prepare(
      'DELETE FROM idempotency WHERE at <= (SELECT at FROM idempotency ORDER BY at DESC LIMIT 1 OFFSET ?)',
    ),
  };
}
