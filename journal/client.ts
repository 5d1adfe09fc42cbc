/**
 * A node's client of the journal: three calls to the control node (wire.ts).
 * @module
 */
import type { Readable } from 'node:stream';
import { json } from 'node:stream/consumers';
import type { Dispatcher, Pool } from 'undici';
import { HttpError } from '../http/errors.ts';
import { TIER_FIELD } from '../http/fields/tier-field.ts';
import { connectionsTo } from '../trust/connector.ts';
import type { NodeCertificates } from '../trust/node-certificates.ts';
import { isIdentity, isNumber } from './check.ts';
import { JournalError } from './errors.ts';
import type { Purge } from './journal.ts';
import { jsonLines } from './lines.ts';
import type { Connect, JournalMessage, JournalPosition } from './message.ts';
import {
  APPLIED_PATH,
  formatNodeField,
  JOURNAL_CONTENT_TYPE,
  journalTarget,
  MAX_LINE_BYTES,
  PURGES_PATH,
  type Registration,
  TRAFFIC_PATH,
} from './wire.ts';

export interface JournalClientOptions {
  /** Scheme, host and port of the control node. */
  readonly url: string;
  /** The network's secret. */
  readonly secret: string;
  /** Certificates of this node: needed for `https`, where the secret is not sent. */
  readonly certificates?: NodeCertificates | undefined;
  /** Name of this node. */
  readonly node: string;
  /** Registration with which it follows the journal; absent: by its name alone. */
  readonly registration?: Registration | undefined;
}

export interface JournalClient {
  /**
   * Opens a connection to the journal, for the follower. Messages are parsed but not interpreted; the follower does
   * that, and closes silent connections. Its iterations throw a `JournalError`: `journal_unreachable`,
   * `journal_refused`, `journal_bad_message`, `journal_ended`.
   */
  readonly messages: Connect;
  /**
   * Reports progress, in lines that may be written while the call is open.
   *
   * @returns when the control node has answered that it has them all.
   * @throws {JournalError} `journal_refused`; or the client's error.
   */
  report(lines: Readable, signal: AbortSignal): Promise<void>;
  /**
   * Reports traffic, in lines that may be written while the call is open.
   *
   * @returns when the control node has answered that it has them all.
   * @throws {JournalError} `journal_refused`; or the client's error.
   */
  traffic(lines: Readable, signal: AbortSignal): Promise<void>;
  /**
   * Appends purges: for an origin that says what has become invalid, or for a visitor whom a site lets purge.
   *
   * @param purges - At least one.
   * @returns Position of the last one, which is durable.
   * @throws {HttpError} `journal_unreachable`: some of them, or all, may not have been taken.
   */
  append(purges: readonly Purge[]): Promise<JournalPosition>;
  /**
   * Sends a message in JSON that is not about the journal.
   *
   * @param timeoutMs - Time to wait for the answer.
   * @returns Its status, and its body if that is JSON.
   * @throws {JournalError} (rejects) `journal_unreachable`: it may have been taken.
   */
  post(path: string, message: object, timeoutMs: number, signal: AbortSignal): Promise<PostAnswer>;
  /** Ends what is in flight, but for connections of `messages`. */
  close(): Promise<void>;
}

export interface PostAnswer {
  readonly status: number;
  readonly body: unknown;
}

const TIMEOUT_MS = 5_000;
const TIMEOUTS = { headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS };

/** Purges of one call; the longest tags of as many are 2 MB. */
const PURGES_AT_ONCE = 1_000;

