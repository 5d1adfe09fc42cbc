/**
 * Moves everything that a control node keeps in its data folder into etcd: journal, idempotency keys, audit log,
 * tokens, drains, jobs and the registry of nodes. Nodes go on from the positions that they have.
 * @module
 */
import { exportJournal, type JournalExport } from '../../journal/embedded-export.ts';
import { JournalError } from '../../journal/errors.ts';
import { EtcdConnection } from '../../journal/etcd/connection.ts';
import { type Imported, importJournal } from '../../journal/etcd/import.ts';
import type { EtcdOptions } from '../../journal/etcd/journal.ts';
import { connectError } from '../../journal/etcd/requests.ts';
import { commandEntry } from '../audit-outbox.ts';
import { type DataFolder, openControlDatabase } from '../data-folder.ts';
import { ALL_ROWS } from '../jobs/rows.ts';
import { allRows } from '../jobs/table.ts';
import { DrainsFile } from './drains-file.ts';
import { openEtcdStore } from './etcd-store.ts';
import { SqliteJobs } from './sqlite-jobs.ts';
import { SqliteMembers } from './sqlite-members.ts';
import { SqliteOutbox } from './sqlite-outbox.ts';
import { SqliteTokens } from './sqlite-tokens.ts';

export interface Migrated extends Imported {
  readonly tokens: number;
  readonly drains: number;
}

/**
 * @throws {JournalError} (rejects) `journal_in_use` while the control node runs, `journal_moved` once it is done, and
 *   what opening either store fails with. What is in the folder stays as it is then, and the move can be begun anew.
 */
export async function migrate(folder: DataFolder, to: EtcdOptions): Promise<Migrated> {
  const source = exportJournal(folder.journal);
  try {
    const imported = await importFrom(source, to);
    const moved = await moveRows(folder, to, imported);
    source.markMoved();
    return { ...imported, ...moved };
  } finally {
    source.close();
  }
}

async function importFrom(source: JournalExport, to: EtcdOptions): Promise<Imported> {
  let problem: unknown;
  for (const endpoint of to.endpoints) {
    let connection: EtcdConnection | undefined;
    try {
      connection = await EtcdConnection.open(endpoint, to);
      return await importJournal(connection, to.prefix, to.network, source);
    } catch (error) {
      problem = connectError(endpoint, error);
      if (!(problem instanceof JournalError) || problem.code !== 'journal_unreachable') break;
    } finally {
      connection?.end();
    }
  }
  throw problem;
}

/** Moves what is not there yet: the move may have been broken off before. */
async function moveRows(
  folder: DataFolder,
  to: EtcdOptions,
  { isDone, records }: Imported,
): Promise<{ tokens: number; drains: number }> {
  const database = openControlDatabase(folder.database);
  const store = await openEtcdStore(to).catch((error: unknown) => {
    database.close();
    throw error;
  });
  try {
    const known = new Set((await store.tokens.list()).map(({ id }) => id));
    const tokens = (await new SqliteTokens(database).list()).filter(({ id }) => !known.has(id));
    for (const token of tokens) await store.tokens.add(token);
    for (const waiting of await new SqliteOutbox(database).list()) await store.outbox.add(waiting);
    const { all } = new DrainsFile(folder.drains);
    for (const [region, drain] of all) await store.drains.set(region, drain);
    await store.members.write(new SqliteMembers(database).all);
    const jobs = new SqliteJobs(database);
    for (const prefix of ALL_ROWS) {
      for await (const { key, value } of allRows(jobs, prefix)) {
        await store.jobs.commit({ expect: [{ key, version: undefined }], put: [{ key, value }] });
      }
    }
    if (!isDone) await store.outbox.add(commandEntry('migrate', { records }));
    return { tokens: tokens.length, drains: all.size };
  } finally {
    database.close();
    await store.close();
  }
}
