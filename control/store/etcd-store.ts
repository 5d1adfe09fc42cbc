/**
 * The store of several control nodes: in etcd. They keep nothing themselves.
 *
 * Keys beside those of the journal (journal/etcd/layout.ts), below the same prefix:
 *
 *     tokens/ID       a token: the hash of its secret, and what it may do
 *     waiting/ID      an entry of a command that waits for the audit log
 *     drains/REGION   the drain of a region: by, since, reason; null: it is not drained
 *     jobs/KEY        a row of a job (control/jobs/rows.ts)
 *     nodes/NAME      the registry of nodes (control/members.ts)
 * @module
 */
import { type EtcdAccess, EtcdConnection } from '../../journal/etcd/connection.ts';
import { type EtcdOptions, openEtcdJournal } from '../../journal/etcd/journal.ts';
import { EtcdDrains } from './etcd-drains.ts';
import { EtcdJobs } from './etcd-jobs.ts';
import { EtcdMembers } from './etcd-members.ts';
import { EtcdOutbox } from './etcd-outbox.ts';
import { EtcdTable } from './etcd-table.ts';
import { EtcdTokens } from './etcd-tokens.ts';
import type { ControlStore, StorePart } from './store.ts';

/** @throws {JournalError} (rejects) `journal_unreachable`, `journal_refused`, `journal_foreign`, `journal_corrupt`. */
export async function openEtcdStore(options: EtcdOptions): Promise<ControlStore> {
  const journal = await openEtcdJournal(options);
  const tokens = new EtcdTable(options, `${options.prefix}tokens/`);
  const regions = new EtcdTable(options, `${options.prefix}drains/`);
  const waiting = new EtcdTable(options, `${options.prefix}waiting/`);
  const jobs = new EtcdJobs(options, `${options.prefix}jobs/`, waiting);
  const nodes = new EtcdTable(options, `${options.prefix}nodes/`);
  const closeTables = (): void => {
    jobs.close();
    nodes.close();
    tokens.close();
    regions.close();
    waiting.close();
  };
  try {
    const drains = await EtcdDrains.open(regions);
    return {
      journal,
      tokens: new EtcdTokens(tokens, waiting),
      drains,
      members: new EtcdMembers(nodes),
      outbox: new EtcdOutbox(waiting),
      jobs,
      measure: () => Promise.all(options.endpoints.map((endpoint) => sizeOf(endpoint, options))),
      async close() {
        drains.close();
        closeTables();
        await journal.close();
      },
    };
  } catch (error) {
    closeTables();
    await journal.close();
    throw error;
  }
}

/** On a connection of its own, as each member has a size. */
async function sizeOf(endpoint: string, access: EtcdAccess): Promise<StorePart> {
  const name = new URL(endpoint).host;
  let connection: EtcdConnection | undefined;
  try {
    connection = await EtcdConnection.open(endpoint, access);
    const { dbSize, errors = [] } = await connection.call<{ dbSize: string; errors?: readonly string[] }>(
      '/v3/maintenance/status',
      {},
    );
    return { name, bytes: Number(dbSize), isFull: errors.some((error) => error.includes('NOSPACE')) };
  } catch {
    return { name, bytes: undefined, isFull: false }; // it is down, or says nothing of itself to this user
  } finally {
    connection?.end();
  }
}
