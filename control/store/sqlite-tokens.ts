/**
 * Tokens in the data folder: a database that other processes may open as well.
 * @module
 */
import type { DatabaseSync } from 'node:sqlite';
import type { StoredToken, TokenKind, TokenStore } from '../tokens.ts';

export class SqliteTokens implements TokenStore {
  readonly #statements: ReturnType<typeof prepare>;

  constructor(db: DatabaseSync) {
    this.#statements = prepare(db);
  }

  async add({ id, name, hash, sites, kinds, read, created, expires, revoked }: StoredToken): Promise<void> {
    const lists = [JSON.stringify(sites), JSON.stringify(kinds)] as const;
    this.#statements.insert.run(id, name, hash, ...lists, read ? 1 : 0, created, expires ?? null, revoked ?? null);
  }

  async find(id: string): Promise<StoredToken | undefined> {
    const row = this.#statements.find.get(id);
    return row && tokenOf(row);
  }

  async list(): Promise<readonly StoredToken[]> {
    return this.#statements.list.all().map(tokenOf);
  }

  async revoke(id: string, at: number): Promise<boolean> {
    return this.#statements.revoke.run(at, id).changes > 0;
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
