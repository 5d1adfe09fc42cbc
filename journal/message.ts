/**
 * Messages of the journal's stream.
 *
 * A connection begins with `hello`, once. `records` follow: contiguous, the
 * first one of a connection being that after `startAfter`. At every interval a
 * `heartbeat` carries the newest number, and the floor.
 * @module
 */

import { checkRecord, checkState, fields, isNumber } from './check.ts';
import { JournalError } from './errors.ts';
import type { JournalRecord, JournalState } from './journal.ts';
import { isInHistory, type JournalPosition } from './terms.ts';

export type { JournalPosition } from './terms.ts';

export type JournalMessage =
  | { readonly type: 'hello'; readonly state: JournalState }
  | { readonly type: 'records'; readonly records: readonly JournalRecord[] }
  | { readonly type: 'heartbeat'; readonly newest: number; readonly floor?: number };

/**
 * Opens a connection that tells of everything after `after`. The iteration
 * ends or throws when the connection is lost or the signal aborts.
 */
export type Connect = (after: JournalPosition, signal: AbortSignal) => AsyncIterable<JournalMessage>;

/**
 * @param after - What the connection was asked for.
 * @returns The number whose successor comes first: the one asked for if it is on the journal's line, the floor
 *   when that is higher, or nothing is in common.
 */
export function startAfter({ terms, floor, newest }: JournalState, after: JournalPosition): number {
  return isInHistory(terms, newest, after) ? Math.max(after.seq, floor) : floor;
}

/** Interval of heartbeats. */
export const HEARTBEAT_INTERVAL_MS = 1_000;

/** Records in one message. */
export const MAX_RECORDS = 1_000;

/** @throws {JournalError} `journal_bad_message` unless it is a message, looked at by itself. */
export function checkMessage(value: unknown): asserts value is JournalMessage {
  const message = fields(value, 'journal_bad_message');
  switch (message['type']) {
    case 'hello':
      checkState(message['state']);
      break;
    case 'records': {
      const { records } = message;
      if (!Array.isArray(records) || records.length === 0 || records.length > MAX_RECORDS) {
        throw new JournalError('journal_bad_message', 'records');
      }
      for (const record of records) checkRecord(record);
      break;
    }
    case 'heartbeat':
      checkHeartbeat(message);
      break;
    default:
      throw new JournalError('journal_bad_message', 'type');
  }
}

function checkHeartbeat({ newest, floor }: Readonly<Record<string, unknown>>): void {
  if (!isNumber(newest)) throw new JournalError('journal_bad_message', 'newest');
  if (floor !== undefined && !(isNumber(floor) && floor <= newest))
    throw new JournalError('journal_bad_message', 'floor');
}
