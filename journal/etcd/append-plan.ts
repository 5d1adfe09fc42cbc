/**
 * Numbers for a set of appends that goes into the store in one transaction.
 * @module
 */
import { JournalError } from '../errors.ts';
import type { Appended, AuditFields, Note, Once, Purge } from '../journal.ts';
import type { KeyValue, TxnResponse } from './connection.ts';
import { decode, type OnceEntry } from './layout.ts';
import { VIEW_OPERATIONS } from './view.ts';

export interface Append {
  /** None: only the audit entry is written. */
  readonly purges: readonly Purge[];
  readonly once: Once | undefined;
  readonly note: Note | undefined;
  readonly bytes: number;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: unknown) => void;
}

interface KnownKey {
  readonly revision: string;
  readonly entry: OnceEntry;
}

export type KnownKeys = ReadonlyMap<string, KnownKey>;

/** A transaction of unknown outcome. */
interface UnknownOutcome {
  /** Newest number after which it would have put its batch; undefined: it had no purges. */
  readonly after: number | undefined;
  /** Index of its first audit entry. */
  readonly audit: number;
  /** Outcome that it would have had: another try after the same number may know other idempotency keys. */
  readonly plan: readonly Planned[];
}

/** One set of appends on its way into the store. */
export interface Attempt {
  /** Transactions of unknown outcome, by the ids of their batches. */
  readonly unknown: Map<string, UnknownOutcome>;
  /** Idempotency keys that are in the store. */
  readonly known: Map<string, KnownKey>;
}

export interface Planned {
  readonly append: Append;
  readonly outcome: Appended | (Appended & { readonly isNew: true }) | JournalError;
}

/** Gives each append its numbers after `newest`, or what an idempotency key says. */
export function planned(
  appends: readonly Append[],
  known: KnownKeys,
  newest: number,
  time: number,
  isKept: (entry: OnceEntry) => boolean,
): Planned[] {
  const made = new Map<string, { readonly body: string; readonly appended: Appended }>();
  let seq = newest;
  return appends.map((append) => {
    const { purges, once } = append;
    const body = once === undefined ? '' : Buffer.from(once.body).toString('base64');
    const earlier = once && (made.get(once.key) ?? stored(known.get(once.key)?.entry, isKept));
    if (earlier !== undefined) {
      const outcome =
        earlier.body === body ? { ...earlier.appended, repeated: true } : new JournalError('journal_key_conflict');
      return { append, outcome };
    }
    const why = purges[0]?.why ?? '';
    const appended: Appended = { first: seq + 1, last: seq + purges.length, time, why, repeated: false };
    seq = appended.last;
    if (once !== undefined) made.set(once.key, { body, appended });
    return { append, outcome: { ...appended, isNew: true as const } };
  });
}

function stored(
  entry: OnceEntry | undefined,
  isKept: (entry: OnceEntry) => boolean,
): { readonly body: string; readonly appended: Appended } | undefined {
  if (entry === undefined || !isKept(entry)) return undefined;
  const { body, first, last, time, why } = entry;
  return { body, appended: { first, last, time, why, repeated: true } };
}

/** @returns The audit entries of the appends that are not repeated. */
export function notesOf(plan: readonly Planned[]): AuditFields[] {
  return plan.flatMap(({ append: { note }, outcome }) => {
    if (note === undefined || !('isNew' in outcome)) return [];
    const { isNew: _, ...appended } = outcome;
    return [note(appended)];
  });
}

export function settle(plan: readonly Planned[]): void {
  for (const { append, outcome } of plan) {
    if (outcome instanceof JournalError) append.reject(outcome);
    else {
      const { first, last, time, why, repeated } = outcome;
      append.resolve({ first, last, time, why, repeated });
    }
  }
}

export function entryOf({ body }: Once, { first, last, time, why }: Appended, at: number): OnceEntry {
  return { body: Buffer.from(body).toString('base64'), at, first, last, time, why };
}

/** Takes the idempotency keys, behind the view, from the answer to a transaction that found the store otherwise. */
export function noteKeys(attempt: Attempt, entries: readonly { readonly once: Once }[], answer: TxnResponse): void {
  for (const [index, { once }] of entries.entries()) {
    const found: KeyValue | undefined = answer.responses?.[VIEW_OPERATIONS + index]?.response_range?.kvs?.[0];
    if (found === undefined) attempt.known.delete(once.key);
    else attempt.known.set(once.key, { revision: found.mod_revision, entry: decode(found) as OnceEntry });
  }
}
