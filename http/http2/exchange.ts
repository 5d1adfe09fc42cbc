/**
 * Exchanges on HTTP/2 streams. Fields are translated from and to the form of
 * HTTP/1.1 (RFC 9113, section 8).
 * @module
 */
import type { Readable } from 'node:stream';
import { FewSet } from '../../lib/few-set.ts';
import { HttpError } from '../errors.ts';
import { allowsContent, type ServerExchange, sendableTrailers } from '../exchange.ts';
import { fieldValue, isFieldLine, lowerCase, type RawHeaders } from '../fields/headers.ts';
import type { ResponseHead } from '../message.ts';
import { ERROR } from './errors.ts';
import { headerBlock } from './header-block.ts';
import type { Section } from './section.ts';
import type { Stream, StreamListener } from './stream.ts';

/** A request head of HTTP/2 in the form of HTTP/1.1. */
export interface TranslatedHead {
  readonly method: string;
  readonly target: string;
  /** Host first. */
  readonly headers: string[];
}

/**
 * @param raw - Names and values as they came, pseudo-header fields among them, of a section that is not malformed
 * (section.ts).
 * @param hasBody - Whether more than the head comes.
 * @throws {HttpError} `bad_request` when the authority and Host differ, or the scheme is not that of the connection.
 */
export function translateHead(raw: RawHeaders, hasBody: boolean): TranslatedHead {
  let [method, target, authority, host, cookie] = ['', '', undefined, undefined, undefined] as Slots;
  let hasLength = false;
  const headers: string[] = ['Host', ''];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    if (name === ':method') method = value;
    else if (name === ':path') target = value;
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
      headers.push(name, value);
    }
  }
  // RFC 9113, section 8.3.1: a request is malformed "if it contains a Host header field that identifies an entity that
  // differs"; and which of the two counts, two servers could see differently.
  if (host !== undefined && authority !== undefined && host.toLowerCase() !== authority.toLowerCase()) {
    throw new HttpError('bad_request', 'Host is not :authority');
  }
  const named = authority ?? host;
  if (named === undefined) headers.splice(0, 2);
  else headers[1] = named;
  if (cookie !== undefined) headers.push('cookie', cookie);
  if (hasBody && !hasLength) headers.push('transfer-encoding', 'chunked'); // how HTTP/1.1 says that a body follows
  return { method, target, headers };
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

/** The other end of a connection. */
export interface Peer {
  readonly remoteAddress: string;
  /** Kept by the synchronous handler: the last head, and its interpretation. */
  known?: { readonly section: Section; readonly meaning: unknown; readonly of: unknown } | undefined;
}

export class StreamExchange implements ServerExchange, StreamListener {
  readonly method: string;
  readonly target: string;
  readonly headers: RawHeaders;
  readonly version = '2';
  readonly isTls = true;
  readonly #stream: Stream;
  readonly #peer: Peer;
  #body: Readable | undefined;
  #head: string[] | undefined;
  /** True if no length ends the body: then trailers may follow it. */
  #isOpenEnded = true;
  #hasBody = true;
  #onDrain: (() => void) | undefined;
  readonly #onClose = new FewSet<() => void>();

  constructor(stream: Stream, { method, target, headers }: TranslatedHead, peer: Peer) {
    this.#stream = stream;
    this.#peer = peer;
    this.method = method;
    this.target = target;
    this.headers = headers;
    stream.listener = this;
  }

  get remoteAddress(): string {
    return this.#peer.remoteAddress;
  }

  /** Its version requires an authority. */
  get localAuthority(): undefined {
    return undefined;
  }

  get body(): Readable | undefined {
    this.#body ??= this.#stream.body?.open();
    return this.#body;
  }

  get hasHead(): boolean {
    return this.#stream.headersSent || this.#head !== undefined;
  }

  /** Not known of each stream: what it wrote may wait for others of its connection. */
  get isFlushed(): boolean {
    return false;
  }

  get isClosed(): boolean {
    return this.#stream.isClosed;
  }

  interim(status: number, headers: RawHeaders): void {
    if (this.hasHead || this.isClosed) return;
    this.#stream.sendHeaders(headerBlock(http2Headers(status, headers)), { isInterim: true });
  }

  /** The reason phrase has no place in HTTP/2. */
  head({ status, headers }: ResponseHead): void {
    this.#head = http2Headers(status, headers);
    this.#isOpenEnded = fieldValue(headers, 'content-length') === undefined;
    this.#hasBody = this.method !== 'HEAD' && allowsContent(status);
  }

  flush(): void {
    this.#sendHead(false);
  }

  write(piece: Buffer): boolean {
    if (!this.#hasBody) return true;
    this.#sendHead(false);
    return this.#stream.write(piece);
  }

  end(trailers: RawHeaders = []): void {
    const fields = this.#isOpenEnded ? sendableTrailers(trailers) : [];
    this.#sendHead(fields.length === 0);
    if (this.isClosed) return;
    this.#stream.end(
      fields.length === 0 ? undefined : headerBlock(fields.map((text, i) => (i % 2 === 0 ? lowerCase(text) : text))),
    );
  }

  abort(): void {
    this.#stream.reset(ERROR.internal);
  }

  discardBody(): void {
    this.#stream.body?.discard();
  }

  onDrain(listener: () => void): void {
    this.#onDrain = listener;
  }

  onClose(listener: () => void): void {
    this.#onClose.add(listener);
  }

  offClose(listener: () => void): void {
    this.#onClose.delete(listener);
  }

  drained(): void {
    const listener = this.#onDrain;
    this.#onDrain = undefined;
    listener?.();
  }

  closed(): void {
    this.drained();
    if (this.#stream.hasFinished) return;
    for (const listener of this.#onClose.values()) listener();
  }

  /** @param isEnd - Whether the answer has come to its end. */
  #sendHead(isEnd: boolean): void {
    const head = this.#head;
    if (head === undefined) return;
    this.#head = undefined;
    this.#stream.sendHeaders(headerBlock(head), { isWhole: isEnd });
  }
}
