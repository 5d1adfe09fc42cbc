/**
 * Exchanges on HTTP/2 streams. Fields are translated from and to the form of
 * HTTP/1.1 (RFC 9113, section 8).
 *
 * One exchange serves all requests that are answered with prepared bytes, of all connections; they never become
 * streams. A request that is claimed keeps it, and the next one gets another.
 * @module
 */
import type { Readable } from 'node:stream';
import { LONG_AGO, type MonotonicMs } from '../../lib/clock.ts';
import { FewSet } from '../../lib/few-set.ts';
import { sendBody } from '../body/deliver.ts';
import { allowsContent, type ServerExchange, sendableTrailers } from '../exchange.ts';
import { fieldValue, lowerCase, type RawHeaders } from '../fields/headers.ts';
import type { BodyReader, ResponseHead } from '../message.ts';
import type { Memory, Peer, PreparedSink, RepeatedSection } from '../prepared-delivery.ts';
import { ERROR } from './errors.ts';
import { http2Headers, type TranslatedHead } from './head-translation.ts';
import { headerBlock } from './header-block.ts';
import { HTTP2_FORM } from './prepared-form.ts';
import type { IncomingRequest, Section } from './section.ts';
import type { Stream, StreamListener } from './stream.ts';

/** The other end of a connection. */
export class Http2Peer implements Peer {
  readonly remoteAddress: string;
  readonly isTls = true;
  memory: Memory | undefined;
  /** Section of the last request, as it came, and what was made of it. */
  last: { readonly section: Section; readonly repeated: RepeatedSection | null } | undefined;

  constructor(remoteAddress: string) {
    this.remoteAddress = remoteAddress;
  }
}

/** Services of a connection for its exchanges. */
export interface ExchangeConnection {
  readonly peer: Http2Peer;
  /** Arrival time of the bytes being read. */
  readonly readAt: MonotonicMs;
  answer(id: number, frames: Uint8Array, bodyBytes: number): boolean;
  open(request: IncomingRequest): Stream;
}

export class StreamExchange implements ServerExchange, PreparedSink, StreamListener {
  readonly version = '2';
  readonly isTls = true;
  readonly form = HTTP2_FORM;
  readonly targetBytes = undefined;
  method = '';
  target = '';
  arrivedAt: MonotonicMs = LONG_AGO;
  headers: RawHeaders = [];
  #connection!: ExchangeConnection;
  #request!: IncomingRequest;
  #section: RepeatedSection | undefined;
  /** True if the request has its answer, and the exchange is free. */
  isSent = false;
  /** True if the exchange is its request's for good. */
  isClaimed = false;
  /** Absent until the request is claimed. */
  #opened: Stream | undefined;
  #body: Readable | undefined;
  #head: string[] | undefined;
  /** True if no length ends the body: then trailers may follow it. */
  #isOpenEnded = true;
  #hasBody = true;
  #onDrain: (() => void) | undefined;
  readonly #onClose = new FewSet<() => void>();

  /** Begins with a request that is only a head. */
  begin(connection: ExchangeConnection, request: IncomingRequest, section: RepeatedSection): void {
    const { method, path } = request.section;
    this.#connection = connection;
    this.#request = request;
    this.#section = section;
    this.isSent = false;
    this.arrivedAt = connection.readAt;
    this.method = method;
    this.target = path;
    this.headers = section.headers;
  }

  /** Begins with a request that has a stream, and so is claimed. */
  beginOn(stream: Stream, connection: ExchangeConnection, { method, target, headers }: TranslatedHead): void {
    this.#connection = connection;
    this.method = method;
    this.target = target;
    this.headers = headers;
    this.isClaimed = true;
    this.arrivedAt = connection.readAt;
    this.#opened = stream;
    stream.listener = this;
  }

  get peer(): Peer {
    return this.#connection.peer;
  }

  get prepared(): PreparedSink | undefined {
    return this.isClaimed ? undefined : this;
  }

  get section(): RepeatedSection {
    return this.#section as RepeatedSection;
  }

  claim(): boolean {
    if (this.#opened !== undefined) return true;
    this.isClaimed = true;
    this.#opened = this.#connection.open(this.#request);
    this.#opened.listener = this;
    return true;
  }

  /** They are copied. */
  get isLent(): false {
    return false;
  }

  sendPrepared(bytes: Buffer, bodyBytes: number): boolean {
    if (!this.#connection.answer(this.#request.id, bytes, bodyBytes)) return false;
    this.isSent = true;
    return true;
  }

  stream(head: Buffer, body: BodyReader | undefined, onDone: (bytes: number) => void): void {
    this.claim();
    this.#stream.sendHeaders(head, { isWhole: body === undefined });
    if (body === undefined) onDone(0);
    else {
      const written = sendBody(this, { body, trailers: () => [], onBroken: () => undefined });
      if (typeof written === 'number') onDone(written);
      else void written.then(onDone);
    }
  }

  get #stream(): Stream {
    return this.#opened as Stream;
  }

  get remoteAddress(): string {
    return this.#connection.peer.remoteAddress;
  }

  get connection(): object {
    return this.#connection;
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

  /** Answers of streams need not wait for others. */
  get awaitsTurn(): boolean {
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
