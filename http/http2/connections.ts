/**
 * HTTP/2 connections: their requests are answered at once or like all others,
 * and those that cost more than they are worth are closed.
 * @module
 */
import type { TLSSocket } from 'node:tls';
import type { LimitsConfig } from '../../config/schema.ts';
import { laterOf, type MonotonicMs, monotonicNow, msBetween } from '../../lib/clock.ts';
import { HttpError } from '../errors.ts';
import type { ServerExchange } from '../exchange.ts';
import type { ConnectionRefusal } from '../listener/connection-refusals.ts';
import { Connection } from './connection.ts';
import { ERROR } from './errors.ts';
import { StreamExchange } from './exchange.ts';
import { translateHead } from './head-translation.ts';
import { isMostlyOverhead } from './limits.ts';
import { sendPage } from './refusing.ts';
import { RepeatedSections } from './repeated-sections.ts';
import type { IncomingRequest } from './section.ts';
import type { Stream } from './stream.ts';

export interface Http2Handlers {
  readonly onRequest: (exchange: ServerExchange) => void;
  /** Called for every request that ends before `onRequest` could see it. */
  readonly onRefused?: ((error: HttpError) => void) | undefined;
  /** Called with the reason when a connection is closed for excessive input: a name for the log and the metric. */
  readonly onFlood?: ((reason: ConnectionRefusal) => void) | undefined;
  /** Called with an internal error. */
  readonly onProblem?: ((error: unknown) => void) | undefined;
  /**
   * True if `onRequest` may answer with prepared bytes, and claims the other requests; by default it gets claimed ones.
   */
  readonly isPrepared?: boolean | undefined;
  /** Name of the field with the identifier of a request that is refused, or `off`. */
  readonly idName?: (() => string) | undefined;
}

/** Interval of checks for expired timeouts. */
const SWEEP_MS = 500;

/** Time between the two GOAWAY frames of a shutdown: the first announces it, the second names the last stream. */
const DRAIN_MS = 1_000;

/** Progress of a connection at the last check. */
interface Progress {
  taken: number;
  /** Time at which it last took bytes, or had none to take. */
  at: MonotonicMs;
}

export class Http2Connections {
  readonly #handlers: Http2Handlers;
  readonly #limits: () => LimitsConfig;
  readonly #connections = new Map<Connection, Progress>();
  readonly #sweep: NodeJS.Timeout;
  readonly #sections = new RepeatedSections();
  /** Exchange for the next request whose section is repeated. */
  #spare: StreamExchange | undefined;
  #isClosing = false;

  constructor(handlers: Http2Handlers, limits: () => LimitsConfig) {
    this.#handlers = handlers;
    this.#limits = limits;
    this.#sweep = setInterval(() => this.sweep(monotonicNow()), SWEEP_MS).unref();
  }

  get size(): number {
    return this.#connections.size;
  }

