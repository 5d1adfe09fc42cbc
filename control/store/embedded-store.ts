/**
 * The store of a single control node: files in its data folder.
 * @module
 */
import { statSync } from 'node:fs';
import { basename } from 'node:path';
import type { SealerOptions } from '../../journal/audit/sealer.ts';
import { openEmbeddedJournal } from '../../journal/embedded.ts';
import type { EpochMs } from '../../lib/clock.ts';
import { type DataFolder, openControlDatabase } from '../data-folder.ts';
import { DrainsFile } from './drains-file.ts';
import { SqliteJobs } from './sqlite-jobs.ts';
import { SqliteMembers } from './sqlite-members.ts';
import { SqliteOutbox } from './sqlite-outbox.ts';
import { SqliteTokens } from './sqlite-tokens.ts';
import type { ControlStore, StorePart } from './store.ts';

export interface EmbeddedStoreOptions extends SealerOptions {
  readonly now: () => EpochMs;
  readonly defer?: (flush: () => void) => void;
}

/** @throws {JournalError} about the journal; {Error} that says what else cannot be used. */
export function openEmbeddedStore(folder: DataFolder, options: EmbeddedStoreOptions): ControlStore {
  const journal = openEmbeddedJournal(folder.journal, options);
  try {
    const database = openControlDatabase(folder.database);
    try {
      const drains = new DrainsFile(folder.drains);
      return {
        journal,
        tokens: new SqliteTokens(database),
        drains,
        members: new SqliteMembers(database),
        outbox: new SqliteOutbox(database),
        jobs: new SqliteJobs(database),
        measure: async () => [folder.journal, folder.database].map(sizeOf),
        async close() {
          await journal.close();
          database.close();
        },
      };
    } catch (error) {
      database.close();
      throw error;
    }
  } catch (error) {
    void journal.close();
    throw error;
  }
}

/** With the write-ahead log beside it. */
function sizeOf(file: string): StorePart {
  const sizes = [file, `${file}-wal`].map((one) => statSync(one, { throwIfNoEntry: false })?.size);
  const bytes = sizes[0] === undefined ? undefined : sizes[0] + (sizes[1] ?? 0);
  return { name: basename(file), bytes, isFull: false };
}
