/**
 * HTTP/2 connections: their streams become requests, and those that cost more
 * than they are worth are closed.
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { constants, createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { performance } from 'node:perf_hooks';
import type { TLSSocket } from 'node:tls';
import type { LimitsConfig } from '../config/schema.ts';
import { errorPage, HttpError } from './errors.ts';
import type { RawHeaders } from './headers.ts';
import { exchangeOn, http2Headers, type Peer, translateHead } from './http2-exchange.ts';
import { Allowance, http2Options, isMostlyOverhead } from './http2-limits.ts';

export interface Http2Handlers {
  readonly onRequest: (request: IncomingMessage, response: ServerResponse) => void;
  /** Told of every request that ends before `onRequest` could see it. */
  readonly onRefused?: ((error: HttpError) => void) | undefined;
  /** Told why a connection was closed that asked for too much: a name for the log and the metric. */
  readonly onFlood?: ((reason: string) => void) | undefined;
  /** Answers a request at once, if it can. @returns Whether it has. */
  readonly answer?: ((call: StreamCall) => boolean) | undefined;
}

/** A request that is only a head, on a stream that waits for its answer. */
export interface StreamCall {
  readonly stream: ServerHttp2Stream;
  /** Names and values as they came. */
  readonly raw: RawHeaders;
  readonly peer: Peer;
  /** Of `performance.now()`. */
  readonly startedAt: number;
}

/** How often connections are looked through. */
const SWEEP_MS = 500;

interface Connection {
  readonly socket: TLSSocket;
  readonly peer: Peer;
  readonly allowance: Allowance;
  /** Requests under way, and since when. */
  readonly streams: Map<ServerHttp2Stream, number>;
  count: number;
  bodyBytes: number;
  /** Of `performance.now()`; when the last request ended, or the connection began. */
  idleSince: number;
  /** What the other side had taken when it last took something, and when that was. */
  written: number;
  writtenAt: number;
}

export class Http2Connections {
  readonly #handlers: Http2Handlers;
  readonly #limits: () => LimitsConfig;
  readonly #server: Http2Server;
  readonly #connections = new Map<ServerHttp2Session, Connection>();
  readonly #sweep: NodeJS.Timeout;
  #isClosing = false;

  constructor(handlers: Http2Handlers, limits: () => LimitsConfig) {
    this.#handlers = handlers;
    this.#limits = limits;
    // Never listens: it is given connections that have been decrypted.
    this.#server = createServer(http2Options(limits()));
    this.#server.on('session', (session) => this.#begin(session));
    this.#server.on('stream', (stream, _headers, flags, raw) => this.#take(stream as ServerHttp2Stream, flags, raw));
    this.#server.on('sessionError', () => undefined); // 'error' of the session tells
    this.#sweep = setInterval(() => this.sweep(performance.now()), SWEEP_MS).unref();
  }

  get size(): number {
    return this.#connections.size;
  }

  accept(socket: TLSSocket): void {
    this.#server.emit('connection', socket);
  }