  /** @param socket - Decrypted, without a reader. */
  accept(socket: TLSSocket): void {
    const { onFlood, onProblem } = this.#handlers;
    const connection = new Connection({
      socket,
      limits: this.#limits,
      onRequest: this.#take,
      onFlood: (reason) => onFlood?.(reason),
      onProblem: (error) => onProblem?.(error),
      onClose: (closed) => this.#connections.delete(closed),
    });
    this.#connections.set(connection, { taken: 0, at: connection.readAt });
    if (this.#isClosing) connection.shutdown();
  }

  /** Takes no more requests, lets those under way finish for `drain_timeout`, then cuts them off. */
  close(): void {
    this.#isClosing = true;
    for (const connection of this.#connections.keys()) connection.drain();
    const each = (call: (connection: Connection) => void, ms: number): void => {
      setTimeout(() => {
        for (const connection of this.#connections.keys()) call(connection);
      }, ms).unref();
    };
    const { drain_timeout: drainMs } = this.#limits();
    each((connection) => connection.shutdown(), Math.min(DRAIN_MS, drainMs / 2));
    each((connection) => connection.destroy(), drainMs);
  }

  /** Closes the connections and streams whose time is up. */
  sweep(now: MonotonicMs): void {
    if (this.#connections.size === 0) {
      if (this.#isClosing) clearInterval(this.#sweep);
      return;
    }
    for (const [connection, progress] of this.#connections) {
      const { bytesTaken, isHeldUp } = connection;
      if (bytesTaken !== progress.taken || !isHeldUp) progress.at = now;
      progress.taken = bytesTaken;
      this.#check(connection, now, progress.at);
    }
  }

  #check(connection: Connection, now: MonotonicMs, tookAt: MonotonicMs): void {
    const { socket, streams, hasSettings } = connection;
    const { requests, bodyBytes } = streams;
    const { keep_alive_timeout, write_timeout, request_timeout, header_timeout } = this.#limits();
    const { bytesRead, bytesWritten } = socket;
    if (isMostlyOverhead({ bytesRead, bytesWritten, requests, bodyBytes })) {
      connection.closeForFlood('http2_overhead');
      return;
    }
    if (streams.size === 0) {
      const idleMs = msBetween(streams.idleSince, now);
      if (!hasSettings && idleMs > header_timeout) connection.destroy();
      if (idleMs > keep_alive_timeout) connection.shutdown();
      if (idleMs > keep_alive_timeout + write_timeout) connection.destroy();
    }
    if (msBetween(tookAt, now) > write_timeout) connection.destroy();
    streams.endLingering(now);
    for (const stream of streams.values()) {
      const isStuck = stream.queued > 0 && msBetween(this.#movedAt(connection, stream, tookAt), now) > write_timeout;
      const isUnsent = !stream.isComplete && !stream.headersSent && msBetween(stream.startedAt, now) > request_timeout;
      if (isStuck || isUnsent) stream.reset(ERROR.cancel);
    }
  }

  /** Time of the last progress of an answer. While it opens the window of a stream, that waits for its turn only. */
  #movedAt({ isHeldUp, streams }: Connection, { movedAt, sendWindow }: Stream, tookAt: MonotonicMs): MonotonicMs {
    const sentOrMovedAt = sendWindow > 0 ? laterOf(movedAt, streams.sentAt) : movedAt;
    return isHeldUp ? laterOf(sentOrMovedAt, tookAt) : sentOrMovedAt;
  }

  readonly #take = (connection: Connection, incoming: IncomingRequest): void => {
    if (this.#takeRepeated(connection, incoming)) return;
    const { section, hasBody, isTooLarge } = incoming;
    const stream = connection.open(incoming);
    try {
      if (isTooLarge) throw new HttpError('header_too_large');
      const exchange = new StreamExchange();
      exchange.beginOn(stream, connection, translateHead(section.raw, hasBody));
      if (hasBody) connection.streams.handleWithBody(stream, () => this.#handlers.onRequest(exchange));
      else this.#handlers.onRequest(exchange);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.#handlers.onRefused?.(error);
      sendPage(stream, error, this.#handlers.idName?.());
    }
  };

  /** Takes a request that may be answered with prepared bytes. @returns Whether it is one. */
  #takeRepeated(connection: Connection, incoming: IncomingRequest): boolean {
    const { section, hasBody, isTooLarge } = incoming;
    const { method, path } = section;
    if (this.#handlers.isPrepared !== true || hasBody || isTooLarge) return false;
    if ((method !== 'GET' && method !== 'HEAD') || !TARGET.test(path)) return false;
    const { peer } = connection;
    const { last } = peer;
    const repeated = this.#sections.of(peer, section);
    if (repeated === null) return false;
    const exchange = this.#spare ?? new StreamExchange();
    this.#spare = undefined;
    exchange.begin(connection, incoming, repeated);
    this.#handlers.onRequest(exchange);
    if (!exchange.isClaimed) this.#spare = exchange;
    section.isRemembered = exchange.isSent && last !== undefined && peer.last === last;
    return true;
  }
}

/** Target that is written without further reading. */
const TARGET = /^\/[\x21-\x7e]*$/;
