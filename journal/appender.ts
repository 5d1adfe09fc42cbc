/**
 * A node's way to purge: it asks the control node to append, for an origin
 * that says what has become invalid, or for somebody whom a site lets purge.
 * @module
 */
import { json } from 'node:stream/consumers';
import { Pool } from 'undici';
import { HttpError } from '../http/errors.ts';
import { TIER_FIELD } from '../http/tier-field.ts';
import type { Purge } from './journal.ts';
import type { SourceOptions } from './source.ts';
import { formatNodeField, PURGES_PATH } from './wire.ts';

const TIMEOUT_MS = 5_000;

export interface Appender {
  /**
   * @returns The number of the last one, durable.
   * @throws {HttpError} `journal_unreachable`.
   */
  append(purges: readonly Purge[]): Promise<number>;
  close(): Promise<void>;
}

export function httpAppender({ url, secret, node }: SourceOptions): Appender {
  const pool = new Pool(url, { headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS, connect: { timeout: TIMEOUT_MS } });
  const headers = { [TIER_FIELD]: formatNodeField(node, secret), 'Content-Type': 'application/json' };
  return {
    async append(purges) {
      try {
        const body = JSON.stringify({ purges });
        const answer = await pool.request({ method: 'POST', path: PURGES_PATH, headers, body });
        const parsed = (await json(answer.body)) as { last?: unknown };
        if (answer.statusCode === 200 && Number.isSafeInteger(parsed.last)) return parsed.last as number;
        throw new Error(`status ${answer.statusCode}`);
      } catch (cause) {
        throw new HttpError('journal_unreachable', String(cause), { cause });
      }
    },
    close: () => pool.close(),
  };
}