  /** Takes no more requests, lets those under way finish for `drain_timeout`, then cuts them off. */
  close(): void {
    this.#isClosing = true;
    for (const session of this.#connections.keys()) session.close();
    const { drain_timeout } = this.#limits();
    setTimeout(() => {
      for (const session of this.#connections.keys()) session.destroy();
    }, drain_timeout).unref();
  }

  /** New bounds for connections from now on. */
  update(limits: LimitsConfig): void {
    this.#server.updateSettings(http2Options(limits).settings ?? {});
  }

  /** @param now - Of `performance.now()`. */
  sweep(now: number): void {
    if (this.#connections.size === 0) {
      if (this.#isClosing) clearInterval(this.#sweep);
      return;
    }
    const { keep_alive_timeout, write_timeout, request_timeout } = this.#limits();
    for (const [session, connection] of this.#connections) {
      const { socket, streams, count: total, bodyBytes } = connection;
      const { bytesRead, bytesWritten } = socket;
      if (isMostlyOverhead({ bytesRead, bytesWritten, streams: total, bodyBytes })) {
        this.#calm(session, 'http2_overhead');
        continue;
      }
      if (streams.size === 0) {
        const idleMs = now - connection.idleSince;
        if (idleMs > keep_alive_timeout) session.close();
        if (idleMs > keep_alive_timeout + write_timeout) session.destroy();
        continue;
      }
      if (bytesWritten !== connection.written) {
        connection.written = bytesWritten;
        connection.writtenAt = now;
      }
      for (const [stream, since] of streams) {
        const isStuck = stream.headersSent && stream.writableLength > 0 && now - since > write_timeout;
        const isHeldUp = isStuck && now - connection.writtenAt > write_timeout;
        const isUnsent = !stream.readableEnded && now - since > request_timeout;
        // A body that is delivered piece by piece has a clock of its own (http/deliver.ts).
        if (isHeldUp || (isStuck && stream.writableEnded) || (isUnsent && !stream.headersSent)) {
          stream.close(constants.NGHTTP2_CANCEL);
        }
      }
    }
  }

  #begin(session: ServerHttp2Session): void {
    const socket = session.socket as TLSSocket;
    const now = performance.now();
    const peer: Peer = { remoteAddress: socket.remoteAddress ?? '0.0.0.0', encrypted: true, known: undefined };
    const connection: Connection = {
      socket,
      peer,
      allowance: new Allowance(now),
      streams: new Map(),
      count: 0,
      bodyBytes: 0,
      idleSince: now,
      written: 0,
      writtenAt: now,
    };
    this.#connections.set(session, connection);
    session.once('close', () => this.#connections.delete(session));
    session.on('error', (error: NodeJS.ErrnoException) => {
      // Node and nghttp2 close what goes beyond their bounds with an error; a connection that breaks is nothing to tell.
      if (error.code === 'ERR_HTTP2_ERROR' || error.code?.startsWith('ERR_HTTP2_TOO_MANY'))
        this.#handlers.onFlood?.('http2_refused');
    });
    const count = (): void => {
      if (!connection.allowance.take(performance.now())) this.#calm(session, 'http2_calls');
    };
    session.on('ping', count);
    session.on('remoteSettings', count);
    if (this.#isClosing) session.close();
  }

  #calm(session: ServerHttp2Session, reason: string): void {
    this.#handlers.onFlood?.(reason);
    session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }

  #take(stream: ServerHttp2Stream, flags: number, raw: RawHeaders): void {
    const connection = stream.session && this.#connections.get(stream.session as ServerHttp2Session);
    if (connection === undefined) {
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    const startedAt = performance.now();
    connection.count++;
    connection.streams.set(stream, startedAt);
    stream.on('error', ignore); // and 'close', which follows, tells whoever answers
    stream.on('close', () => {
      connection.streams.delete(stream);
      if (connection.streams.size === 0) connection.idleSince = performance.now();
    });
    const hasBody = (flags & constants.NGHTTP2_FLAG_END_STREAM) === 0;
    const { peer } = connection;
    if (!hasBody && this.#handlers.answer?.({ stream, raw, peer, startedAt })) return;
    if (hasBody) stream.on('data', (chunk: Buffer) => (connection.bodyBytes += chunk.length)).pause();
    try {
      const { request, response } = exchangeOn(stream, translateHead(raw, hasBody), peer, hasBody);
      this.#handlers.onRequest(request, response);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.#refuse(stream, error);
    }
  }

  #refuse(stream: ServerHttp2Stream, error: HttpError): void {
    this.#handlers.onRefused?.(error);
    const page = errorPage(error, crypto.randomUUID(), undefined);
    stream.respond(http2Headers(page.status, page.headers) as never);
    stream.end(page.body);
    stream.resume();
  }
}

function ignore(): void {
  // whoever answers hears of 'close'
}
