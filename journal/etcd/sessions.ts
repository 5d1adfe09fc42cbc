/**
 * The connection that is in use, and the next one when it is over: each member is tried in turn.
 * @module
 */
import { JournalError } from '../errors.ts';
import { type EtcdAccess, type EtcdChannel, EtcdConnection } from './connection.ts';
import { connectError } from './requests.ts';

export interface Session {
  readonly connection: EtcdChannel;
}

export interface SessionsOptions<S extends Session> {
  readonly access: EtcdAccess;
  /** Reads what has to be known of the store before the connection is used. */
  readonly begin: (connection: EtcdChannel) => Promise<S>;
}

/** Errors of a store that another member will not cure. */
const IS_FINAL: ReadonlySet<string> = new Set(['journal_foreign']);

export class Sessions<S extends Session> {
  readonly #options: SessionsOptions<S>;
  readonly #closing = new AbortController();
  #current: S | undefined;
  #connecting: Promise<S> | undefined;
  /** Member that is tried next. */
  #next: number;

  constructor(options: SessionsOptions<S>) {
    this.#options = options;
    const { endpoints, random = Math.random } = options.access;
    this.#next = Math.floor(random() * endpoints.length);
  }

  /** The connection in use; it may be over. */
  get current(): S | undefined {
    return this.#current;
  }

  /** @returns The connection that is open, or the next one. @throws {JournalError} */
  connected(): Promise<S> {
    const session = this.#current;
    if (session !== undefined && !session.connection.ended.aborted) return Promise.resolve(session);
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  /** Ends the connection in use; the next call opens another one. */
  leave(): void {
    this.#current?.connection.end();
  }

  close(): void {
    this.#closing.abort();
    this.leave();
  }

  /** Tries each member once. */
  async #connect(): Promise<S> {
    const { access, begin } = this.#options;
    const { endpoints, open = EtcdConnection.open } = access;
    let problem: unknown;
    for (let tries = endpoints.length; tries > 0; tries -= 1) {
      this.#checkOpen();
      const endpoint = endpoints[this.#next++ % endpoints.length] as string;
      let connection: EtcdChannel | undefined;
      try {
        connection = await open(endpoint, access);
        const session = await begin(connection);
        this.#checkOpen();
        this.#current = session;
        return session;
      } catch (error) {
        connection?.end();
        problem = connectError(endpoint, error);
        if (problem instanceof JournalError && IS_FINAL.has(problem.code)) break;
      }
    }
    throw problem;
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw new JournalError('journal_closed');
  }
}
