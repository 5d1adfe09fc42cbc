/**
 * TLS on a listener: certificates by name, tickets for resuming sessions, and
 * which protocol a connection goes on with (ALPN).
 * @module
 */
import type { Server } from 'node:http';
import type { Server as SecureServer } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket, TlsOptions } from 'node:tls';
import type { LimitsConfig } from '../../config/schema.ts';
import type { HttpError } from '../errors.ts';
import { Http2Connections, type Http2Handlers } from '../http2/connections.ts';
import { connectionBelow } from '../node-internals/connection-below.ts';
import { setHandshakeTimeout } from '../node-internals/handshake-timeout.ts';
import type { Certificates } from './certificates.ts';
import { contextOptions, makeTicketKeys, TICKET_KEYS_MS, tlsServerOptions } from './tls-options.ts';

export interface SecureOptions {
  readonly certificates: Certificates;
  readonly tickets: TicketKeys;
  readonly http2: Http2Handlers;
  /** Called with the reason when a handshake fails. */
  readonly onHandshakeFailed?: (code: string) => void;
}

/** The keys that session tickets are sealed with: the same in all processes that share an address. */
export class TicketKeys {
  #current: Buffer;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #listeners = new Set<() => void>();

  /** @param given - Where another process makes them; absent: they are made here, and made anew regularly. */
  constructor(given?: Buffer) {
    this.#current = given ?? makeTicketKeys();
    this.#timer = given ? undefined : setInterval(() => this.set(makeTicketKeys()), TICKET_KEYS_MS).unref();
  }

  get current(): Buffer {
    return this.#current;
  }

  set(keys: Buffer): void {
    this.#current = keys;
    for (const listener of this.#listeners) listener();
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

/** TLS on a listener, for visitors or for nodes. */
export interface SecureListening {
  serverOptions(limits: LimitsConfig): TlsOptions;
  /** Keeps the server's certificates up to date, and looks at its connections. */
  attach(server: TlsServer, calls: TlsListenerCalls): SecureConnections;
}

export type TlsServer = Server & SecureServer;

/** Services of a listener for its TLS. */
export interface TlsListenerCalls {
  readonly limits: () => LimitsConfig;
  /** Answers a connection that speaks HTTP without TLS. */
  readonly onPlainHttp: (socket: Socket) => void;
  /** Answers a connection with an error, and closes it. */
  readonly reject: (socket: TLSSocket, error: HttpError) => void;
}

/** TLS for visitors. */
export function secureListening(options: SecureOptions): SecureListening {
  const { certificates, tickets } = options;
  return {
    serverOptions: ({ handshake_timeout: handshakeTimeoutMs }) =>
      tlsServerOptions({ certificates, ticketKeys: tickets.current, handshakeTimeoutMs }),
    attach: (server, calls) => secure(server, options, calls),
  };
}

export interface SecureConnections {
  /** @returns Whether the connection is looked after, as one of HTTP/2 is, and one that is refused. */
  take(socket: TLSSocket): boolean;
  /** New bounds. */
  update(limits: LimitsConfig): void;
  close(): void;
}

/** Keeps the server's certificates and tickets up to date, and takes its HTTP/2 connections. */
function secure(
  server: TlsServer,
  { certificates, tickets, http2, onHandshakeFailed }: SecureOptions,
  { limits, onPlainHttp }: TlsListenerCalls,
): SecureConnections {
  certificates.onChange = () => {
    server.setSecureContext(contextOptions(certificates, tickets.current));
  };
  tickets.onChange(() => server.setTicketKeys(tickets.current));
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
    onHandshakeFailed?.(error.code ?? '');
    const below = connectionBelow(socket);
    // OpenSSL knows a request by its first bytes, and has written nothing: there is an answer that is understood.
    if (error.code === 'ERR_SSL_HTTP_REQUEST' && below !== undefined) onPlainHttp(below);
    else socket.destroy();
  });
  const connections = new Http2Connections(http2, limits);
  return {
    take(socket) {
      if (socket.alpnProtocol !== 'h2') return false;
      connections.accept(socket);
      return true;
    },
    update({ handshake_timeout: handshakeTimeoutMs }) {
      setHandshakeTimeout(server, handshakeTimeoutMs);
    },
    close: () => connections.close(),
  };
}