export function journalClient(options: JournalClientOptions): JournalClient {
  const { url, secret, node, certificates, registration } = options;
  const { connect, isEncrypted } = connectionsTo(url, { role: 'control' }, certificates, TIMEOUT_MS);
  const poolOptions = { ...TIMEOUTS, connect };
  let opened: Promise<Pool> | undefined;
  const calls = (): Promise<Pool> => {
    opened ??= openPool(url, poolOptions);
    return opened;
  };
  const field = { [TIER_FIELD]: formatNodeField(node, isEncrypted ? undefined : secret) };

  async function append(purges: readonly Purge[]): Promise<JournalPosition> {
    try {
      const body = JSON.stringify({ purges });
      const headers = { ...field, 'Content-Type': 'application/json' };
      const pool = await calls();
      const answer = await pool.request({ method: 'POST', path: PURGES_PATH, headers, body });
      const { identity, last: seq } = (await json(answer.body)) as { identity?: unknown; last?: unknown };
      if (answer.statusCode === 200 && isIdentity(identity) && isNumber(seq)) return { identity, seq };
      throw new Error(`status ${answer.statusCode}`);
    } catch (cause) {
      throw new HttpError('journal_unreachable', String(cause), { cause });
    }
  }

  async function sendLines(path: string, lines: Readable, signal: AbortSignal, timeouts: object = {}): Promise<void> {
    const headers = { ...field, 'Content-Type': JOURNAL_CONTENT_TYPE };
    const pool = await calls();
    const { statusCode, body } = await pool.request({
      method: 'POST',
      path,
      headers,
      body: lines,
      signal,
      ...timeouts,
    });
    await body.dump();
    if (statusCode < 200 || statusCode > 299) throw new JournalError('journal_refused', `status ${statusCode}`);
  }

  return {
    async *messages(after, signal) {
      // A pool for each connection, so that giving it up leaves nothing open. The follower is less patient with bodies.
      const pool = await openPool(url, { ...poolOptions, connections: 1, bodyTimeout: 0 });
      try {
        const body = await open(pool, { path: journalTarget(after, registration), headers: field, signal });
        yield* jsonLines(body, MAX_LINE_BYTES) as AsyncGenerator<JournalMessage>;
      } catch (cause) {
        throw cause instanceof JournalError ? cause : new JournalError('journal_ended', String(cause), { cause });
      } finally {
        await pool.destroy();
      }
    },
    report: (lines, signal) => sendLines(APPLIED_PATH, lines, signal),
    // Its sender ends a call that is not answered.
    traffic: (lines, signal) => sendLines(TRAFFIC_PATH, lines, signal, { headersTimeout: 0, bodyTimeout: 0 }),
    async append(purges) {
      let last = await append(purges.slice(0, PURGES_AT_ONCE));
      for (let from = PURGES_AT_ONCE; from < purges.length; from += PURGES_AT_ONCE) {
        last = await append(purges.slice(from, from + PURGES_AT_ONCE));
      }
      return last;
    },
    async post(path, message, timeoutMs, signal) {
      try {
        const headers = { ...field, 'Content-Type': 'application/json' };
        const body = JSON.stringify(message);
        const timeouts = { headersTimeout: timeoutMs, bodyTimeout: timeoutMs };
        const pool = await calls();
        const answer = await pool.request({ method: 'POST', path, headers, body, signal, ...timeouts });
        const isJson = String(answer.headers['content-type']).startsWith('application/json');
        if (isJson) return { status: answer.statusCode, body: await json(answer.body) };
        await answer.body.dump();
        return { status: answer.statusCode, body: undefined };
      } catch (cause) {
        throw new JournalError('journal_unreachable', String(cause), { cause });
      }
    },
    close: async () => (await opened)?.close(),
  };
}

async function openPool(url: string, options: Pool.Options): Promise<Pool> {
  // Only here: a thread that has its purges from another one has better use for the memory.
  const { Pool } = await import('undici');
  return new Pool(url, options);
}

async function open(
  pool: Pool,
  request: Pick<Dispatcher.RequestOptions, 'path' | 'headers' | 'signal'>,
): Promise<AsyncIterable<Uint8Array>> {
  try {
    const { statusCode, body } = await pool.request({ method: 'GET', ...request });
    body.on('error', () => undefined); // also without a reader; a reader gets it as well
    if (statusCode !== 200) throw new JournalError('journal_refused', `status ${statusCode}`);
    return body;
  } catch (cause) {
    throw cause instanceof JournalError ? cause : new JournalError('journal_unreachable', String(cause), { cause });
  }
}
