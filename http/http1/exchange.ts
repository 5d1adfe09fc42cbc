/**
 * Exchanges of requests that are recognised without `node:http`
 * (http/http1/recogniser.ts, http/http1/whole-request.ts): in HTTP/1.1, without a body, or
 * with one that is there already. The bytes of an answer are those that
 * `node:http` would write; a test holds the two against each other.
 *
 * One exchange serves all requests that are answered with prepared bytes, of all connections: a request that is claimed
 * keeps it, and the next one gets another.
 * @module
 */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { LONG_AGO, type MonotonicMs, wallNow } from '../../lib/clock.ts';
import { FewSet } from '../../lib/few-set.ts';
import { allowsContent, reasonPhrase, type ServerExchange, sendableTrailers } from '../exchange.ts';
import { formatHttpDate } from '../fields/date.ts';
import { fieldLineOf, lowerCase, type RawHeaders } from '../fields/headers.ts';
import type { BodyReader, ResponseHead } from '../message.ts';
import { writeDirectly } from '../node-internals/direct-writes.ts';
import type { Peer, PreparedSink, TargetBytes } from '../prepared-delivery.ts';
import { HeldAnswer } from './held-answer.ts';
import { joined, lastTextOf, rememberHead } from './last-head.ts';
import { HTTP1_FORM } from './prepared-form.ts';
import { isVisible, type Recogniser, type Section } from './recogniser.ts';
import type { WholeBody } from './whole-body.ts';
import type { WholeRequest } from './whole-request.ts';

/** Services of a connection for its exchanges. */
export interface ExchangeConnection extends Peer {
  readonly socket: Socket;
  /** Arrival time of the current request. */
  readonly startedAt: MonotonicMs;
  /** Announced to the visitor, in seconds. */
  readonly keepAliveSeconds: number;
  /** True if an answer that begins now is the last one. */
  readonly isLast: boolean;
  /** True if no prepared bytes wait to be written. */
  readonly isFlushed: boolean;
  /** @returns Whether its answer may be written at once; if not, `beginTurn` follows. */
  claim(exchange: Http1Exchange): boolean;
  /** @returns Whether the bytes are still read, and must not change. */
  send(bytes: Buffer): boolean;
  stream(head: Buffer, body: BodyReader, onDone: (bytes: number) => void): void;
  /** Called when the answer is written. */
  onWritten(isLast: boolean): void;
}

/** A head and a body up to this are written in one piece. */
const ONE_BUFFER_BYTES = 16 * 1024;

export class Http1Exchange implements ServerExchange, PreparedSink {
  readonly version = '1.1';
  readonly form = HTTP1_FORM;
  method = '';
  arrivedAt: MonotonicMs = LONG_AGO;
  body: WholeBody | undefined;
  #connection!: ExchangeConnection;
  /** It has the target and the section until the request is claimed. */
  #recogniser: Recogniser | undefined;
  #headers: RawHeaders = [];
  #target: string | undefined;
  /** True if the request has its answer, and the exchange is free. */
  isSent = false;
  isLent = false;
  /** True if the exchange is its request's for good. */
  isClaimed = false;
  /** The head, until it is written. */
  #head: string | undefined;
  /** The head as it was given. */
  #given: ResponseHead | undefined;
  #hasHead = false;
  #hasBody = true;
  #isChunked = false;
  #isLast = false;
  #hasEnded = false;
  /** Bytes were written past the stream, and the system has not taken all of them. */
  #isPending = false;
  #onDirectDrain: (() => void) | undefined;
  /** Answer so far, while answers before it on its connection are not complete. */
  #held: HeldAnswer | undefined;
  readonly #onClose = new FewSet<() => void>();

  /** Begins with the request that was just recognised. */
  begin(connection: ExchangeConnection, recogniser: Recogniser): void {
    this.#connection = connection;
    this.#recogniser = recogniser;
    this.#target = undefined;
    this.isSent = false;
    this.arrivedAt = connection.startedAt;
    this.method = recogniser.isHead ? 'HEAD' : 'GET';
  }

  /** Begins with a request of another method, and claims it. */
  beginWhole(connection: ExchangeConnection, request: WholeRequest): void {
    const { method, target, headers, body, isLast } = request;
    this.#connection = connection;
    this.#isLast = isLast;
    this.#target = target;
    this.arrivedAt = connection.startedAt;
    this.method = method;
    this.#headers = headers;
    this.body = body;
    this.claim();
  }

  get target(): string {
    this.#target ??= (this.#recogniser as Recogniser).target;
    return this.#target;
  }

  get headers(): RawHeaders {
    return this.#recogniser === undefined ? this.#headers : this.section.headers;
  }

  get peer(): Peer {
    return this.#connection;
  }

  get prepared(): PreparedSink | undefined {
    return this.isClaimed ? undefined : this;
  }

