/**
 * Tells the control node how far this node has got: lines in the body of a
 * call that stays open for a while, as each of many small calls would cost
 * both sides more than what it says. A call that is answered has arrived
 * whole; when one fails, the newest report is sent again.
 *
 * Of reports that come up while the connection takes nothing only the newest is
 * sent.
 * @module
 */
import { PassThrough } from 'node:stream';
import type { JournalClient } from './client.ts';
import { JournalError } from './errors.ts';
import type { NodeAbout } from './wire.ts';

export interface ReporterOptions {
  readonly client: Pick<JournalClient, 'report'>;
  /** Name of this node. */
  readonly node: string;
  /** Resolves after `ms`; resolves or rejects early when the signal aborts. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  /**
   * Begins the next call when one has ended, though there is nothing new: to a control node that this node does not
   * follow, calls are the sign that it is there.
   */
  readonly staysOpen?: boolean;
  /** Returns the node's description of itself, for the first line of each call. */
  readonly about?: () => NodeAbout;
  /** Called with the reason when a call fails; its last report is sent again. */
  readonly problem?: (error: Error) => void;
}

export interface Reporter {
  /** Has the form of what a follower's `report` is. */
  report(seq: number, identity: string): void;
  /** Sends nothing more. */
  close(): Promise<void>;
}

/** Duration of a call: its reports are confirmed only when it ends. */
const CALL_MS = 5_000;
/** Before a report that failed is sent again, or what is newer by then in its place. */
const PAUSE_MS = 1_000;
const TIMEOUT_MS = 5_000;

interface Report {
  readonly seq: number;
  readonly identity: string;
}

export function startReporter({ client, node, wait, staysOpen = false, about, problem }: ReporterOptions): Reporter {
  const closing = new AbortController();
  /** Latest report, confirmed or not. */
  let last: Report | undefined;
  /** The same, while it has not been written to a call. */
  let newest: Report | undefined;
  let lines: PassThrough | undefined;
  let isFirst = true;
  let sending = Promise.resolve();
  let isSending = false;

  /** Never rejects. */
  const pause = (ms: number, signal: AbortSignal): Promise<void> => wait(ms, signal).catch(() => undefined);

  const write = (): void => {
    if (newest === undefined || lines === undefined || lines.writableNeedDrain) return;
    const description = isFirst && about !== undefined ? { about: about() } : {};
    isFirst = false;
    lines.write(`${JSON.stringify({ node, ...newest, ...description })}\n`);
    newest = undefined;
  };

  /** One call, to its answer. */
  const call = async (): Promise<void> => {
    const ending = new AbortController();
    const signal = AbortSignal.any([ending.signal, closing.signal]);
    const body = new PassThrough();
    body.on('error', () => undefined); // the request fails as well, and says so
    body.on('drain', write);
    lines = body;
    isFirst = true;
    write();
    const end = async (): Promise<void> => {
      await pause(CALL_MS, signal);
      lines = undefined;
      body.end();
      await pause(TIMEOUT_MS, signal);
      if (!ending.signal.aborted) ending.abort(new JournalError('journal_silent'));
    };
    const ended = end();
    try {
      await client.report(body, signal);
    } finally {
      ending.abort();
      await ended;
      lines = undefined;
    }
  };

  const sendAll = async (): Promise<void> => {
    while (newest && !closing.signal.aborted) {
      try {
        await call();
        if (staysOpen) newest ??= last;
      } catch (error) {
        if (closing.signal.aborted) break;
        problem?.(error as Error);
        newest ??= last;
        await pause(PAUSE_MS, closing.signal);
      }
    }
    isSending = false;
  };

  return {
    report(seq, identity) {
      newest = { identity, seq };
      last = newest;
      if (isSending) {
        write();
        return;
      }
      isSending = true;
      sending = sendAll();
    },
    async close() {
      closing.abort();
      await sending;
    },
  };
}
