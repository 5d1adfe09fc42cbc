/**
 * Removes records from the journal that are older than needed, and what is more
 * than nodes can hold.
 * @module
 */
import type { AuditedJournal } from '../journal/journal.ts';
import type { EpochMs } from '../lib/clock.ts';
import type { Logger } from '../telemetry/log.ts';

export interface CompactionOptions {
  readonly journal: Pick<AuditedJournal, 'state' | 'read' | 'compact'>;
  readonly retentionMs: number;
  readonly maxRecords: number;
  /** Audit entries that stay; absent: as many as the journal keeps by itself. */
  readonly maxNotes?: number;
  readonly now: () => EpochMs;
}

/** Forgets it once. */
export async function compact({ journal, retentionMs, maxRecords, maxNotes, now }: CompactionOptions): Promise<void> {
  let before = now() - retentionMs;
  const { newest, floor } = journal.state();
  if (newest - floor > maxRecords) {
    // Records of one append have one time: a purge is forgotten whole or not at all.
    const [firstKept] = await journal.read(newest - maxRecords, 1);
    before = Math.max(before, firstKept?.time ?? before);
  }
  await journal.compact(before, maxNotes);
}

const INTERVAL_MS = 60_000;

/**
 * Does it now and every minute, as `options` says by then. @returns How to stop; resolves when nothing is under way.
 */
export function compactRegularly(options: () => CompactionOptions, log: Logger): () => Promise<void> {
  let underWay: Promise<void> | undefined;
  const run = (): void => {
    underWay ??= compact(options())
      .catch((error: unknown) => log.error({ err: error }, 'journal compaction failed'))
      .finally(() => {
        underWay = undefined;
      });
  };
  const timer = setInterval(run, INTERVAL_MS);
  timer.unref();
  run();
  return async () => {
    clearInterval(timer);
    await underWay;
  };
}
