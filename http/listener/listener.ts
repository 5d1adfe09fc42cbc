/**
 * A listening HTTP/1.1 server with every bound of the config, strict about
 * what it reads: what is not well-formed gets an answer and a closed
 * connection, whatever is left unread.
 * @module
 */
import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { LimitsConfig } from '../../config/schema.ts';
import type { Started } from '../../lib/components.ts';
import { HttpError } from '../errors.ts';
import { hasBody } from '../exchange.ts';
import { fieldValue, listMembers, type RawHeaders } from '../fields/headers.ts';
import { isPreface, refuseHttp2 } from '../http2/refusing.ts';
import { isSafe } from '../methods.ts';
import { isUnread, NodeExchange, UpgradeRequest } from '../node-http/exchange.ts';
import { isOfTheParser, type ParserError, parserError, refusedLine } from '../node-http/parser-errors.ts';
import { Pipelines } from '../node-http/pipelines.ts';
import { NodeReading } from '../node-http/reading.ts';
import { writtenAnew } from '../node-http/request-line.ts';
import { fieldsWithId, newRequestId, requestIdField } from '../request-id.ts';
import { admitOnly, bind, drain } from './accepting.ts';
import { closeWhenSilent } from './half-open.ts';
import { linger } from './linger.ts';
import { expectProxyHeaders, type ProxiedOptions } from './proxied.ts';
import { refuse } from './refuse.ts';
import { addListening, boundAddress, stopAccepting } from './sockets.ts';
import type { SecureListening, TlsServer } from './tls.ts';

export interface ListenerOptions {
  /** HOST:PORT; port 0 takes a free one. */
  readonly address: string;
  /** True if other threads may listen there too, and the system distributes the connections. */
  readonly reusePort?: boolean;
  readonly limits: LimitsConfig;
  /** With TLS; absent: without. */
  readonly secure?: SecureListening | undefined;
  /** Returns whether a connection is taken, by its other end as a PROXY header says it; one that is not is closed. */
  readonly admits?: ((socket: Socket) => boolean) | undefined;
  /**
   * True if a client that has shut down its sending side may still get its answers, as `nc -N` does. Otherwise, and
   * over TLS, its requests are aborted.
   */
  readonly allowHalfOpen?: boolean;
  /** Connections that begin with a PROXY header; absent: none. */
  readonly proxied?: ProxiedOptions | undefined;
  /**
   * Sees each connection first, before anything is read as HTTP. It answers
   * requests itself, or calls `wire.handOver` once, with the socket (or one it
   * has put in its place) and what it has read but not answered, and has
   * nothing to do with the connection from then on.
   * Absent: all connections are handed over at once.
   *
   * A connection can come back, between two requests: with what was read already, to be read again. Its end may have
   * been read as well.
   */
  readonly onConnection?: ((socket: Socket, wire: ConnectionHandoff, unread?: Buffer) => void) | undefined;
  /** Answers every request, and never rejects. */
  readonly onRequest: (exchange: NodeExchange) => void;
  /** Takes over a connection that asks for a websocket; absent: such a request is an ordinary one. */
  readonly onUpgrade?: (request: UpgradeRequest) => void;
  /** Called when another process takes the connections: those that are open here end with their next answer. */
  readonly onRetire?: (() => void) | undefined;
  /** Called for every request that ends before `onRequest` could see it. */
  readonly onRefused?: (error: HttpError) => void;
  /** Fields of the answer to such a request. */
  readonly refusalFields?: (error: HttpError) => RawHeaders;
  /** Name of the field with the identifier of a request that is turned away, or `off`. */
  readonly idName?: () => string;
}

/** Handling of a connection before HTTP is read. */
export interface ConnectionHandoff {
  /**
   * Lets `node:http` read from here on. @param unread - What was read already, to be read again: from where a request
   * begins.
   */
  handOff(socket: Socket, unread?: Buffer): void;
  /** Answers with an error and closes. */
  reject(socket: Socket, error: HttpError): void;
}