  get section(): Section {
    return (this.#recogniser as Recogniser).section as Section;
  }

  get targetBytes(): TargetBytes | undefined {
    return this.#recogniser;
  }

  claim(): boolean {
    if (!isVisible(this.target)) return false;
    if (this.#recogniser !== undefined) this.#isLast = this.section.isLast;
    if (!this.#connection.claim(this)) this.#hold();
    this.#keep();
    return true;
  }

  #hold(): void {
    this.#held = new HeldAnswer();
  }

  /** True if the connection closes behind the answer, as far as that is known. */
  get isLast(): boolean {
    return this.#isLast;
  }

  /** Sends what was written before the turn of this answer came. */
  beginTurn(): void {
    const held = this.#held;
    this.#held = undefined;
    if (held === undefined) return;
    if (held.isBroken) {
      // The answers before it have come to their end, and nothing is sent of this one.
      this.#socket.destroySoon();
      return;
    }
    let hasRoom = true;
    for (const piece of held.pieces) hasRoom = this.write(piece);
    if (held.isFlushed) this.flush();
    if (held.trailers !== undefined) this.#finish(held.trailers);
    else if (hasRoom) held.onDrain?.();
    else if (held.onDrain !== undefined) this.onDrain(held.onDrain);
  }

  sendPrepared(bytes: Buffer): boolean {
    this.isSent = true;
    this.isLent = this.#connection.send(bytes);
    return true;
  }

  stream(head: Buffer, body: BodyReader | undefined, onDone: (bytes: number) => void): void {
    this.#keep();
    if (body !== undefined) {
      this.#connection.stream(head, body, onDone);
      return;
    }
    this.#connection.send(head);
    onDone(0);
  }

  /** The recogniser goes on to the next request. */
  #keep(): void {
    this.#target = this.target;
    this.#headers = this.headers;
    this.#recogniser = undefined;
    this.isClaimed = true;
  }

  get #socket(): Socket {
    return this.#connection.socket;
  }

  get remoteAddress(): string | undefined {
    return this.#connection.remoteAddress;
  }

  get connection(): object {
    return this.#connection.socket;
  }

  get isTls(): boolean {
    return this.#connection.isTls;
  }

  /** Its version requires a Host field. */
  get localAuthority(): undefined {
    return undefined;
  }

  get hasHead(): boolean {
    return this.#hasHead;
  }

  get isFlushed(): boolean {
    return this.#held === undefined && !this.#isPending && this.#connection.isFlushed;
  }

  get awaitsTurn(): boolean {
    return this.#held !== undefined;
  }

  get isClosed(): boolean {
    return this.#held?.isBroken === true || this.#socket.destroyed || this.#socket.writableEnded;
  }

  interim(status: number, headers: RawHeaders): void {
    if (this.#hasHead || this.#held !== undefined || !this.#socket.writable) return;
    const statusLine = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}\r\n`;
    this.#socket.write(`${statusLine}${linesOf(headers)}\r\n`, 'latin1');
  }

  head(head: ResponseHead): void {
    const { status, headers } = head;
    const { keepAliveSeconds, isLast } = this.#connection;
    this.#hasBody = this.method !== 'HEAD' && allowsContent(status);
    this.#isLast ||= isLast;
    this.#given = this.#isLast ? undefined : head;
    const known = this.#given === undefined ? undefined : lastTextOf(head, keepAliveSeconds);
    if (known !== undefined) {
      this.#head = known;
      this.#hasHead = true;
      return;
    }
    let text = `HTTP/1.1 ${status} ${reasonPhrase(head)}`;
    let hasDate = false;
    let hasLength = false;
    let connection: string | undefined;
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i] as string;
      const value = headers[i + 1] as string;
      const line = fieldLineOf(name);
      if (!line.takes(value)) throw new TypeError(`not a header field: ${JSON.stringify(name)}`);
      text += line.start;
      text += value;
      const { length } = name;
      if (length === 4) hasDate ||= lowerCase(name) === 'date';
      else if (length === 14) hasLength ||= lowerCase(name) === 'content-length';
      else if (length === 10 && lowerCase(name) === 'connection') connection = value.toLowerCase();
    }
    if (!hasDate) text += `\r\nDate: ${formatHttpDate(wallNow())}`;
    if (connection?.includes('close')) this.#isLast = true;
    else if (connection === undefined) {
      text += this.#isLast
        ? '\r\nConnection: close'
        : `\r\nConnection: keep-alive\r\nKeep-Alive: timeout=${keepAliveSeconds}`;
    }
    if (!hasLength && this.#hasBody) {
      text += '\r\nTransfer-Encoding: chunked';
      this.#isChunked = true;
    }
    this.#head = `${text}\r\n\r\n`;
    this.#hasHead = true;
    if (hasDate && hasLength && connection === undefined && !this.#isLast) {
      rememberHead(head, keepAliveSeconds, this.#head);
    }
  }

  flush(): void {
    if (this.#head === undefined) return;
    if (this.#held !== undefined) {
      this.#held.isFlushed = true;
      return;
    }
    this.#socket.write(this.#head, 'latin1');
    this.#head = undefined;
  }

  write(piece: Buffer): boolean {
    if (!this.#hasBody || piece.length === 0) return true;
    if (this.#held !== undefined) return this.#held.write(piece);
    const socket = this.#socket;
    const before = this.#isChunked ? `${this.#head ?? ''}${piece.length.toString(16)}\r\n` : this.#head;
    this.#head = undefined;
    if (before === undefined) return socket.write(piece);
    if (piece.length <= ONE_BUFFER_BYTES && !this.#isChunked)
      return this.#writeWhole(joined(this.#given, before, piece));
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
    this.#hasEnded = true;
    if (this.#held === undefined) this.#finish(trailers);
    else this.#held.trailers = trailers;
  }

  #finish(trailers: RawHeaders): void {
    this.flush();
    if (this.#isChunked) this.#socket.write(`0\r\n${linesOf(sendableTrailers(trailers))}\r\n`, 'latin1');
    this.#connection.onWritten(this.#isLast);
  }

  abort(): void {
    if (this.#held === undefined) this.#socket.destroy();
    else this.#held.isBroken = true;
  }

  discardBody(): void {
    // it has come
  }

  onDrain(listener: () => void): void {
    if (this.#held !== undefined) {
      this.#held.onDrain = listener;
      return;
    }
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
    this.#held?.onDrain?.();
    for (const listener of this.#onClose.values()) listener();
  }
}

function linesOf(headers: RawHeaders): string {
  let text = '';
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return text;
}
