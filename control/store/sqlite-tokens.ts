/**
 * Tokens in the data folder: a database that other processes may open as well.
 * @module
 */
import type { DatabaseSync } from 'node:sqlite';
import type { Waiting } from '../audit-outbox.ts';
import type { StoredToken, TokenKind, TokenStore } from '../tokens.ts';
import { SqliteOutbox } from './sqlite-outbox.ts';
import { transaction } from './transaction.ts';

export class SqliteTokens implements TokenStore {
  readonly #db: DatabaseSync;
  readonly #statements: ReturnType<typeof prepare>;
  readonly #outbox: SqliteOutbox;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#statements = prepare(db);
    this.#outbox = new SqliteOutbox(db);
  }

  async add(token: StoredToken, audit?: Waiting): Promise<void> {
    const { id, name, hash, sites, kinds, read, created, expires, revoked } = token;
    const lists = [JSON.stringify(sites), JSON.stringify(kinds)] as const;
    transaction(this.#db, () => {
      this.#statements.insert.run(id, name, hash, ...lists, read ? 1 : 0, created, expires ?? null, revoked ?? null);
      if (audit !== undefined) this.#outbox.insert(audit);
    });
  }

  async find(id: string): Promise<StoredToken | undefined> {
    const row = this.#statements.find.get(id);
    return row && tokenOf(row);
  }

  async list(): Promise<readonly StoredToken[]> {
    return this.#statements.list.all().map(tokenOf);
  }

  async revoke(id: string, at: number, audit?: Waiting): Promise<boolean> {
    return transaction(this.#db, () => {
      const isRevoked = this.#statements.revoke.run(at, id).changes > 0;
      if (isRevoked && audit !== undefined) this.#outbox.insert(audit);
      return isRevoked;
    });
  }
}

function prepare(db: DatabaseSync) {
  return {
    insert: db.prepare(
      'INSERT INTO token (id, name, hash, sites, kinds, read, created, expires, revoked) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
    ),
    find: db.prepare('SELECT * FROM token WHERE id = ?'),
    list: db.prepare('SELECT * FROM token'),
    revoke: db.prepare('UPDATE token SET revoked = ? WHERE id = ? AND revoked IS NULL'),
  };
}

function tokenOf(row: Readonly<Record<string, unknown>>): StoredToken {
  return {
    id: row['id'] as string,
    name: row['name'] as string,
    hash: row['hash'] as Uint8Array,
    sites: JSON.parse(row['sites'] as string) as string[],
    kinds: JSON.parse(row['kinds'] as string) as TokenKind[],
    read: row['read'] === 1,
    created: row['created'] as number,
    expires: (row['expires'] as number | null) ?? undefined,
    revoked: (row['revoked'] as number | null) ?? undefined,
  };
}
