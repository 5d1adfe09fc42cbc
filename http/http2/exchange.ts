/**
 * One HTTP/2 stream in the form in which the rest of the program knows
 * requests and answers: that of HTTP/1.1, as RFC 9113, section 8 translates
 * the two.
 * @module
 */
import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { HttpError } from '../errors.ts';
import { fieldValue, isFieldLine, lowerCase, type RawHeaders } from '../headers.ts';
import { ERROR } from './errors.ts';
import { headerBlock } from './header-block.ts';
import type { Stream, StreamListener } from './stream.ts';

/** A request head of HTTP/2 in the form of HTTP/1.1. */
export interface TranslatedHead {
  readonly method: string;
  readonly url: string;
  /** Host first. */
  readonly rawHeaders: string[];
}

/**
 * @param raw - Names and values as they came, pseudo-header fields among them, of a section that is not malformed (section.ts).
 * @param hasBody - Whether more than the head comes.
 * @throws {HttpError} `bad_request` when the authority and Host differ, or the scheme is not that of the connection.
 */
export function translateHead(raw: RawHeaders, hasBody: boolean): TranslatedHead {
  let [method, url, authority, host, cookie] = ['', '', undefined, undefined, undefined] as Slots;
  let hasLength = false;
  const rawHeaders: string[] = ['Host', ''];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    if (name === ':method') method = value;
    else if (name === ':path') url = value;
    else if (name === ':authority') authority = value;
    else if (name === ':scheme') {
      if (value !== 'https') throw new HttpError('bad_request', `:scheme ${value} over TLS`);
    } else if (name === 'host') {
      if (host !== undefined && host !== value) throw new HttpError('bad_request', 'two different Host');
      host = value;
    } else if (name === 'cookie') {
      cookie = cookie === undefined ? value : `${cookie}; ${value}`; // RFC 9113, section 8.2.3
    } else {
      if (name === 'content-length') hasLength = true;
      rawHeaders.push(name, value);
    }
  }
  // RFC 9113, section 8.3.1: a request is malformed "if it contains a Host header field that identifies an entity that
  // differs"; and which of the two counts, two servers could see differently.
  if (host !== undefined && authority !== undefined && host.toLowerCase() !== authority.toLowerCase()) {
    throw new HttpError('bad_request', 'Host is not :authority');
  }
  const named = authority ?? host;
  if (named === undefined) rawHeaders.splice(0, 2);
  else rawHeaders[1] = named;
  if (cookie !== undefined) rawHeaders.push('cookie', cookie);
  if (hasBody && !hasLength) rawHeaders.push('transfer-encoding', 'chunked'); // how HTTP/1.1 says that a body follows
  return { method, url, rawHeaders };
}

type Slots = [string, string, string | undefined, string | undefined, string | undefined];

/** Fields that say something of an HTTP/1.1 connection (RFC 9113, section 8.2.2). */
const OF_THE_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'host',
]);

/**
 * @returns Names and values, as a header block has them.
 * @throws {TypeError} for a field that would not stay one line.
 */
export function http2Headers(status: number, headers: RawHeaders): string[] {
  const list = [':status', String(status)];
  for (let i = 0; i < headers.length; i += 2) {
    const name = lowerCase(headers[i] as string);
    const value = headers[i + 1] as string;
    if (!isFieldLine(name, value)) throw new TypeError(`not a header field: ${JSON.stringify(name)}`);
    if (!OF_THE_CONNECTION.has(name)) list.push(name, value);
  }
  return list;
}

/** Address and TLS state of the other end, in the form that requests show. */
export interface Peer {
  readonly remoteAddress: string;
  readonly encrypted: true;
  /** Kept by whoever answers at once: the last head, and what it meant. */
  known?: { readonly raw: RawHeaders; readonly meaning: unknown; readonly of: unknown } | undefined;
}

/** @returns The two sides of a stream, for whoever answers HTTP/1.1. */
export function exchangeOn(
  stream: Stream,
  head: TranslatedHead,
  peer: Peer,
): { request: IncomingMessage; response: ServerResponse } {
  const request = new StreamRequest(stream, head, peer);
  const response = new StreamResponse(stream, request);
  return { request, response } as unknown as { request: IncomingMessage; response: ServerResponse };
}

class StreamRequest {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: string[];
  readonly httpVersion = '1.1';
  readonly socket: Peer;
  readonly #stream: Stream;

  constructor(stream: Stream, { method, url, rawHeaders }: TranslatedHead, peer: Peer) {
    this.#stream = stream;
    this.method = method;
    this.url = url;
    this.rawHeaders = rawHeaders;
    this.socket = peer;
  }

