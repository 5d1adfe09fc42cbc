/**
 * A node's client of jobs: it takes steps from a control node, and reports to any. One that does not answer is left for
 * the next one.
 * @module
 */
import { type JournalClientOptions, journalClient } from '../journal/client.ts';
import { JournalError } from '../journal/errors.ts';
import { MAX_CLAIM_WAIT_MS, readGo, readStep, type Step, WORK_PATH, type WorkMessage } from './wire.ts';

export interface WorkClientOptions extends Omit<JournalClientOptions, 'url'> {
  /** Scheme, host and port of each control node; at least one. */
  readonly urls: readonly string[];
}

export interface WorkClient {
  /**
   * @returns A step, or `undefined` if there is none for a while.
   * @throws {JournalError} (rejects) `journal_unreachable`, `journal_refused`.
   */
  claim(signal: AbortSignal): Promise<Step | undefined>;
  /**
   * @returns False if the lease that the message is about is lost.
   * @throws {JournalError} (rejects) `journal_unreachable`: it may have been taken; `journal_refused`.
   */
  tell(message: Exclude<WorkMessage, { type: 'claim' }>, signal: AbortSignal): Promise<boolean>;
  close(): Promise<void>;
}

const TIMEOUT_MS = 5_000;

export function workClient({ urls, ...options }: WorkClientOptions): WorkClient {
  const clients = urls.map((url) => journalClient({ url, ...options }));
  /** Place of the control node that has answered last. */
  let current = 0;

  async function post(message: WorkMessage, timeoutMs: number, signal: AbortSignal) {
    let problem: unknown;
    for (let tries = 0; tries < clients.length; tries += 1) {
      const client = clients[current % clients.length];
      try {
        const answer = await client?.post(WORK_PATH, message, timeoutMs, signal);
        if (answer?.status === 200 || answer?.status === 204) return answer;
        problem = new JournalError('journal_refused', `status ${answer?.status}`);
      } catch (error) {
        problem = error;
      }
      if (signal.aborted) break;
      current += 1;
    }
    throw problem;
  }

  return {
    async claim(signal) {
      const wait = MAX_CLAIM_WAIT_MS;
      const { status, body } = await post({ type: 'claim', wait_ms: wait }, wait + TIMEOUT_MS, signal);
      return status === 204 ? undefined : readStep(body);
    },
    async tell(message, signal) {
      return readGo((await post(message, TIMEOUT_MS, signal)).body);
    },
    async close() {
      await Promise.all(clients.map((client) => client.close()));
    },
  };
}
