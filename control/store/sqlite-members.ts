/**
 * Registry of nodes in the data folder.
 * @module
 */
import type { DatabaseSync } from 'node:sqlite';
import type { Member, MemberStore } from '../members.ts';
import { transaction } from './transaction.ts';

export class SqliteMembers implements MemberStore {
  readonly isShared = false;
  readonly #db: DatabaseSync;
  readonly #statements: ReturnType<typeof prepare>;
  #all: ReadonlyMap<string, Member>;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#statements = prepare(db);
    this.#all = this.#read();
  }

  get all(): ReadonlyMap<string, Member> {
    return this.#all;
  }

  async refresh(): Promise<void> {
    // No other process writes to it while this one has the journal.
  }

  async write(members: ReadonlyMap<string, Member>): Promise<void> {
    this.#all = new Map([...this.#all, ...members]); // also what cannot be written counts for receipts
    transaction(this.#db, () => {
      for (const [key, member] of members) this.#statements.write.run(key, JSON.stringify(member));
    });
  }

  async remove(key: string): Promise<void> {
    this.#statements.remove.run(key);
    this.#all = new Map([...this.#all].filter(([other]) => other !== key));
  }

  #read(): ReadonlyMap<string, Member> {
    return new Map(
      this.#statements.list.all().map(({ name, row }) => [name as string, JSON.parse(row as string) as Member]),
    );
  }
}

function prepare(db: DatabaseSync) {
  return {
    list: db.prepare('SELECT name, row FROM member'),
    write: db.prepare('INSERT OR REPLACE INTO member (name, row) VALUES (?, ?)'),
    remove: db.prepare('DELETE FROM member WHERE name = ?'),
  };
}