  get headers(): Record<string, string | undefined> {
    const { rawHeaders } = this;
    return new Proxy({}, { get: (_target, name) => fieldValue(rawHeaders, String(name)) });
  }

  /** True once the body is complete. */
  get complete(): boolean {
    return this.#stream.hasCome;
  }

  get readableLength(): number {
    return this.#stream.body?.readableLength ?? 0;
  }

  read(bytes?: number): Buffer | null {
    return (this.#stream.body?.read(bytes) as Buffer | null | undefined) ?? null;
  }

  /** Drops what is still to come. */
  unpipe(): void {
    this.resume();
  }

  resume(): void {
    this.#stream.body?.resume();
  }

  on(event: string, listener: (...args: unknown[]) => void): void {
    this.#stream.body?.on(event, listener);
  }

  off(event: string, listener: (...args: unknown[]) => void): void {
    this.#stream.body?.off(event, listener);
  }

  /** `error`, as of a stream, also where the other side gives it up. */
  once(event: string, listener: (...args: unknown[]) => void): void {
    this.#stream.body?.once(event, listener);
  }
}

class StreamResponse extends EventEmitter implements StreamListener {
  readonly req: StreamRequest;
  readonly #stream: Stream;
  #head: string[] | undefined;
  #trailers: readonly (readonly [string, string])[] = [];
  #isChunked = true;
  #hasBody = true;
  /** Node's name; nothing here depends on it. */
  shouldKeepAlive = true;
  statusCode = 200;

  constructor(stream: Stream, request: StreamRequest) {
    super();
    this.#stream = stream;
    this.req = request;
    stream.listener = this;
  }

  get headersSent(): boolean {
    return this.#stream.headersSent || this.#head !== undefined;
  }

  get destroyed(): boolean {
    return this.#stream.isClosed;
  }

  get writableFinished(): boolean {
    return this.#stream.hasFinished;
  }

  /** True if trailers can follow. */
  get chunkedEncoding(): boolean {
    return this.#isChunked;
  }

  get socket(): { writable: boolean; writableEnded: boolean } {
    return { writable: !this.destroyed, writableEnded: this.destroyed };
  }

  onDrain(): void {
    this.emit('drain');
  }

  onFinish(): void {
    this.emit('finish');
  }

  onClose(): void {
    this.emit('close');
  }

  /** The reason phrase has no place in HTTP/2. */
  writeHead(status: number, ...rest: unknown[]): this {
    const headers = (rest.at(-1) ?? []) as RawHeaders | Record<string, string>;
    this.statusCode = status;
    const list = Array.isArray(headers) ? (headers as RawHeaders) : Object.entries(headers).flat();
    this.#head = http2Headers(status, list);
    this.#isChunked = fieldValue(list, 'content-length') === undefined;
    this.#hasBody = this.req.method !== 'HEAD' && status !== 204 && status !== 304;
    return this;
  }

  flushHeaders(): void {
    this.#sendHead(false);
  }

  /** @returns Whether there is room for more; if not, `drain` tells when there is. */
  write(chunk: Buffer): boolean {
    if (!this.#hasBody) return true;
    this.#sendHead(false);
    return this.#stream.write(chunk);
  }

  end(chunk?: Buffer): void {
    if (chunk !== undefined) this.write(chunk);
    this.#sendHead(true);
    if (this.destroyed) return;
    const { length } = this.#trailers;
    this.#stream.end(length === 0 || !this.#isChunked ? undefined : headerBlock(trailerFields(this.#trailers)));
  }

  addTrailers(fields: readonly (readonly [string, string])[]): void {
    this.#trailers = fields;
  }

  writeInformation(status: number, headers: RawHeaders): void {
    this.#stream.sendHeaders(headerBlock(http2Headers(status, headers)), { isInterim: true });
  }

  writeContinue(): void {
    this.writeInformation(100, []);
  }

  /** The other side sees a broken answer. */
  destroy(): this {
    this.#stream.reset(ERROR.internal);
    return this;
  }

  /** @param isEnd - Whether the answer has come to its end. */
  #sendHead(isEnd: boolean): void {
    const head = this.#head;
    if (head === undefined) return;
    this.#head = undefined;
    const isWhole = isEnd ? this.#trailers.length === 0 : false;
    this.#stream.sendHeaders(headerBlock(head), { isWhole });
  }
}

function trailerFields(pairs: readonly (readonly [string, string])[]): string[] {
  return pairs.flatMap(([name, value]) => (isFieldLine(name, value) ? [lowerCase(name), value] : []));
}
