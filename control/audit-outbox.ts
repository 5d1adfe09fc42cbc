/**
 * Entries for the audit log that another process than a control node has written: a command that makes a token, or a
 * certificate. They wait in the store until a control node appends them to the log, once, and signs them.
 * @module
 */
import { randomUUID } from 'node:crypto';
import { userInfo } from 'node:os';
import { setTimeout as timeout } from 'node:timers/promises';
import type { AuditedJournal, AuditFields } from '../journal/journal.ts';
import { wallNow } from '../lib/clock.ts';
import type { Logger } from '../telemetry/log.ts';

/** An entry that waits. */
export interface Waiting {
  /** Random. */
  readonly id: string;
  readonly entry: AuditFields;
}

export interface AuditOutbox {
  /** Durable when it resolves. */
  add(waiting: Waiting): Promise<void>;
  /** @returns All of them, in any order. */
  list(): Promise<readonly Waiting[]>;
  remove(id: string): Promise<void>;
}

/**
 * Makes an entry about what a command has done on this machine.
 *
 * @param action - Such as `create token`.
 */
export function commandEntry(action: string, rest: AuditFields): Waiting {
  return {
    id: randomUUID(),
    entry: {
      time: new Date(wallNow()).toISOString(),
      who: userName(),
      address: 'command',
      action,
      result: 'ok',
      ...rest,
    },
  };
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? '?'}`; // a user without an entry in passwd, as in a container
  }
}

export interface OutboxOptions {
  readonly outbox: AuditOutbox;
  readonly journal: Pick<AuditedJournal, 'note'>;
  /** Name of the control node. */
  readonly node: string;
  readonly appended: (entry: AuditFields) => void;
  readonly log: Pick<Logger, 'error'>;
  readonly intervalMs?: number;
}

const INTERVAL_MS = 1_000;

/** Appends what waits, from now on. @returns How to stop it. */
export function emptyRegularly(options: OutboxOptions): () => Promise<void> {
  const { log, intervalMs = INTERVAL_MS } = options;
  const ending = new AbortController();
  let isFailing = false;
  const running = (async () => {
    while (!ending.signal.aborted) {
      try {
        await emptyOutbox(options);
        isFailing = false;
      } catch (error) {
        if (!isFailing) log.error({ err: error }, 'entries of commands wait for the audit log: it is tried again');
        isFailing = true;
      }
      await timeout(intervalMs, undefined, { signal: ending.signal, ref: false }).catch(() => undefined);
    }
  })();
  return async () => {
    ending.abort();
    await running;
  };
}

/** Appends what waits. Several control nodes may do so at once: the id is an idempotency key. */
export async function emptyOutbox({ outbox, journal, node, appended }: OutboxOptions): Promise<void> {
  const waiting = (await outbox.list()).toSorted(byTime);
  for (const { id, entry } of waiting) {
    const { time, ...rest } = entry;
    const noted = { time, node, ...rest };
    await journal.note(noted, { key: `audit:${id}`, body: Buffer.from(id) });
    await outbox.remove(id);
    appended(noted);
  }
}

function byTime({ entry: { time: one } }: Waiting, { entry: { time: other } }: Waiting): number {
  return String(one) < String(other) ? -1 : 1;
}
