/**
 * Tokens in etcd.
 * @module
 */
import type { Waiting } from '../audit-outbox.ts';
import type { StoredToken, TokenStore } from '../tokens.ts';
import type { EtcdTable, Put } from './etcd-table.ts';

interface TokenRow extends Omit<StoredToken, 'hash' | 'expires' | 'revoked'> {
  /** In base64. */
  readonly hash: string;
  readonly expires: number | null;
  readonly revoked: number | null;
}

export class EtcdTokens implements TokenStore {
  readonly #table: EtcdTable;

  readonly #outbox: EtcdTable;

  /** @param outbox - Entries that wait for the audit log. */
  constructor(table: EtcdTable, outbox: EtcdTable) {
    this.#table = table;
    this.#outbox = outbox;
  }

  async add(token: StoredToken, audit?: Waiting): Promise<void> {
    const { id, expires = null, revoked = null } = token;
    const row: TokenRow = { ...token, hash: Buffer.from(token.hash).toString('base64'), expires, revoked };
    if (!(await this.#table.write(id, row, '0', this.#beside(audit))))
      throw new Error(`there is a token ${id} already`);
  }

  async find(id: string): Promise<StoredToken | undefined> {
    const row = (await this.#table.read()).get(id);
    return row && tokenOf(row.value as TokenRow);
  }

  async list(): Promise<readonly StoredToken[]> {
    return [...(await this.#table.read()).values()].map(({ value }) => tokenOf(value as TokenRow));
  }

  async revoke(id: string, at: number, audit?: Waiting): Promise<boolean> {
    for (;;) {
      const row = (await this.#table.read()).get(id);
      if (row === undefined || (row.value as TokenRow).revoked !== null) return false;
      const revoked = { ...(row.value as TokenRow), revoked: at };
      if (await this.#table.write(id, revoked, row.revision, this.#beside(audit))) return true;
    }
  }

  #beside(audit: Waiting | undefined): readonly Put[] {
    return audit === undefined ? [] : [this.#outbox.rowFor(audit.id, audit.entry)];
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
