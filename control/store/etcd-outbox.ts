/**
 * Entries that wait for the audit log, in etcd.
 * @module
 */
import type { AuditFields } from '../../journal/journal.ts';
import type { AuditOutbox, Waiting } from '../audit-outbox.ts';
import type { EtcdTable } from './etcd-table.ts';

export class EtcdOutbox implements AuditOutbox {
  readonly #table: EtcdTable;

  constructor(table: EtcdTable) {
    this.#table = table;
  }

  async add({ id, entry }: Waiting): Promise<void> {
    await this.#table.write(id, entry, '0');
  }

  async list(): Promise<readonly Waiting[]> {
    return [...(await this.#table.read())].map(([id, { value }]) => ({ id, entry: value as AuditFields }));
  }

  async remove(id: string): Promise<void> {
    await this.#table.remove(id);
  }
}
