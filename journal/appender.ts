/**
 * A node's way to purge: it asks the control node to append, for an origin
 * that says what has become invalid, or for somebody whom a site lets purge.
 * @module
 */
import { json } from 'node:stream/consumers';
import { Pool } from 'undici';
import { HttpError } from '../http/errors.ts';
import { TIER_FIELD } from '../http/tier-field.ts';
import { isIdentity, isNumber } from './check.ts';
import type { Purge } from './journal.ts';
import type { JournalPosition } from './message.ts';
import type { SourceOptions } from './source.ts';
import { formatNodeField, PURGES_PATH } from './wire.ts';

const TIMEOUT_MS = 5_000;

/** In one call; of the longest tags it has 2 MB then. */
const PURGES_AT_ONCE = 1_000;

export interface Appender {
  /**
   * @param purges - At least one.
   * @returns Where the last one is, durable.
   * @throws {HttpError} `journal_unreachable`: some of them, or all, may not have been taken.
   */
  append(purges: readonly Purge[]): Promise<JournalPosition>;
  close(): Promise<void>;
}

export function httpAppender({ url, secret, node }: SourceOptions): Appender {
  const pool = new Pool(url, { headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS, connect: { timeout: TIMEOUT_MS } });
  const headers = { [TIER_FIELD]: formatNodeField(node, secret), 'Content-Type': 'application/json' };
  const call = async (purges: readonly Purge[]): Promise<JournalPosition> => {
    try {
      const body = JSON.stringify({ purges });
      const answer = await pool.request({ method: 'POST', path: PURGES_PATH, headers, body });
      const { identity, last: seq } = (await json(answer.body)) as { identity?: unknown; last?: unknown };
      if (answer.statusCode === 200 && isIdentity(identity) && isNumber(seq)) return { identity, seq };
      throw new Error(`status ${answer.statusCode}`);
    } catch (cause) {
      throw new HttpError('journal_unreachable', String(cause), { cause });
    }
  };
  return {
    async append(purges) {
      let last = await call(purges.slice(0, PURGES_AT_ONCE));
      for (let from = PURGES_AT_ONCE; from < purges.length; from += PURGES_AT_ONCE) {
        last = await call(purges.slice(from, from + PURGES_AT_ONCE));
      }
      return last;
    },
    close: () => pool.close(),
  };
}
