/**
 * The control node's end of what nodes report.
 * @module
 */
import type { IncomingMessage } from 'node:http';
import { HttpError } from '../http/errors.ts';
import { JournalError } from './errors.ts';
import { jsonLines } from './lines.ts';
import { type AppliedReport, readAppliedReport } from './wire.ts';

/** One report is far shorter. */
const MAX_REPORT_BYTES = 4_096;

/**
 * Takes the reports of one call as they arrive.
 *
 * @param signal - Breaks the call off.
 * @returns Whether the call came to its end; otherwise there is no caller to answer.
 * @throws {JournalError} `journal_bad_message`; {HttpError} what `take` throws.
 */
export async function readReports(
  request: IncomingMessage,
  take: (report: AppliedReport) => void,
  signal: AbortSignal,
): Promise<boolean> {
  const stop = (): void => void request.destroy();
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  // A call that is refused is still answered.
  const chunks = request.iterator({ destroyOnReturn: false });
  try {
    for await (const line of jsonLines(chunks, MAX_REPORT_BYTES)) take(readAppliedReport(line));
    return true;
  } catch (error) {
    if (error instanceof JournalError || error instanceof HttpError) throw error;
    return false; // broken off, by the node or by the signal
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