export interface Listener {
  /** HOST:PORT as it is bound. */
  readonly address: string;
  /** New bounds; connections that are open keep their bound on headers. */
  update(limits: LimitsConfig): void;
  /** Takes no more connections: another process may have the address. Those that are open stay. */
  stopAccepting(): void;
  /** Takes no more connections, lets requests under way finish for as long as the config says, then cuts them off. */
  close(): Promise<void>;
}

/** Lifetime of listeners among the components of a node: their bounds are those of the config. */
export const LISTENER_LIFETIME = {
  update: (listener: Listener, { limits }: { readonly limits: LimitsConfig }): void => listener.update(limits),
  close: (listener: Listener): Promise<void> => listener.close(),
};

/**
 * Opens a listener.
 *
 * @param _started - Everything that requests need runs.
 * @throws the system's error when the address cannot be had, `EADDRINUSE` above all.
 */
export async function listen(_started: Started, options: ListenerOptions): Promise<Listener> {
  const { address, limits, onConnection, onRequest, onUpgrade, onRefused, refusalFields } = options;
  const isSwitch = (request: IncomingMessage): boolean => onUpgrade !== undefined && isWebSocket(request);
  const httpOptions = {
    connectionsCheckingInterval: CHECKING_INTERVAL_MS,
    requireHostHeader: false, // parseRequestTarget says what is wrong, in an answer like all others
    insecureHTTPParser: false,
    // Node drops what follows a request with Upgrade unless that is granted, so each is: see `upgrade` below.
    shouldUpgradeCallback: (request: IncomingMessage) => isSwitch(request) || !hasBody(request.rawHeaders),
  };
  const server: Server = options.secure
    ? createSecureServer({ ...httpOptions, ...options.secure.serverOptions(limits) })
    : createServer(httpOptions);
  let bounds = limits;
  const update = (next: LimitsConfig): void => {
    bounds = next;
    bound(server, next);
    sessions?.update(next);
  };
  const sessions = options.secure?.attach(server as TlsServer, {
    limits: () => bounds,
    onPlainHttp: (socket) => turnAway(socket, new HttpError('plain_http')),
    reject: (socket, error) => turnAway(socket, error),
  });
  update(limits);
  if (options.allowHalfOpen && options.secure === undefined) Object.assign(server, { httpAllowHalfOpen: true });
  server.maxHeadersCount = 0; // Node would drop further ones without a word; checkHead refuses the request
  const pipelines = new Pipelines();
  /** Exchanges that have begun, by their responses. */
  const exchanges = new WeakMap<ServerResponse, NodeExchange>();
  const begin = (request: IncomingMessage, response: ServerResponse): void => {
    const exchange = new NodeExchange(request, response);
    exchanges.set(response, exchange);
    onRequest(exchange);
  };
  const take = (request: IncomingMessage, response: ServerResponse): void => {
    const { socket } = request;
    reading.hasHead(request);
    restoreMethod(request);
    // Node has dropped what follows an Upgrade behind a body; it is to be sent anew (RFC 9112, section 9.3.2).
    if (!server.listening || request.headers.upgrade !== undefined) response.shouldKeepAlive = false;
    pipelines.add(socket, response, isSafe(request.method), () => begin(request, response));
  };
  /** Methods of requests that `node:http` reads with another one in their place. */
  const methods = new WeakMap<Duplex, string>();
  const restoreMethod = (request: IncomingMessage): void => {
    const method = methods.get(request.socket);
    if (method !== undefined) request.method = method;
    methods.delete(request.socket);
  };
  const turnAway = (socket: Duplex, error: HttpError): void => {
    onRefused?.(error);
    refuseHere(socket, error);
  };
  const refuseHere = (socket: Duplex, error: HttpError): void => {
    const id = newRequestId();
    const idField = requestIdField(options.idName?.() ?? 'off', id);
    refuse(socket, error, fieldsWithId(refusalFields?.(error) ?? [], idField), id);
  };
  /** Refuses a request that has begun: its exchange ends with the refusal, and is counted and logged with it. */
  const refuseExchange = (response: ServerResponse, socket: Duplex, error: HttpError): void => {
    const exchange = exchanges.get(response);
    if (exchange === undefined) turnAway(socket, error);
    else {
      exchange.refusal = error;
      refuseHere(socket, error);
    }
  };
  server.on('request', take);
  server.on('checkContinue', take);
  server.on('checkExpectation', take); // RFC 9110, section 10.1.1: 417 for others is a MAY; they go no further
  // The http server accepts, as every net.Server does, but reads only what it is given.
  const accepting = options.secure ? 'secureConnection' : 'connection';
  const reading = new NodeReading(server, accepting, {
    onRequestStart: (socket) => pipelines.requestStarted(socket),
    onFault: (socket, fault) => void server.emit('clientError', fault, socket),
    maxTrailerBytes: () => bounds.max_header,
  });
  const wire: ConnectionHandoff = {
    handOff: (socket, unread) => {
      if (unread !== undefined && isPreface(unread) && options.secure === undefined) {
        const error = new HttpError('http2_without_tls');
        const onError = (): void => onRefused?.(error);
        refuseHttp2(socket, unread, {
          error,
          limits: () => bounds,
          onRefused: onError,
          reject: (s) => turnAway(s, error),
        });
        return;
      }
      reading.watch(socket);
      if (pipelines.watch(socket)) {
        closeGently(socket, pipelines);
        if (options.allowHalfOpen) {
          const onEnd = (): void => closeWhenSilent(socket, () => pipelines.unfinished(socket).length > 0);
          if (socket.readableEnded) setImmediate(onEnd);
          else socket.once('end', onEnd);
        }
      }
      const line = unread && writtenAnew(unread);
      if (line?.method === 'PRI') {
        turnAway(socket, new HttpError('method_not_implemented', 'PRI')); // RFC 9113, section 3.4: reserved
        return;
      }
      if (line?.method !== undefined) methods.set(socket, line.method);
      reading.begin(socket, line?.bytes ?? unread);
    },
    reject: turnAway,
  };
  /** @param unread - From where a request begins. */
  const readOn = (socket: Socket, unread: Buffer): void => {
    if (onConnection === undefined) wire.handOff(socket, unread);
    else onConnection(socket, wire, unread);
  };
  server.on(accepting, (socket: Socket) => {
    if (sessions?.take(socket as TLSSocket)) return;
    if (onConnection === undefined) wire.handOff(socket);
    else onConnection(socket, wire);
  });
  if (options.admits) admitOnly(server, options.admits); // before TLS, which costs more than all else
  const proxied = options.proxied && expectProxyHeaders(server, options.proxied);
  server.on('connect', (_request, socket) => {
    reading.left(socket as Socket);
    reading.release(socket as Socket);
    turnAway(socket, new HttpError('method_not_implemented', 'CONNECT'));
  });
  server.on('clientError', (error: ParserError, socket) => {
    if (socket.writableEnded) return; // what comes after an answer that closes the connection is not read
    if (!isOfTheParser(error)) {
      socket.destroy();
      return;
    }
    // A page must not be taken for a part of an answer that is under way, nor for the answer to another request.
    const unfinished = pipelines.unfinished(socket);
    const last = unfinished.at(-1);
    const rawPacket = reading.packet(socket as Socket) ?? error.rawPacket;
    const whole =
      last === undefined && onConnection && pipelines.isBetween(socket, rawPacket) ? refusedLine(rawPacket) : undefined;
    if (whole === undefined) reading.drop(socket as Socket);
    if (whole !== undefined) {
      reading.end(socket as Socket);
      readOn(socket as Socket, whole);
    } else if (last === undefined) turnAway(socket, parserError(error));
    else if (!isUnread(last.req)) refuseBehind(last, () => turnAway(socket, parserError(error)));
    else if (last.headersSent) socket.destroy();
    else {
      const refuseLast = (): void => {
        if (last.headersSent) socket.destroy();
        else refuseExchange(last, socket, parserError(error));
      };
      const before = unfinished.at(-2); // those before it get their answers
      if (before === undefined) refuseLast();
      else before.once('finish', refuseLast);
    }
  });
  const upgraded = new Set<Duplex>();
  const answerUpgrade = (request: IncomingMessage, stream: Duplex, head: Buffer): void => {
    if (isSwitch(request) || stream.writableEnded) reading.release(request.socket);
    if (stream.destroyed || stream.writableEnded) return; // an answer before it was the last one
    if (isSwitch(request)) {
      upgraded.add(stream);
      stream.once('close', () => upgraded.delete(stream));
      onUpgrade?.(new UpgradeRequest(request, stream, head));
      return;
    }
    // RFC 9110, section 7.8: "A server MAY ignore a received Upgrade header field".
    const { socket } = request;
    restoreMethod(request);
    socket.on('error', ignore);
    const response = new ServerResponse(request);
    response.shouldKeepAlive = server.listening && isKept(request);
    response.assignSocket(socket);
    response.once('finish', () => {
      response.detachSocket(socket);
      response.emit('close');
      socket.off('error', ignore);
      if (!response.shouldKeepAlive || !server.listening) {
        socket.destroySoon();
        return;
      }
      reading.end(socket);
      readOn(socket, head);
    });
    pipelines.add(socket, response, isSafe(request.method), () => begin(request, response));
  };
  server.on('upgrade', (request, stream, head) => {
    const unread = Buffer.concat([head, reading.left(request.socket)]);
    const before = pipelines.unfinished(request.socket).at(-1);
    if (before === undefined) answerUpgrade(request, stream, unread);
    else before.once('close', () => answerUpgrade(request, stream, unread));
  });
  const { reusePort = false, onRetire } = options;
  await bind(server, address, reusePort);
  addListening(server, address, onRetire);
  return {
    address: boundAddress(server),
    update,
    stopAccepting: () => void stopAccepting(server),
    close: () => {
      pipelines.endAll();
      proxied?.close();
      sessions?.close();
      return drain(server, upgraded, bounds.drain_timeout);
    },
  };
}

