/**
 * The audit log: who asked for what, when, from where, and what came of it. It is kept with the journal; the entry of a
 * purge is written in the transaction of its append. A single control node writes a copy to files as well.
 * @module
 */
import { checkpointSize } from '../journal/audit/checkpoint.ts';
import { exportLines, storedLog } from '../journal/audit/export.ts';
import type { AuditHead } from '../journal/audit/log.ts';
import type { AuditedJournal, AuditFields, AuditRow, Once } from '../journal/journal.ts';
import type { EpochMs } from '../lib/clock.ts';
import type { Logger } from '../telemetry/log.ts';
import type { AuditFile } from './audit-file.ts';

export interface AuditEntry {
  /** The token's name and id; absent where there was no valid one. */
  readonly who?: string;
  readonly token?: string;
  readonly address: string;
  readonly action: string;
  /** `ok`, or the code of the error. */
  readonly result: string;
  readonly [detail: string]: unknown;
}

export interface AuditLogOptions {
  readonly journal: Pick<AuditedJournal, 'note' | 'notes' | 'auditBounds' | 'sealed' | 'auditFits'>;
  /** Name of the control node, in each entry. */
  readonly node: string;
  readonly file?: Pick<AuditFile, 'write'> | undefined;
  readonly now: () => EpochMs;
  readonly log: Pick<Logger, 'error'>;
}

export class AuditLog {
  readonly #options: AuditLogOptions;
  #fits = true;

  constructor(options: AuditLogOptions) {
    this.#options = options;
  }

  /** @returns The entry as it is written. */
  timed(entry: AuditEntry): AuditFields {
    const { now, node } = this.#options;
    return { time: new Date(now()).toISOString(), node, ...entry };
  }

  /**
   * Writes an entry that belongs to no append. Never rejects: what cannot be written is in the log of the process.
   *
   * @param once - With a key that is known nothing is written.
   */
  async write(entry: AuditEntry, once?: Once): Promise<void> {
    const timed = this.timed(entry);
    try {
      await this.#options.journal.note(timed, once);
    } catch (error) {
      this.#options.log.error({ err: error, entry: timed }, 'audit log cannot be written');
    }
    this.copy(timed);
  }

  /** Reports that the log is not signed, once each time that it begins. */
  #check(): void {
    const { auditFits: fits } = this.#options.journal;
    if (!fits && this.#fits) {
      const fix = 'run `seawall audit verify`: it names the first entry that is not as it was';
      this.#options.log.error(
        { fix },
        'the audit log does not fit its newest checkpoint: entries from now on are not signed',
      );
    }
    this.#fits = fits;
  }

  /** Copies an entry that is in the journal, to the file. */
  copy(entry: AuditFields): void {
    this.#check();
    try {
      this.#options.file?.write(entry);
    } catch (error) {
      // What it is about has happened, and stands in the journal; the answer must not deny it.
      this.#options.log.error({ err: error, entry }, 'copy of the audit log cannot be written');
    }
  }

  /**
   * @param before - Id of an entry; absent: from the newest on.
   * @returns At most `limit`, newest first.
   */
  read(before: string | undefined, limit: number): Promise<readonly AuditRow[]> {
    return this.#options.journal.notes(before, limit);
  }

  /**
   * @returns The newest signed checkpoint, of all entries. Where some are not signed yet, an entry about that is
   *   written first, which is.
   * @throws {JournalError} (rejects) as `journal.note`.
   */
  async checkpoint(address: string): Promise<string | undefined> {
    const { journal } = this.#options;
    const isWhole = ({ size, checkpoint }: AuditHead): boolean => size > 0 && checkpointSize(checkpoint) === size;
    const { head } = await journal.auditBounds();
    if (isWhole(head)) return head.checkpoint;
    const entry = this.timed({ address, action: 'sign', result: 'ok', from: checkpointSize(head.checkpoint) ?? 0 });
    await journal.note(entry);
    this.copy(entry);
    const signed = await journal.auditBounds();
    return isWhole(signed.head) ? signed.head.checkpoint : undefined;
  }

  /** Reads the log from its first entry on, as lines of JSON (journal/audit/export.ts). */
  async *export(): AsyncGenerator<string> {
    const { journal } = this.#options;
    yield* exportLines(await storedLog(journal));
  }
}
