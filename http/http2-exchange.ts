/**
 * One HTTP/2 stream in the form in which the rest of the program knows
 * requests and answers: that of HTTP/1.1, as RFC 9113, section 8 translates
 * the two. Node's own compatibility layer does much more, for every request.
 * @module
 */
import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { Writable } from 'node:stream';
import { HttpError } from './errors.ts';
import { fieldValue, type RawHeaders } from './headers.ts';

/** A request head of HTTP/2 in the form of HTTP/1.1. */
export interface TranslatedHead {
  readonly method: string;
  readonly url: string;
  /** Host first. */
  readonly rawHeaders: string[];
}

/**
 * @param raw - Names and values as they came, pseudo-header fields among them; nghttp2 has refused what RFC 9113, section
 *   8.3 calls malformed: fields of the connection, upper-case names, missing or repeated pseudo-header fields.
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

/** @returns Names and values, in the form that `respond` takes. */
export function http2Headers(status: number, headers: RawHeaders): string[] {
  const list = [':status', String(status)];
  for (let i = 0; i < headers.length; i += 2) {
    const name = (headers[i] as string).toLowerCase();
    if (!OF_THE_CONNECTION.has(name)) list.push(name, headers[i + 1] as string);
  }
  return list;
}

/** Who is at the other end, as requests show it. */
export interface Peer {
  readonly remoteAddress: string;
  readonly encrypted: true;
  /** Kept by whoever answers at once: the last head, and what it meant. */
  known?: { readonly raw: RawHeaders; readonly meaning: unknown; readonly of: unknown } | undefined;
}

/** @returns The two sides of a stream, for whoever answers HTTP/1.1. */
export function exchangeOn(
  stream: ServerHttp2Stream,
  head: TranslatedHead,
  peer: Peer,
  hasBody: boolean,
): { request: IncomingMessage; response: ServerResponse } {
  const request = new StreamRequest(stream, head, peer, hasBody);
  const response = new StreamResponse(stream, request);
  return { request, response } as unknown as { request: IncomingMessage; response: ServerResponse };
}

class StreamRequest {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: string[];
  readonly httpVersion = '1.1';
  readonly socket: Peer;
  readonly #stream: ServerHttp2Stream;
  readonly #hasBody: boolean;

  constructor(stream: ServerHttp2Stream, { method, url, rawHeaders }: TranslatedHead, peer: Peer, hasBody: boolean) {
    this.#stream = stream;
    this.#hasBody = hasBody;
    this.method = method;
    this.url = url;
    this.rawHeaders = rawHeaders;
    this.socket = peer;
  }

  get headers(): Record<string, string | undefined> {
    const { rawHeaders } = this;
    return new Proxy({}, { get: (_target, name) => fieldValue(rawHeaders, String(name)) });
  }

  /** Whether the body has come to its end. */
  get complete(): boolean {
    return !this.#hasBody || this.#stream.readableEnded;
  }

  pipe(to: Writable): void {
    this.#stream.pipe(to);
  }

  unpipe(from?: Writable): void {
    this.#stream.unpipe(from);
    this.#stream.resume();
  }

  resume(): void {
    this.#stream.resume();
  }

  /** `aborted` and `error`, as of a stream. */
  once(event: string, listener: (...args: unknown[]) => void): void {
    this.#stream.once(event, listener);
  }
}

class StreamResponse extends EventEmitter {
  readonly req: StreamRequest;
  readonly #stream: ServerHttp2Stream;
  #head: string[] | undefined;
  #trailers: readonly (readonly [string, string])[] = [];
  #isChunked = true;
  #hasEnded = false;
  /** Node's name; nothing here depends on it. */
  shouldKeepAlive = true;
  statusCode = 200;

  constructor(stream: ServerHttp2Stream, request: StreamRequest) {
    super();
    this.#stream = stream;
    this.req = request;
    stream.on('drain', () => this.emit('drain'));
    stream.once('close', () => this.emit('close'));
    stream.once('finish', () => this.emit('finish'));
  }

  get headersSent(): boolean {
    return this.#stream.headersSent || this.#head !== undefined;
  }

  get destroyed(): boolean {
    return this.#stream.destroyed || this.#stream.closed;
  }

  get writableFinished(): boolean {
    return this.#hasEnded && this.#stream.writableFinished; // Node ends streams that are reset
  }

  /** Whether trailers can follow. */
  get chunkedEncoding(): boolean {
    return this.#isChunked;
  }

  get socket(): { writable: boolean; writableEnded: boolean } {
    // Node ends its side of a HEAD at once.
    return { writable: !this.destroyed, writableEnded: this.destroyed };
  }

  /** The reason phrase has no place in HTTP/2. */
  writeHead(status: number, ...rest: unknown[]): this {
    const headers = (rest.at(-1) ?? []) as RawHeaders | Record<string, string>;
    this.statusCode = status;
    const list = Array.isArray(headers) ? (headers as RawHeaders) : Object.entries(headers).flat();
    this.#head = http2Headers(status, list);
    this.#isChunked = fieldValue(list, 'content-length') === undefined;
    return this;
  }

  flushHeaders(): void {
    this.#respond(false);
  }

  write(chunk: Buffer): boolean {
    this.#respond(false);
    return this.#stream.write(chunk);
  }

  end(chunk?: Buffer): void {
    const isWhole = chunk === undefined;
    this.#hasEnded = true;
    this.#respond(isWhole);
    if (!isWhole) this.#stream.end(chunk);
    else if (!this.#stream.writableEnded) this.#stream.end();
    // What the request still has to send is read no more (RFC 9113, section 8.1).
    if (!this.req.complete) this.#stream.once('finish', () => this.#stream.close(constants.NGHTTP2_NO_ERROR));
  }

  addTrailers(fields: readonly (readonly [string, string])[]): void {
    this.#trailers = fields;
  }

  writeInformation(status: number, headers: RawHeaders): void {
    const fields: OutgoingHttpHeaders = { ':status': status };
    const list = http2Headers(status, headers);
    for (let i = 2; i < list.length; i += 2) {
      const name = list[i] as string;
      const before = fields[name];
      const value = list[i + 1] as string;
      fields[name] = before === undefined ? value : [before, value].flat().map(String);
    }
    this.#stream.additionalHeaders(fields);
  }

  writeContinue(): void {
    this.#stream.additionalHeaders({ ':status': 100 });
  }

  /** The other side sees a broken answer: `close` would end the body first, as if it were whole. */
  destroy(): this {
    if (!this.destroyed) this.#stream.destroy(new Error('broken off'));
    return this;
  }

  #respond(isWhole: boolean): void {
    const head = this.#head;
    if (head === undefined || this.destroyed) return;
    this.#head = undefined;
    const waitForTrailers = !isWhole && this.#isChunked;
    if (waitForTrailers) {
      this.#stream.once('wantTrailers', () => {
        if (!this.destroyed) this.#stream.sendTrailers(trailerFields(this.#trailers));
      });
    }
    this.#stream.respond(head as never, { endStream: isWhole, waitForTrailers });
  }
}

function trailerFields(pairs: readonly (readonly [string, string])[]): OutgoingHttpHeaders {
  const fields: Record<string, string[]> = {};
  for (const [name, value] of pairs) {
    const lower = name.toLowerCase();
    fields[lower] = [...(fields[lower] ?? []), value];
  }
  return fields;
}
