/**
 * Parts of requests to etcd, and what its refusals mean for a journal.
 * @module
 */
import { JournalError } from '../errors.ts';
import { EtcdRefusal } from './connection.ts';

/** Comparison of a transaction; revision `0`: the key is not there. */
export function wasWrittenAt(key: string, revision: string): object {
  return { target: 'MOD', result: 'EQUAL', key, mod_revision: revision };
}

export function put(key: string, value: string): object {
  return { request_put: { key, value } };
}

export function range(key: string, rest: object = {}): object {
  return { request_range: { key, ...rest } };
}

export function deletion(key: string, range_end?: string): object {
  return { request_delete_range: { key, ...(range_end !== undefined && { range_end }) } };
}

/** gRPC codes of refusals after which it is certain that nothing was written. */
const NOTHING_WRITTEN: ReadonlySet<number> = new Set([3, 7, 8]);

/** gRPC codes of refusals of a user: invalid (also: none), denied, unauthenticated. */
const NOT_ADMITTED: ReadonlySet<number> = new Set([3, 7, 16]);

/** Returns whether it is certain that the transaction which failed with this error has written nothing. */
export function hasWrittenNothing(error: unknown): error is EtcdRefusal {
  return error instanceof EtcdRefusal && NOTHING_WRITTEN.has(error.code);
}

/** @param error - Why a connection could not be opened, or be used at all. */
export function connectError(endpoint: string, error: unknown): unknown {
  if (!(error instanceof EtcdRefusal)) return error;
  const code = NOT_ADMITTED.has(error.code) ? 'journal_refused' : 'journal_unreachable';
  return new JournalError(code, `${endpoint}: ${error.message}`, { cause: error });
}

/** @param error - Why a call failed on a connection that was in use. */
export function callError(error: unknown): unknown {
  if (!(error instanceof EtcdRefusal)) return error;
  const code = hasWrittenNothing(error) ? 'journal_not_written' : 'journal_unreachable';
  return new JournalError(code, error.message, { cause: error });
}
