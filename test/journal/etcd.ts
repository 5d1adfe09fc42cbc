/**
 * Journals in a real etcd, each under a prefix of its own.
 */
import { randomUUID } from 'node:crypto';
import type { Test } from 'tap';
import { type EtcdJournal, type EtcdOptions, openEtcdJournal } from '../../journal/etcd/journal.ts';
import type { Journal } from '../../journal/journal.ts';
import { epochMs, wallNow } from '../../lib/clock.ts';
import type { Cluster } from '../support/etcd.ts';
import type { Open, Opened } from './contract.ts';

/** Options of a journal that lives through the loss of a member. */
export const PATIENT = { appendTimeoutMs: 30_000, callTimeoutMs: 1_000 };

export function newPrefix(): string {
  return `/${randomUUID()}/`;
}

/** Opens the journal under the prefix until the test is over. */
export async function openJournal(
  t: Test,
  endpoints: readonly string[],
  prefix: string,
  options: Partial<EtcdOptions> = {},
): Promise<EtcdJournal> {
  const journal = await openEtcdJournal({ endpoints, prefix, network: 'test', now: wallNow, ...options });
  t.teardown(() => journal.close());
  return journal;
}

/** Selectors of all records that the store has. */
export async function selectors(journal: Journal): Promise<string[]> {
  await journal.current();
  const { floor, newest: last } = journal.state();
  return (await journal.read(floor, last - floor)).map(({ selector }) => selector);
}

/** Copies what is stored under a prefix to another one, as a restored snapshot is a copy of the store. */
export async function copyStore(endpoint: string, from: string, to: string): Promise<void> {
  const { kvs = [] } = await call<{ kvs?: { key: string; value: string }[] }>(endpoint, 'range', {
    key: encoded(from),
    range_end: encoded(`${from.slice(0, -1)}0`),
  });
  for (const { key, value } of kvs) {
    const name = Buffer.from(key, 'base64').toString().replace(from, to);
    await call(endpoint, 'put', { key: encoded(name), value });
  }
}

export async function call<Response>(endpoint: string, name: string, body: unknown): Promise<Response> {
  const response = await fetch(`${endpoint}/v3/kv/${name}`, { method: 'POST', body: JSON.stringify(body) });
  if (!response.ok) throw new Error(await response.text());
  return (await response.json()) as Response;
}

export function encoded(text: string): string {
  return Buffer.from(text).toString('base64');
}

/** @returns What the contract of journals opens. */
export function opener({ endpoints }: Cluster): Open {
  return async (t, clock) => {
    const open = async (prefix: string): Promise<Opened> => {
      const journal = await openJournal(t, endpoints, prefix, { now: () => epochMs(clock()), defer: setImmediate });
      return {
        journal,
        async reopen() {
          await journal.close();
          return open(prefix);
        },
        async copy() {
          const copied = newPrefix();
          await copyStore(endpoints[0] as string, prefix, copied);
          return open(copied);
        },
      };
    };
    return open(newPrefix());
  };
}
