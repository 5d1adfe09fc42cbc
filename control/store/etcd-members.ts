/**
 * Registry of nodes in etcd. Rows are written without a comparison: each control node writes what it hears from a node
 * that is there, and what is newer by a moment counts.
 * @module
 */
import type { Member, MemberStore } from '../members.ts';
import type { EtcdTable, Rows } from './etcd-table.ts';

export class EtcdMembers implements MemberStore {
  readonly isShared = true;
  readonly #table: EtcdTable;
  #all: ReadonlyMap<string, Member> = new Map();

  constructor(table: EtcdTable) {
    this.#table = table;
  }

  get all(): ReadonlyMap<string, Member> {
    return this.#all;
  }

  async refresh(): Promise<void> {
    this.#all = membersOf(await this.#table.read());
  }

  async write(members: ReadonlyMap<string, Member>): Promise<void> {
    await this.#table.writeAll(members);
    await this.refresh();
  }

  async remove(key: string): Promise<void> {
    await this.#table.remove(key);
    await this.refresh();
  }
}

function membersOf(rows: Rows): ReadonlyMap<string, Member> {
  return new Map([...rows].map(([key, { value }]) => [key, value as Member]));
}
