/**
 * Tokens in etcd.
 * @module
 */
import type { StoredToken, TokenStore } from '../tokens.ts';
import type { EtcdTable } from './etcd-table.ts';

interface TokenRow extends Omit<StoredToken, 'hash' | 'expires' | 'revoked'> {
  /** In base64. */
  readonly hash: string;
  readonly expires: number | null;
  readonly revoked: number | null;
}

export class EtcdTokens implements TokenStore {
  readonly #table: EtcdTable;

  constructor(table: EtcdTable) {
    this.#table = table;
  }

  async add(token: StoredToken): Promise<void> {
    const { id, expires = null, revoked = null } = token;
    const row: TokenRow = { ...token, hash: Buffer.from(token.hash).toString('base64'), expires, revoked };
    if (!(await this.#table.write(id, row, '0'))) throw new Error(`there is a token ${id} already`);
  }

  async find(id: string): Promise<StoredToken | undefined> {
    const row = (await this.#table.read()).get(id);
    return row && tokenOf(row.value as TokenRow);
  }

  async list(): Promise<readonly StoredToken[]> {
    return [...(await this.#table.read()).values()].map(({ value }) => tokenOf(value as TokenRow));
  }

  async revoke(id: string, at: number): Promise<boolean> {
    for (;;) {
      const row = (await this.#table.read()).get(id);
      if (row === undefined || (row.value as TokenRow).revoked !== null) return false;
      if (await this.#table.write(id, { ...(row.value as TokenRow), revoked: at }, row.revision)) return true;
    }
  }
}

function tokenOf(row: TokenRow): StoredToken {
  return {
    ...row,
    hash: Buffer.from(row.hash, 'base64'),
    expires: row.expires ?? undefined,
    revoked: row.revoked ?? undefined,
  };
}
