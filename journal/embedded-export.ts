/**
 * Content of the file of an embedded journal, for moving it into another store. The file is open meanwhile, so that no
 * control node appends to it.
 * @module
 */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { SealedEntry } from './audit/log.ts';
import {
  type Database,
  markMoved,
  openJournalFile,
  readAuditBounds,
  readTerms,
  sealedEntries,
} from './embedded-file.ts';
import { JournalError } from './errors.ts';
import type { AuditBounds, JournalRecord, SelectorKind, Term } from './journal.ts';

export interface ExportedKey {
  readonly key: string;
  readonly body: Uint8Array;
  readonly at: number;
  readonly first: number;
  readonly last: number;
  readonly time: number;
  readonly why: string;
}

export interface JournalExport {
  /** Terms that gave out numbers, oldest first; at least that of number 0. */
  readonly terms: readonly Term[];
  readonly floor: number;
  readonly newest: number;
  /** Time of the newest record; 0: there is none. */
  readonly time: number;
  records(): Iterable<JournalRecord>;
  keys(): Iterable<ExportedKey>;
  readonly audit: AuditBounds;
  /** Audit entries, oldest first. */
  notes(): Iterable<SealedEntry>;
  /** Notes in the file that the journal goes on elsewhere: no control node opens it from now on. */
  markMoved(): void;
  close(): void;
}

const NOTES_AT_ONCE = 1_000;

/**
 * @throws {JournalError} `journal_unopenable` if there is no such file, `journal_in_use` while a control node has it
 *   open, `journal_moved`, and what else an opening fails with.
 */
export function exportJournal(file: string): JournalExport {
  if (!existsSync(file)) throw new JournalError('journal_unopenable', `${file}: there is no such file`);
  const db: Database = openJournalFile(file, randomUUID());
  const { floor } = db.prepare('SELECT floor FROM journal').get() as { floor: number };
  const last = db.prepare('SELECT seq, time FROM purge WHERE seq > ? ORDER BY seq DESC LIMIT 1').get(floor);
  return {
    terms: readTerms(db),
    floor,
    newest: Number(last?.['seq'] ?? floor),
    time: Number(last?.['time'] ?? 0),
    *records() {
      for (const row of db.prepare('SELECT * FROM purge WHERE seq > ? ORDER BY seq').iterate(floor)) {
        yield { ...row, kind: row['kind'] as SelectorKind, soft: row['soft'] === 1 } as unknown as JournalRecord;
      }
    },
    *keys() {
      for (const row of db.prepare('SELECT * FROM once ORDER BY at').iterate()) yield row as unknown as ExportedKey;
    },
    audit: readAuditBounds(db),
    *notes() {
      for (let from = 0; ; ) {
        const entries = sealedEntries(db, from, NOTES_AT_ONCE);
        yield* entries;
        const last = entries.at(-1);
        if (last === undefined) return;
        from = last.index + 1;
      }
    },
    markMoved: () => markMoved(db),
    close: () => db.close(),
  };
}
