/**
 * A listening HTTP/1.1 server with every bound of the config, strict about
 * what it reads: what is not well-formed gets an answer and a closed
 * connection, whatever is left unread.
 * @module
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Duplex, Transform } from 'node:stream';
import type { LimitsConfig } from '../config/schema.ts';
import { errorPage, HttpError } from './errors.ts';
import { fieldValue } from './headers.ts';

export interface ListenerOptions {
  /** HOST:PORT; port 0 takes a free one. */
  readonly address: string;
  readonly limits: LimitsConfig;
  /** Answers every request, and never rejects. */
  readonly onRequest: (request: IncomingMessage, response: ServerResponse) => void;
  /** Takes over a connection that asks for a websocket; absent: such a request is an ordinary one. */
  readonly onUpgrade?: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

export interface Listener {
  /** HOST:PORT as it is bound. */
  readonly address: string;
  /** New bounds; connections that are open keep their bound on headers. */
  update(limits: LimitsConfig): void;
  /** Takes no more connections, lets requests under way finish for as long as the config says, then cuts them off. */
  close(): Promise<void>;
}

/** @throws the system's error when the address cannot be had, `EADDRINUSE` above all. */
export async function listen({ address, limits, onRequest, onUpgrade }: ListenerOptions): Promise<Listener> {
  const server = createServer({
    connectionsCheckingInterval: CHECKING_INTERVAL_MS,
    requireHostHeader: false, // parseRequestTarget says what is wrong, in an answer like all others
    insecureHTTPParser: false,
    shouldUpgradeCallback: (request) => onUpgrade !== undefined && isWebSocket(request),
  });
  let bounds = limits;
  const update = (next: LimitsConfig): void => {
    bounds = next;
    bound(server, next);
  };
  update(limits);
  server.maxHeadersCount = 0; // Node would drop further ones without a word; tooManyHeaders refuses the request
  server.on('request', onRequest);
  server.on('checkContinue', onRequest);
  server.on('connect', (_request, socket) => refuse(socket, new HttpError('method_not_allowed')));
  server.on('clientError', (error, socket) => refuse(socket, parserError(error)));
  if (onUpgrade) server.on('upgrade', onUpgrade);
  const upgraded = new Set<Duplex>();
  server.on('upgrade', (_request, socket) => {
    upgraded.add(socket);
    socket.once('close', () => upgraded.delete(socket));
  });
  await bind(server, address);
  return {
    address: boundAddress(server),
    update,
    close: () => drain(server, upgraded, bounds.drain_timeout),
  };
}

/** How often connections are checked for requests that take too long to arrive. */
const CHECKING_INTERVAL_MS = 500;

function bound(server: Server & { maxHeaderSize?: number }, limits: LimitsConfig): void {
  server.maxHeaderSize = limits.max_header; // read by Node for each new connection, though its types do not say so
  server.headersTimeout = limits.header_timeout;
  server.requestTimeout = limits.request_timeout;
  server.keepAliveTimeout = limits.keep_alive_timeout;
  server.maxConnections = limits.max_connections;
}

/** @throws {HttpError} `header_too_large` when the request has more header lines than the config allows. */
export function checkHeaderCount(request: IncomingMessage, limits: LimitsConfig): void {
  if (request.rawHeaders.length > limits.max_headers * 2) throw new HttpError('header_too_large');
}

/**
 * The request's body, or `undefined` when it has none (RFC 9112, section 6).
 * One that turns out longer than `maxBytes` breaks off with `body_too_large`.
 *
 * @throws {HttpError} `body_too_large` when its length says so already.
 */
export function requestBody(
  request: IncomingMessage,
  response: ServerResponse,
  maxBytes: number,
): Transform | undefined {
  const length = fieldValue(request.rawHeaders, 'content-length');
  const chunked = fieldValue(request.rawHeaders, 'transfer-encoding') !== undefined;
  if (!chunked && (length === undefined || Number(length) === 0)) return undefined;
  if (length !== undefined && Number(length) > maxBytes) throw new HttpError('body_too_large');
  if (fieldValue(request.rawHeaders, 'expect')?.toLowerCase() === '100-continue') response.writeContinue();
  let bytes = 0;
  const body = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes > maxBytes) done(new HttpError('body_too_large'));
      else done(null, chunk);
    },
  });
  body.on('error', () => request.unpipe(body)); // whoever sends the body on hears of the error as well
  request.once('error', (error) => body.destroy(error));
  request.once('aborted', () => body.destroy(new HttpError('abandoned', 'the visitor left while sending')));
  request.pipe(body);
  return body;
}

/** Answers on a socket that has no response object, and closes it. */
export function refuse(socket: Duplex, error: HttpError): void {
  if (!socket.writable || socket.destroyed) {
    socket.destroy();
    return;
  }
  const page = errorPage(error, crypto.randomUUID(), undefined);
  let head = `HTTP/1.1 ${page.status} ${error.code}\r\nConnection: close\r\n`;
  for (let i = 0; i < page.headers.length; i += 2) head += `${page.headers[i]}: ${page.headers[i + 1]}\r\n`;
  socket.on('error', () => socket.destroy()); // the other side may be gone already; there is nobody left to tell
  socket.end(Buffer.concat([Buffer.from(`${head}\r\n`, 'latin1'), page.body]), () => socket.destroy());
}

function parserError(error: NodeJS.ErrnoException): HttpError {
  if (error.code === 'HPE_HEADER_OVERFLOW') return new HttpError('header_too_large');
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return new HttpError('request_timeout');
  return new HttpError('bad_request', error.code);
}

function isWebSocket(request: IncomingMessage): boolean {
  return request.method === 'GET' && request.headers.upgrade?.toLowerCase() === 'websocket';
}

function bind(server: Server, address: string): Promise<void> {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port: Number(address.slice(colon + 1)), backlog: 4_096 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function boundAddress(server: Server): string {
  const { address, family, port } = server.address() as AddressInfo;
  return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
}

function drain(server: Server, upgraded: ReadonlySet<Duplex>, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cutOff = setTimeout(() => {
      server.closeAllConnections();
      for (const socket of upgraded) socket.destroy();
    }, timeoutMs);
    server.close(() => {
      clearTimeout(cutOff);
      resolve();
    });
    server.closeIdleConnections();
  });
}
