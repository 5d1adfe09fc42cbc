/**
 * Calls of etcd about rows: on a connection that is kept, and tried again with another member.
 * @module
 */
import { setTimeout as timeout } from 'node:timers/promises';
import { JournalError } from '../../journal/errors.ts';
import { type EtcdAccess, type EtcdChannel, EtcdRefusal } from '../../journal/etcd/connection.ts';
import { callError, hasWrittenNothing } from '../../journal/etcd/requests.ts';
import { Sessions } from '../../journal/etcd/sessions.ts';
import { later, monotonicNow, msSince } from '../../lib/clock.ts';

/** Time after which a call is given up. */
const PATIENCE_MS = 5_000;
const PAUSE_MS = 50;

export class EtcdCalls {
  readonly #sessions: Sessions<{ readonly connection: EtcdChannel }>;

  /** @param connected - Called with each new connection: the store may be another one than before. */
  constructor(access: EtcdAccess, connected: () => void = () => undefined) {
    this.#sessions = new Sessions({
      access,
      begin: async (connection) => {
        connected();
        return { connection };
      },
    });
  }

  /**
   * Makes a call, and makes it again where it may be made again: one before may have had its effect.
   *
   * @throws {JournalError} (rejects) `journal_unreachable`, `journal_refused`, `journal_not_written`.
   */
  async run<T>(call: (connection: EtcdChannel) => Promise<T>): Promise<T> {
    const giveUpAt = later(monotonicNow(), PATIENCE_MS);
    for (;;) {
      try {
        const { connection } = await this.#sessions.connected();
        return await call(connection);
      } catch (error) {
        const isFinal = error instanceof JournalError ? error.code !== 'journal_unreachable' : hasWrittenNothing(error);
        if (error instanceof EtcdRefusal) this.#sessions.leave();
        if (isFinal || msSince(giveUpAt) >= 0) throw callError(error);
        await timeout(PAUSE_MS);
      }
    }
  }

  close(): void {
    this.#sessions.close();
  }
}
