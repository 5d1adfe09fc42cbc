/**
 * Exchanges that `node:http` has read: it frames the answers and keeps the
 * order of those that were asked for at once.
 * @module
 */
import { type IncomingMessage, ServerResponse } from 'node:http';
import { isIPv6, type Socket } from 'node:net';
import type { Duplex, Readable } from 'node:stream';
import { monotonicNow } from '../../lib/clock.ts';
import type { HttpError } from '../errors.ts';
import { hasBody, reasonPhrase, type ServerExchange, type ServerRequest } from '../exchange.ts';
import { canonicalAddress } from '../fields/forwarding.ts';
import { fieldValue, type RawHeaders } from '../fields/headers.ts';
import { isEncrypted } from '../listener/encrypted.ts';
import type { ResponseHead } from '../message.ts';
import type { Peer } from '../prepared-delivery.ts';

export class NodeRequest implements ServerRequest {
  readonly request: IncomingMessage;

  constructor(request: IncomingMessage) {
    this.request = request;
  }

  get method(): string {
    return this.request.method ?? '';
  }

  get target(): string {
    return this.request.url ?? '';
  }

  get headers(): RawHeaders {
    return this.request.rawHeaders;
  }

  get version(): string {
    return this.request.httpVersion;
  }

  get remoteAddress(): string | undefined {
    return this.request.socket.remoteAddress;
  }

  get connection(): object {
    return this.request.socket;
  }

  get isTls(): boolean {
    return isEncrypted(this.request.socket);
  }

  get localAuthority(): string | undefined {
    const { localAddress, localPort } = this.request.socket;
    if (localAddress === undefined) return undefined;
    const address = canonicalAddress(localAddress);
    return `${isIPv6(address) ? `[${address}]` : address}:${localPort}`;
  }
}

export class NodeExchange extends NodeRequest implements ServerExchange {
  readonly response: ServerResponse;
  readonly arrivedAt = monotonicNow();
  readonly prepared = undefined;
  readonly #listeners = new Map<() => void, () => void>();
  #hasLength = false;
  refusal: HttpError | undefined;

  constructor(request: IncomingMessage, response: ServerResponse) {
    super(request);
    this.response = response;
  }

  /** Peer without a memory of its connection. */
  get peer(): Peer {
    const { remoteAddress, isTls } = this;
    return { remoteAddress, isTls, memory: undefined };
  }

  get body(): Readable | undefined {
    return hasBody(this.headers) ? this.request : undefined;
  }

  get hasHead(): boolean {
    return this.response.headersSent;
  }

  get isFlushed(): boolean {
    return this.response.writableLength === 0;
  }

  get awaitsTurn(): boolean {
    const { destroyed, socket, writableFinished } = this.response;
    return socket === null && !destroyed && !writableFinished;
  }

  get isClosed(): boolean {
    const { destroyed, socket } = this.response;
    return destroyed || socket?.writableEnded === true;
  }

  interim(status: number, headers: RawHeaders): void {
    const { response } = this;
    if (this.version === '1.0' || response.headersSent || response.destroyed) return;
    // Node has to know that the body is on its way, or it closes the connection behind the answer.
    if (status === 100 && headers.length === 0) response.writeContinue();
    else if (response.socket?.writable) response.writeInformation(status, headers as string[]);
  }

  head(head: ResponseHead): void {
    const { request, response } = this;
    if (isUnread(request)) response.shouldKeepAlive = false;
    this.#hasLength = fieldValue(head.headers, 'content-length') !== undefined;
    response.writeHead(head.status, reasonPhrase(head), head.headers as string[]);
  }

  flush(): void {
    this.response.flushHeaders();
  }

  write(piece: Buffer): boolean {
    return this.response.write(piece);
  }

  end(trailers: RawHeaders = []): void {
    const { response } = this;
    if (trailers.length > 0 && response.chunkedEncoding) response.addTrailers(pairs(trailers));
    response.end();
  }

  /**
   * Cuts the response off. A body that ends with its connection, having neither length nor chunks, can only be cut off
   * by a reset.
   */
  abort(): void {
    const { response, version } = this;
    const isUnframed = version === '1.0' && response.headersSent && !this.#hasLength;
    // Over TLS a connection that ends without close_notify is broken (RFC 9112, section 9.8).
    if (isUnframed && response.socket !== null && !this.isTls) response.socket.resetAndDestroy();
    else {
      if (response.socket === null) response.assignSocket = endConnection;
      response.destroy();
    }
  }

  discardBody(): void {
    // the connection is closed behind the answer, and the rest dropped (http/listener/linger.ts)
  }

  onDrain(listener: () => void): void {
    const { response } = this;
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      listener();
    };
    response.on('drain', done);
    response.on('close', done);
  }

  onClose(listener: () => void): void {
    const { response } = this;
    const closed = (): void => {
      if (!response.writableFinished) listener();
    };
    this.#listeners.set(listener, closed);
    response.once('close', closed);
  }

  offClose(listener: () => void): void {
    const closed = this.#listeners.get(listener);
    if (closed !== undefined) this.response.off('close', closed);
    this.#listeners.delete(listener);
  }
}

/** A request to speak another protocol (RFC 9110, section 7.8), on a connection that `node:http` has left. */
export class UpgradeRequest extends NodeRequest {
  readonly socket: Duplex;
  /** Bytes that came behind the head. */
  readonly unread: Buffer;

  constructor(request: IncomingMessage, socket: Duplex, unread: Buffer) {
    super(request);
    this.socket = socket;
    this.unread = unread;
  }

  /** @returns The exchange to decline by: an ordinary answer, and the last one of its connection. */
  decline(): ServerExchange {
    const { request, socket } = this;
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket as Socket); // `upgrade` hands over the connection itself
    response.once('finish', () => socket.end());
    return new NodeExchange(request, response);
  }
}

/** Returns whether a part of the request's body has not arrived yet. */
export function isUnread({ complete, rawHeaders }: IncomingMessage): boolean {
  return !complete && hasBody(rawHeaders);
}

function pairs(headers: RawHeaders): [string, string][] {
  const list: [string, string][] = [];
  for (let i = 0; i < headers.length; i += 2) list.push([headers[i] as string, headers[i + 1] as string]);
  return list;
}

/**
 * Stands for `assignSocket` of an answer that has broken off before its turn: the answers before it get to their end,
 * and nothing is sent of this one. Node itself would only mark it, and the other side wait for its rest.
 */
function endConnection(socket: Socket): void {
  socket.destroySoon();
}
