/**
 * A node's clients of all control nodes: it follows one of them, appends to whichever takes it, and reports to all.
 *
 * Control nodes have the same journal, so that it does not matter which one is followed. Each connection goes to the
 * next one: one that has failed, or hangs, is left at once.
 * @module
 */
import type { Readable } from 'node:stream';
import { HttpError } from '../http/errors.ts';
import type { NodeCertificates } from '../trust/node-certificates.ts';
import { type JournalClient, journalClient } from './client.ts';
import type { Purge } from './journal.ts';
import type { Connect, JournalPosition } from './message.ts';
import type { Registration } from './wire.ts';

export interface JournalClientsOptions {
  /** Scheme, host and port of each control node; at least one, the preferred one first. */
  readonly urls: readonly string[];
  /** The network's secret. */
  readonly secret: string;
  /** Certificates of this node: needed for `https`, where the secret is not sent. */
  readonly certificates?: NodeCertificates | undefined;
  /** Name of this node. */
  readonly node: string;
  readonly registration?: Registration | undefined;
}

export interface JournalClients {
  /** Opens a connection to the next control node (`JournalClient.messages`). */
  readonly messages: Connect;
  /** Address of the control node that is followed. */
  readonly followed: string;
  /** One for each control node. */
  readonly reports: readonly { report(lines: Readable, signal: AbortSignal): Promise<void> }[];
  /** One for each control node. */
  readonly traffic: readonly Pick<JournalClient, 'traffic'>[];
  /**
   * Appends purges at the control node that is followed, or else at another one.
   *
   * @returns Position of the last one, which is durable.
   * @throws {HttpError} `journal_unreachable`: some of them, or all, may not have been taken.
   */
  append(purges: readonly Purge[]): Promise<JournalPosition>;
  close(): Promise<void>;
}

export function journalClients({ urls, ...options }: JournalClientsOptions): JournalClients {
  const clients = urls.map((url) => journalClient({ url, ...options }));
  let connections = 0;
  const at = (index: number): JournalClient => clients[index % clients.length] as JournalClient;
  /** Place of the control node that is followed. */
  const current = (): number => Math.max(0, connections - 1);
  return {
    messages(after, signal) {
      connections += 1;
      return at(current()).messages(after, signal);
    },
    get followed() {
      return urls[current() % urls.length] as string;
    },
    reports: clients,
    traffic: clients,
    async append(purges) {
      let problem: unknown = new HttpError('journal_unreachable', 'no control node');
      const first = current();
      for (let index = first; index < first + clients.length; index += 1) {
        try {
          return await at(index).append(purges);
        } catch (error) {
          problem = error;
        }
      }
      throw problem;
    },
    async close() {
      await Promise.all(clients.map((client) => client.close()));
    },
  };
}
