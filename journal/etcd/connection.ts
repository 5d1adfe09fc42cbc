/**
 * One TCP connection to one member of etcd, through its JSON gateway (docs/adr/0021-etcd-client.md).
 *
 * The connection is never replaced by another one behind the caller's back: all answers that it gives are from one
 * process of etcd, and so from one history of the store. A member that was restored from a snapshot is another process
 * on another connection. The journal's terms rest on that (journal.ts).
 * @module
 */
import { buildConnector, Client } from 'undici';
import { JournalError } from '../errors.ts';
import { jsonLines } from '../lines.ts';

export interface EtcdAccess {
  /** Scheme, host and port of each member. */
  readonly endpoints: readonly string[];
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  /** The gateway knows no users by certificate: who needs one has a name and a password. */
  readonly user?: { readonly name: string; readonly password: string };
  /** Time limit of a call; a member that takes longer counts as gone. */
  readonly callTimeoutMs?: number;
  /** From 0 to below 1: chooses the member that is tried first. */
  readonly random?: () => number;
  /**
   * Opens a connection that has authenticated.
   *
   * @throws {JournalError} (rejects) `journal_unreachable`, `journal_refused`.
   */
  readonly open?: (endpoint: string, access: EtcdAccess) => Promise<EtcdChannel>;
}

/** A connection to one process of etcd: all its answers are of one history of the store. */
export interface EtcdChannel {
  /** Aborts when the connection is over. */
  readonly ended: AbortSignal;
  /**
   * @param path - Such as `/v3/kv/txn`.
   * @throws {EtcdRefusal} what etcd refuses; {JournalError} `journal_unreachable`: the call may have had its effect.
   */
  call<Response>(path: string, body: unknown): Promise<Response>;
  /**
   * Calls back for each event of the key, with its revision, where it has one. Events may be late, missing or doubled:
   * each is a hint to read.
   *
   * @returns when the watch has ended.
   */
  watch(key: string, changed: (revision: string | undefined) => void): Promise<void>;
  end(): void;
}

export interface KeyValue {
  readonly key: string;
  readonly value?: string;
  readonly mod_revision: string;
}

export interface RangeResponse {
  readonly header: { readonly revision: string };
  readonly kvs?: readonly KeyValue[];
  readonly count?: string;
}

export interface TxnResponse {
  readonly header: { readonly revision: string };
  readonly succeeded?: boolean;
  readonly responses?: readonly { readonly response_range?: RangeResponse }[];
}

interface WatchResponse {
  readonly result?: { readonly events?: readonly { readonly kv?: Partial<KeyValue> }[] };
}

function newestRevision({ result }: WatchResponse): string | undefined {
  const revision = result?.events?.at(-1)?.kv?.mod_revision;
  return typeof revision === 'string' && /^\d{1,19}$/.test(revision) ? revision : undefined;
}

/** A refusal by etcd: the call had no effect, unless etcd says that it has timed out. */
export class EtcdRefusal extends Error {
  /** Code of gRPC (grpc.io/docs/guides/status-codes). */
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.name = 'EtcdRefusal';
    this.code = code;
  }
}

/** @throws {Error} that says that it is no answer of etcd. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error('the answer is not one of the JSON gateway of etcd', { cause });
  }
}

const CALL_TIMEOUT_MS = 2_000;
/** Go closes no idle connection by itself; the client must not, either. */
const IDLE_MS = 24 * 60 * 60 * 1_000;
/** Bound of a line of a watch: an event of the head is far shorter. */
const MAX_EVENT_BYTES = 1_048_576;
/** gRPC: to a compaction, that it was made already. */
export const OUT_OF_RANGE = 11;
/** gRPC: the member has no leader, or no longer knows the user; another connection may be better. */
const IS_OVER: ReadonlySet<number> = new Set([14, 16]);

