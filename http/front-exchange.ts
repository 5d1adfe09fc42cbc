/**
 * A recognised request, and the answer to it, in the form in which the rest of
 * the program knows them: that of `node:http`, without its parser and its
 * streams. The bytes of the answer are those that `node:http` would write; a
 * test holds the two against each other.
 * @module
 */
import { EventEmitter } from 'node:events';
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { formatHttpDate } from './date.ts';
import { isFieldLine, type RawHeaders } from './headers.ts';

export interface FrontExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The connection has broken. */
  broken(): void;
}

export interface FrontExchangeOptions {
  readonly socket: Socket;
  readonly isHead: boolean;
  readonly target: string;
  readonly headers: RawHeaders;
  /** Announced to the visitor, in seconds. */
  readonly keepAliveSeconds: number;
  /** Returns whether an answer that begins now is the last one on its connection. */
  readonly isLast: () => boolean;
  /** The answer is written. */
  readonly onWritten: (isLast: boolean) => void;
}

export function frontExchange(options: FrontExchangeOptions): FrontExchange {
  const request = new FrontRequest(options);
  const response = new FrontResponse(request, options);
  return { request, response, broken: () => response.emit('close') } as unknown as FrontExchange;
}

class FrontRequest {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: RawHeaders;
  readonly httpVersion = '1.1';
  /** It has no body. */
  readonly complete = true;
  readonly socket: Socket;

  constructor({ socket, isHead, target, headers }: FrontExchangeOptions) {
    this.socket = socket;
    this.method = isHead ? 'HEAD' : 'GET';
    this.url = target;
    this.rawHeaders = headers;
  }
}

/** A head and a body up to this are written in one piece. */
const ONE_BUFFER_BYTES = 16 * 1024;

class FrontResponse extends EventEmitter {
  readonly req: FrontRequest;
  readonly socket: Socket;
  readonly #options: FrontExchangeOptions;
  /** The head, until it is written. */
  #head: string | undefined;
  #hasHead = false;
  #hasBody = true;
  #trailers = '';
  #hasEnded = false;
  /** True if the body is sent in chunks (RFC 9112, section 7.1). */
  chunkedEncoding = false;
  shouldKeepAlive = true;
  statusCode = 200;

  constructor(request: FrontRequest, options: FrontExchangeOptions) {
    super();
    this.req = request;
    this.socket = options.socket;
    this.#options = options;
  }

  get headersSent(): boolean {
    return this.#hasHead;
  }

  get destroyed(): boolean {
    return this.socket.destroyed;
  }

  /** Bytes that were written and have not been taken by the system. */
  get writableLength(): number {
    return this.socket.writableLength;
  }

  get writableFinished(): boolean {
    return this.#hasEnded && this.socket.writableLength === 0;
  }

  /** @throws {TypeError} for a field that would not stay one line. */
  writeHead(status: number, ...rest: unknown[]): this {
    const reason = typeof rest[0] === 'string' ? rest[0] : (STATUS_CODES[status] ?? 'unknown');
    const headers = (rest.at(-1) ?? []) as RawHeaders;
    const { keepAliveSeconds, isLast } = this.#options;
    this.statusCode = status;
    this.#hasBody = this.req.method !== 'HEAD' && status !== 204 && status !== 304;
    if (isLast()) this.shouldKeepAlive = false;
    let text = `HTTP/1.1 ${status} ${reason}\r\n`;
    let [hasDate, hasLength, connection] = [false, false, undefined as string | undefined];
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i] as string;
      const value = headers[i + 1] as string;
      if (!isFieldLine(name, value)) throw new TypeError(`not a header field: ${JSON.stringify(name)}`);
      text += `${name}: ${value}\r\n`;
      const { length } = name;
      if (length === 4) hasDate ||= name.toLowerCase() === 'date';
      else if (length === 14) hasLength ||= name.toLowerCase() === 'content-length';
      else if (length === 10 && name.toLowerCase() === 'connection') connection = value.toLowerCase();
    }
    if (!hasDate) text += `Date: ${formatHttpDate(Date.now())}\r\n`;
    if (connection?.includes('close')) this.shouldKeepAlive = false;
    else if (connection === undefined) {
      text += this.shouldKeepAlive
        ? `Connection: keep-alive\r\nKeep-Alive: timeout=${keepAliveSeconds}\r\n`
        : 'Connection: close\r\n';
    }
    if (!hasLength && this.#hasBody) {
      text += 'Transfer-Encoding: chunked\r\n';
      this.chunkedEncoding = true;
    }
    this.#head = `${text}\r\n`;
    this.#hasHead = true;
    return this;
  }

  flushHeaders(): void {
    if (this.#head === undefined) return;
    this.socket.write(this.#head, 'latin1');
    this.#head = undefined;
  }

  /** @returns Whether there is room for more; if not, `drain` tells when there is. */
  write(chunk: Buffer): boolean {
    if (!this.#hasBody || chunk.length === 0) return true;
    const { socket } = this;
    const before = this.chunkedEncoding ? `${this.#head ?? ''}${chunk.length.toString(16)}\r\n` : this.#head;
    this.#head = undefined;
    let hasRoom: boolean;
    if (before === undefined) hasRoom = socket.write(chunk);
    else if (chunk.length <= ONE_BUFFER_BYTES && !this.chunkedEncoding) hasRoom = socket.write(joined(before, chunk));
    else {
      socket.cork();
      socket.write(before, 'latin1');
      hasRoom = socket.write(chunk);
      if (this.chunkedEncoding) hasRoom = socket.write('\r\n', 'latin1');
      socket.uncork();
    }
    if (!hasRoom) socket.once('drain', () => this.emit('drain'));
    return hasRoom;
  }

  end(): void {
    if (this.#hasEnded || this.destroyed) return;
    this.flushHeaders();
    if (this.chunkedEncoding) this.socket.write(`0\r\n${this.#trailers}\r\n`, 'latin1');
    this.#hasEnded = true;
    this.#options.onWritten(!this.shouldKeepAlive);
  }

  addTrailers(fields: readonly (readonly [string, string])[]): void {
    for (const [name, value] of fields) if (isFieldLine(name, value)) this.#trailers += `${name}: ${value}\r\n`;
  }

  writeInformation(status: number, headers: RawHeaders): void {
    let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}\r\n`;
    for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
    this.socket.write(`${text}\r\n`, 'latin1');
  }

  destroy(): this {
    this.socket.destroy();
    return this;
  }
}

function joined(head: string, chunk: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(head.length + chunk.length);
  chunk.copy(bytes, bytes.write(head, 'latin1'));
  return bytes;
}