/** Interval of checks for requests that take too long to arrive. */
const CHECKING_INTERVAL_MS = 500;

function bound(server: Server & { maxHeaderSize?: number }, limits: LimitsConfig): void {
  server.maxHeaderSize = limits.max_header; // read by Node for each new connection, though its types do not say so
  server.headersTimeout = limits.header_timeout;
  server.requestTimeout = limits.request_timeout;
  server.keepAliveTimeout = limits.keep_alive_timeout;
  server.maxConnections = limits.max_connections;
}

/** Keeps Node from closing a connection after an answer while its request is still arriving. */
function closeGently(socket: Socket, pipelines: Pipelines): void {
  const destroySoon = socket.destroySoon.bind(socket);
  socket.destroySoon = () => {
    pipelines.release(socket);
    const request = pipelines.latest(socket)?.req;
    if (request === undefined || !isUnread(request)) {
      destroySoon();
      return;
    }
    request.removeAllListeners('readable'); // of the reader of its body
    request.resume();
    socket.end();
    linger(socket);
  };
}

/**
 * Ends a connection of which nothing more can be read behind an answer: that says so, or the refusal of what came
 * behind its request follows it.
 */
function refuseBehind(response: ServerResponse, refuseNext: () => void): void {
  const isAnnounced = response.headersSent && response.shouldKeepAlive;
  response.shouldKeepAlive = false;
  if (isAnnounced) response.once('finish', refuseNext);
}

function isKept({ httpVersion, rawHeaders }: IncomingMessage): boolean {
  const options = listMembers(fieldValue(rawHeaders, 'connection') ?? '').map((option) => option.toLowerCase());
  return httpVersion === '1.0' ? options.includes('keep-alive') : !options.includes('close');
}

function ignore(): void {
  // the connection closes, and that is what counts
}

function isWebSocket(request: IncomingMessage): boolean {
  return request.method === 'GET' && request.headers.upgrade?.toLowerCase() === 'websocket';
}