export class EtcdConnection implements EtcdChannel {
  readonly endpoint: string;
  readonly #client: Client;
  readonly #access: EtcdAccess;
  readonly #ended = new AbortController();
  #token: string | undefined;

  /** @returns A connection that has authenticated. @throws {JournalError} `journal_unreachable`, `journal_refused`. */
  static async open(endpoint: string, access: EtcdAccess): Promise<EtcdConnection> {
    const connection = new EtcdConnection(endpoint, access);
    try {
      await connection.#authenticate();
      return connection;
    } catch (error) {
      connection.end();
      throw error;
    }
  }

  private constructor(endpoint: string, access: EtcdAccess) {
    this.endpoint = endpoint;
    this.#access = access;
    this.#client = new Client(endpoint, { ...this.#limits(), pipelining: 1, connect: this.#connectOnce() });
    this.#client.on('disconnect', () => this.end());
    this.#client.on('connectionError', () => this.end());
  }

  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  async call<Response>(path: string, body: unknown): Promise<Response> {
    const headers = { 'content-type': 'application/json', ...(this.#token && { authorization: this.#token }) };
    let statusCode: number;
    let answer: unknown;
    try {
      if (this.ended.aborted) throw new Error('the connection is over');
      const response = await this.#client.request({ method: 'POST', path, headers, body: JSON.stringify(body) });
      statusCode = response.statusCode;
      const text = await response.body.text();
      answer = parsed(text);
    } catch (cause) {
      this.end();
      throw new JournalError('journal_unreachable', `${this.endpoint}: ${(cause as Error).message}`, { cause });
    }
    if (statusCode === 200) return answer as Response;
    const { code = 2, error = `status ${statusCode}` } = answer as { code?: number; error?: string };
    if (IS_OVER.has(code)) this.end();
    throw new EtcdRefusal(code, error);
  }

  async watch(key: string, changed: (revision: string | undefined) => void): Promise<void> {
    const client = new Client(this.endpoint, { ...this.#limits(), bodyTimeout: 0, connect: this.#connectOnce() });
    try {
      const { statusCode, body } = await client.request({
        method: 'POST',
        path: '/v3/watch',
        headers: { 'grpc-metadata-hasleader': 'true', ...(this.#token && { authorization: this.#token }) },
        body: JSON.stringify({ create_request: { key } }),
        signal: this.ended,
      });
      if (statusCode !== 200) return;
      for await (const line of jsonLines(body, MAX_EVENT_BYTES)) changed(newestRevision(line as WatchResponse));
    } catch {
      // It has ended, for whatever reason; the caller opens another one.
    } finally {
      await client.destroy();
    }
  }

  end(): void {
    if (this.ended.aborted) return;
    this.#ended.abort();
    void this.#client.destroy();
  }

  async #authenticate(): Promise<void> {
    const { user } = this.#access;
    if (user === undefined) return;
    try {
      const { token } = await this.call<{ token: string }>('/v3/auth/authenticate', user);
      this.#token = token;
    } catch (cause) {
      if (!(cause instanceof EtcdRefusal)) throw cause;
      throw new JournalError('journal_refused', `${this.endpoint}: ${cause.message}`, { cause });
    }
  }

  #limits() {
    const ms = this.#access.callTimeoutMs ?? CALL_TIMEOUT_MS;
    return { headersTimeout: ms, bodyTimeout: ms, keepAliveTimeout: IDLE_MS, keepAliveMaxTimeout: IDLE_MS };
  }

  /** @returns A connector that refuses to connect a second time. */
  #connectOnce(): buildConnector.connector {
    const { tls = {}, callTimeoutMs: timeout = CALL_TIMEOUT_MS } = this.#access;
    const connector = buildConnector({ ...tls, timeout });
    let isUsed = false;
    return (options, callback) => {
      if (isUsed) {
        callback(new Error('the connection is over'), null);
        return;
      }
      isUsed = true;
      connector(options, callback);
    };
  }
}
