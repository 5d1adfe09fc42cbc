/**
 * A node's end of the wire: connections to the control node for the follower,
 * and word of how far it has got.
 * @module
 */
import { Pool } from 'undici';
import { TIER_FIELD } from '../http/tier-field.ts';
import { JournalError } from './errors.ts';
import { jsonLines } from './lines.ts';
import type { Connect, JournalMessage } from './message.ts';
import { formatNodeField, journalTarget, MAX_LINE_BYTES } from './wire.ts';

export interface SourceOptions {
  /** Scheme, host and port of the control node. */
  readonly url: string;
  /** The network's secret. */
  readonly secret: string;
  /** Name of this node. */
  readonly node: string;
}

const CONNECT_TIMEOUT_MS = 5_000;
const HEADERS_TIMEOUT_MS = 5_000;

/**
 * Opens connections to the journal over HTTP. Messages are parsed but not interpreted; the follower does that, and
 * closes silent connections.
 *
 * @returns A transport whose iterations throw a `JournalError`:
 *   `journal_unreachable`, `journal_refused`, `journal_bad_message`,
 *   `journal_ended`.
 */
export function httpSource({ url, secret, node }: SourceOptions): Connect {
  return async function* messages(after, signal) {
    // A pool for each connection, so that giving it up leaves nothing open.
    const pool = new Pool(url, {
      connections: 1,
      headersTimeout: HEADERS_TIMEOUT_MS,
      bodyTimeout: 0, // the follower's patience is shorter
      connect: { timeout: CONNECT_TIMEOUT_MS },
    });
    try {
      const body = await open(pool, journalTarget(after), formatNodeField(node, secret), signal);
      yield* jsonLines(body, MAX_LINE_BYTES) as AsyncGenerator<JournalMessage>;
    } catch (cause) {
      throw cause instanceof JournalError ? cause : new JournalError('journal_ended', String(cause), { cause });
    } finally {
      await pool.destroy();
    }
  };
}

async function open(pool: Pool, path: string, field: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
  try {
    const headers = { [TIER_FIELD]: field };
    const { statusCode, body } = await pool.request({ method: 'GET', path, headers, signal });
    body.on('error', () => undefined); // also when nobody reads any more; whoever reads hears of it
    if (statusCode !== 200) throw new JournalError('journal_refused', `status ${statusCode}`);
    return body;
  } catch (cause) {
    throw cause instanceof JournalError ? cause : new JournalError('journal_unreachable', String(cause), { cause });
  }
}
