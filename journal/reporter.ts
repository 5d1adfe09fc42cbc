/**
 * Tells the control node how far this node has got. One report is on its way
 * at a time; of those that come up meanwhile only the newest is sent.
 * @module
 */
import { Pool } from 'undici';
import { TIER_FIELD } from '../http/tier-field.ts';
import { JournalError } from './errors.ts';
import type { SourceOptions } from './source.ts';
import { APPLIED_PATH, formatNodeField } from './wire.ts';

export interface ReporterOptions extends SourceOptions {
  /** Resolves after `ms`; resolves or rejects early when the signal aborts. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Told why a report did not arrive; it is sent again. */
  readonly problem?: (error: Error) => void;
}

export interface Reporter {
  /** Has the form of what a follower's `report` is. */
  report(seq: number, identity: string): void;
  /** Sends nothing more. */
  close(): Promise<void>;
}

/** Before a report that failed is sent again, or what is newer by then in its place. */
const PAUSE_MS = 1_000;
const TIMEOUT_MS = 5_000;

export function httpReporter({ url, secret, node, wait, problem }: ReporterOptions): Reporter {
  const pool = new Pool(url, {
    connections: 1,
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
    connect: { timeout: TIMEOUT_MS },
  });
  const headers = { [TIER_FIELD]: formatNodeField(node, secret), 'Content-Type': 'application/json' };
  const closing = new AbortController();
  let newest: { seq: number; identity: string } | undefined;
  let sending = Promise.resolve();
  let isSending = false;

  const send = async (report: object): Promise<void> => {
    const { statusCode, body } = await pool.request({
      method: 'POST',
      path: APPLIED_PATH,
      headers,
      body: JSON.stringify({ node, ...report }),
      signal: closing.signal,
    });
    await body.dump();
    if (statusCode < 200 || statusCode > 299) throw new JournalError('JOURNAL_REFUSED', `status ${statusCode}`);
  };

  const sendAll = async (): Promise<void> => {
    while (newest && !closing.signal.aborted) {
      const report = newest;
      newest = undefined;
      try {
        await send(report);
      } catch (error) {
        if (closing.signal.aborted) break;
        problem?.(error as Error);
        newest ??= report;
        await wait(PAUSE_MS, closing.signal).catch(() => undefined); // aborted: the loop ends
      }
    }
    isSending = false;
  };

  return {
    report(seq, identity) {
      newest = { identity, seq };
      if (isSending) return;
      isSending = true;
      sending = sendAll();
    },
    async close() {
      closing.abort();
      await sending;
      await pool.destroy();
    },
  };
}
