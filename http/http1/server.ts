/**
 * HTTP/1.1 server in front of `node:http`: parses plain requests (http/http1/recogniser.ts) and makes exchanges of
 * them. What is not recognised goes to `node:http` for good, with its bytes unread.
 * @module
 */
import type { Socket } from 'node:net';
import type { LimitsConfig } from '../../config/schema.ts';
import { type MonotonicMs, monotonicNow, msBetween } from '../../lib/clock.ts';
import { HttpError } from '../errors.ts';
import type { ServerExchange } from '../exchange.ts';
import type { ConnectionHandoff } from '../listener/listener.ts';
import { Http1Connection } from './connection.ts';
import { Http1Exchange } from './exchange.ts';
import type { Recogniser } from './recogniser.ts';

export interface Http1ServerOptions {
  /** Asked at each use, as a reload changes it. */
  readonly recogniser: () => Recogniser;
  readonly limits: () => LimitsConfig;
  /** As of a listener. */
  readonly allowHalfOpen?: boolean;
  /**
   * True if `onRequest` may answer with prepared bytes, and claims the other requests; by default it gets claimed ones.
   */
  readonly isPrepared?: boolean;
  /** Answers a request; never throws. */
  readonly onRequest: (exchange: ServerExchange) => void;
}

/** Interval of checks for expired timeouts. */
const SWEEP_MS = 500;

/** Node grants this much on top of the time it announces for an idle connection. */
const KEEP_ALIVE_GRACE_MS = 1_000;

export class Http1Server {
  readonly options: Http1ServerOptions;
  readonly #connections = new Set<Http1Connection>();
  readonly #sweep: NodeJS.Timeout;
  closing = false;
  #isClosed = false;
  /** Exchange for the next request. */
  #spare: Http1Exchange | undefined;

  constructor(options: Http1ServerOptions) {
    this.options = options;
    this.#sweep = setInterval(() => this.sweep(monotonicNow()), SWEEP_MS).unref();
  }

  /** Connections that are here, not with `node:http`. */
  get size(): number {
    return this.#connections.size;
  }

  /**
   * Takes a connection that has just been accepted, or decrypted.
   *
   * @param unread - Present if it comes back from `node:http`: what was read already, to be read again.
   */
  accept(socket: Socket, wire: ConnectionHandoff, unread?: Buffer): void {
    if (this.closing) {
      wire.handOff(socket, unread);
      return;
    }
    this.#connections.add(new Http1Connection(this, socket, wire, unread));
  }

  /** @returns An exchange for a request, to be given back by `reuse` unless that has claimed it. */
  takeExchange(): Http1Exchange {
    const exchange = this.#spare ?? new Http1Exchange();
    this.#spare = undefined;
    return exchange;
  }

  reuse(exchange: Http1Exchange): void {
    this.#spare = exchange;
  }

  /** The connection has closed, or is with `node:http` for good. */
  forget(connection: Http1Connection): void {
    this.#connections.delete(connection);
  }

  /** Connections go to `node:http` with their next request, and end with its answer; idle ones stay open until then. */
  retire(): void {
    this.closing = true;
  }

  /**
   * No more requests are answered here: idle connections are closed, the others go to `node:http` with their next
   * request.
   */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.retire();
    clearInterval(this.#sweep);
    for (const connection of this.#connections) connection.shutdown();
    setTimeout(() => {
      for (const connection of this.#connections) connection.socket.destroy();
    }, this.options.limits().drain_timeout).unref();
  }

  /** Closes the connections whose time is up. */
  sweep(now: MonotonicMs): void {
    const { header_timeout, keep_alive_timeout, write_timeout } = this.options.limits();
    for (const connection of this.#connections) {
      const waited = msBetween(connection.since, now);
      switch (connection.waitsFor) {
        case 'first-request':
        case 'rest-of-head':
          if (waited > header_timeout) connection.reject(new HttpError('request_timeout'));
          break;
        case 'request':
          connection.forgetLast();
          if (waited > keep_alive_timeout + KEEP_ALIVE_GRACE_MS) connection.socket.destroy();
          break;
        case 'reader':
          if (waited > write_timeout) connection.socket.destroy();
          break;
        case 'answer':
          break; // its time is for others to keep
      }
    }
  }
}
