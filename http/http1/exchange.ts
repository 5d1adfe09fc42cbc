/**
 * Exchanges of requests that are recognised without `node:http`
 * (http/http1/recogniser.ts, http/http1/whole-request.ts): in HTTP/1.1, without a body, or
 * with one that is there already. The bytes of an answer are those that
 * `node:http` would write; a test holds the two against each other.
 * @module
 */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { wallNow } from '../../lib/clock.ts';
import { FewSet } from '../../lib/few-set.ts';
import { allowsContent, reasonPhrase, type ServerExchange, sendableTrailers } from '../exchange.ts';
import { formatHttpDate } from '../fields/date.ts';
import { isFieldLine, type RawHeaders } from '../fields/headers.ts';
import { isEncrypted } from '../listener/encrypted.ts';
import type { ResponseHead } from '../message.ts';
import { writeDirectly } from '../node-internals/direct-writes.ts';
import type { WholeBody } from './whole-body.ts';

export interface Http1ExchangeOptions {
  readonly socket: Socket;
  readonly method: string;
  readonly target: string;
  readonly headers: RawHeaders;
  readonly body: WholeBody | undefined;
  /** Announced to the visitor, in seconds. */
  readonly keepAliveSeconds: number;
  /** Returns whether an answer that begins now is the last one on its connection. */
  readonly isLast: () => boolean;
  /** The answer is written. */
  readonly onWritten: (isLast: boolean) => void;
}

/** A head and a body up to this are written in one piece. */
const ONE_BUFFER_BYTES = 16 * 1024;

export class Http1Exchange implements ServerExchange {
  readonly method: string;
  readonly target: string;
  readonly headers: RawHeaders;
  readonly version = '1.1';
  readonly body: WholeBody | undefined;
  readonly #socket: Socket;
  readonly #options: Http1ExchangeOptions;
  /** The head, until it is written. */
  #head: string | undefined;
  #hasHead = false;
  #hasBody = true;
  #isChunked = false;
  #isLast = false;
  #hasEnded = false;
  /** Bytes were written past the stream, and the system has not taken all of them. */
  #isPending = false;
  #onDirectDrain: (() => void) | undefined;
  readonly #onClose = new FewSet<() => void>();

  constructor(options: Http1ExchangeOptions) {
    const { socket, method, target, headers, body } = options;
    this.#options = options;
    this.#socket = socket;
    this.method = method;
    this.target = target;
    this.headers = headers;
    this.body = body;
  }

  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress;
  }

  get isTls(): boolean {
    return isEncrypted(this.#socket);
  }

  /** Its version requires a Host field. */
  get localAuthority(): undefined {
    return undefined;
  }

  get hasHead(): boolean {
    return this.#hasHead;
  }

  get isFlushed(): boolean {
    return !this.#isPending && this.#socket.writableLength === 0;
  }

  get isClosed(): boolean {
    return this.#socket.destroyed || this.#socket.writableEnded;
  }

  interim(status: number, headers: RawHeaders): void {
    if (this.#hasHead || !this.#socket.writable) return;
    const statusLine = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}\r\n`;
    this.#socket.write(`${statusLine}${linesOf(headers)}\r\n`, 'latin1');
  }

  head(head: ResponseHead): void {
    const { status, headers } = head;
    const { keepAliveSeconds, isLast } = this.#options;
    this.#hasBody = this.method !== 'HEAD' && allowsContent(status);
    this.#isLast = isLast();
    let text = `HTTP/1.1 ${status} ${reasonPhrase(head)}\r\n`;
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
    if (!hasDate) text += `Date: ${formatHttpDate(wallNow())}\r\n`;
    if (connection?.includes('close')) this.#isLast = true;
    else if (connection === undefined) {
      text += this.#isLast
        ? 'Connection: close\r\n'
        : `Connection: keep-alive\r\nKeep-Alive: timeout=${keepAliveSeconds}\r\n`;
    }
    if (!hasLength && this.#hasBody) {
      text += 'Transfer-Encoding: chunked\r\n';
      this.#isChunked = true;
    }
    this.#head = `${text}\r\n`;
    this.#hasHead = true;
  }

  flush(): void {
    if (this.#head === undefined) return;
    this.#socket.write(this.#head, 'latin1');
    this.#head = undefined;
  }

  write(piece: Buffer): boolean {
    if (!this.#hasBody || piece.length === 0) return true;
    const socket = this.#socket;
    const before = this.#isChunked ? `${this.#head ?? ''}${piece.length.toString(16)}\r\n` : this.#head;
    this.#head = undefined;
    if (before === undefined) return socket.write(piece);
    if (piece.length <= ONE_BUFFER_BYTES && !this.#isChunked) return this.#writeWhole(joined(before, piece));
    socket.cork();
    socket.write(before, 'latin1');
    let hasRoom = socket.write(piece);
    if (this.#isChunked) hasRoom = socket.write('\r\n', 'latin1');
    socket.uncork();
    return hasRoom;
  }

  #writeWhole(bytes: Buffer): boolean {
    switch (writeDirectly(this.#socket, bytes, this.#onWritten)) {
      case 'written':
        return true;
      case 'pending':
        this.#isPending = true;
        return false;
      case 'refused':
        return this.#socket.write(bytes);
    }
  }

  readonly #onWritten = (): void => {
    this.#isPending = false;
    this.#onDirectDrain?.();
  };

  end(trailers: RawHeaders = []): void {
    if (this.#hasEnded || this.#socket.destroyed) return;
    this.flush();
    if (this.#isChunked) this.#socket.write(`0\r\n${linesOf(sendableTrailers(trailers))}\r\n`, 'latin1');
    this.#hasEnded = true;
    this.#options.onWritten(this.#isLast);
  }

  abort(): void {
    this.#socket.destroy();
  }

  discardBody(): void {
    // it has come
  }

  onDrain(listener: () => void): void {
    const done = (): void => {
      this.#socket.off('drain', done);
      this.#socket.off('close', done);
      this.#onDirectDrain = undefined;
      listener();
    };
    if (this.#isPending) this.#onDirectDrain = done;
    else this.#socket.on('drain', done);
    this.#socket.on('close', done);
  }

  onClose(listener: () => void): void {
    this.#onClose.add(listener);
  }

  offClose(listener: () => void): void {
    this.#onClose.delete(listener);
  }

  /** Handles a connection that was closed before the answer was complete. */
  closed(): void {
    for (const listener of this.#onClose.values()) listener();
  }
}

function linesOf(headers: RawHeaders): string {
  let text = '';
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return text;
}

function joined(head: string, piece: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(head.length + piece.length);
  piece.copy(bytes, bytes.write(head, 'latin1'));
  return bytes;
}
