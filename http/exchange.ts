/**
 * One request that a server has read, and its answer: the same for HTTP/1.1 and
 * HTTP/2, whichever server reads them. Three adapters make it: http/http1/exchange.ts and
 * http/http2/exchange.ts for what is read here, http/node-http/exchange.ts for what
 * `node:http` reads.
 * @module
 */
import { STATUS_CODES } from 'node:http';
import type { Readable } from 'node:stream';
import type { MonotonicMs } from '../lib/clock.ts';
import { HttpError } from './errors.ts';
import { fieldValue, isFieldLine, listMembers, type RawHeaders } from './fields/headers.ts';
import type { ResponseHead } from './message.ts';
import type { Peer, PreparedSink } from './prepared-delivery.ts';

/** Head of a request, and the connection that it came on. */
export interface ServerRequest {
  readonly method: string;
  /** Request target as it came. */
  readonly target: string;
  /** Fields as they came. Those of HTTP/2 are in the form of HTTP/1.1, Host first. */
  readonly headers: RawHeaders;
  /** `1.0`, `1.1` or `2`, or another one that no server speaks (see `checkHead`). */
  readonly version: string;
  /** Address of the other end; `undefined` once the connection has gone. */
  readonly remoteAddress: string | undefined;
  readonly isTls: boolean;
  /** Connection that it came on, as a key of what is known of its other end (trust/node-certificates.ts). */
  readonly connection: object;
  /** Address and port that the connection was made to, in the form of a Host field. */
  readonly localAuthority: string | undefined;
}

/**
 * A request and its answer. Calls come in this order: `interim`*, `head`,
 * `write`*, `end`; `abort` may take the place of any of them and ends it. After
 * the connection has gone all of them do nothing.
 */
export interface ServerExchange extends ServerRequest {
  readonly peer: Peer;
  /** Time at which the request came. */
  readonly arrivedAt: MonotonicMs;
  /** Present until the request is claimed, if it may be answered with prepared bytes. */
  readonly prepared: PreparedSink | undefined;
  /** Body as it arrives, for one reader (http/body/arriving-body.ts); `undefined`: the request announces none. */
  readonly body: Readable | undefined;
  /** True once `head` was called. */
  readonly hasHead: boolean;
  /** True once all chunks were passed to the system: their memory may be reused. */
  readonly isFlushed: boolean;
  /** Refusal that the server has answered with itself, as the rest of the request turned out malformed. */
  readonly refusal?: HttpError | undefined;
  /** True while answers before it on its connection are not complete: nothing of it can be sent. */
  readonly awaitsTurn: boolean;
  /** True if nothing can be sent any more: the connection has failed, or is closed for writing. */
  readonly isClosed: boolean;
  /** Sends a 1xx, where it can be understood (RFC 9110, section 15.2: not by HTTP/1.0) and is not too late. */
  interim(status: number, headers: RawHeaders): void;
  /**
   * Begins the answer: without Content-Length its body is framed in pieces, where it may have a body. The head may
   * wait for what follows it. What the request still has to send is read no more (RFC 9112, section 9.6).
   *
   * @throws {TypeError} for a field that would not stay one line.
   */
  head(head: ResponseHead): void;
  /** Sends a head that waits. */
  flush(): void;
  /**
   * Sends a piece of the body, or drops it where there can be none. @returns Whether there is room for more; if not,
   * see `onDrain`.
   */
  write(piece: Buffer): boolean;
  /** Ends the answer. @param trailers - Sent where the body's framing has a place for them. */
  end(trailers?: RawHeaders): void;
  /** Breaks the answer off, so that the other side cannot take it for a complete one. */
  abort(): void;
  /** Gives up the rest of the request's body, which must not hold up other requests of the connection. */
  discardBody(): void;
  /** Calls back once: when there is room after `write` returned false, or the connection has gone. */
  onDrain(listener: () => void): void;
  /** Calls back when the connection goes before the answer is complete. */
  onClose(listener: () => void): void;
  offClose(listener: () => void): void;
}

/**
 * Checks what the parser of `node:http` lets pass and this server does not.
 *
 * @throws {HttpError} `header_too_large` when the request has more header lines than the config allows,
 *   `bad_version`, or `bad_request` for a body that another server could read differently.
 */
export function checkHead({ headers, version }: ServerRequest, maxHeaders: number): void {
  if (headers.length > maxHeaders * 2) throw new HttpError('header_too_large');
  if (version !== '1.1' && version !== '2' && version !== '1.0') throw new HttpError('bad_version', version);
  const codings = fieldValue(headers, 'transfer-encoding');
  if (codings === undefined) return;
  // RFC 9112, section 6.1: in HTTP/1.0 "the framing is faulty"; and the parser takes off the last coding only.
  const isChunked = listMembers(codings).join().toLowerCase() === 'chunked';
  if (!isChunked || version === '1.0') throw new HttpError('bad_request', `Transfer-Encoding: ${codings}`);
}

/** Returns whether a request announces a body (RFC 9112, section 6.3). */
export function hasBody(headers: RawHeaders): boolean {
  const length = fieldValue(headers, 'content-length');
  return length === undefined ? fieldValue(headers, 'transfer-encoding') !== undefined : Number(length) > 0;
}

/** Reason phrase of the origin, unless it has none or one that could end the status line. */
export function reasonPhrase({ status, statusText }: ResponseHead): string {
  return /^[\t\x20-\x7e\x80-\xff]+$/.test(statusText) ? statusText : (STATUS_CODES[status] ?? '');
}

/**
 * Returns whether a response with this status may have content and Content-Length (RFC 9110, sections 15.3.5 and
 * 15.4.5).
 */
export function allowsContent(status: number): boolean {
  return status !== 204 && status !== 304;
}

/** Returns the trailers without those that would not stay one line. */
export function sendableTrailers(trailers: RawHeaders): string[] {
  const fields: string[] = [];
  for (let i = 0; i < trailers.length; i += 2) {
    const [name, value] = [trailers[i] as string, trailers[i + 1] as string];
    if (isFieldLine(name, value)) fields.push(name, value);
  }
  return fields;
}

/** Answers with a head and a body in one piece. */
export function answerWhole(exchange: ServerExchange, status: number, headers: RawHeaders = [], text = ''): void {
  const body = Buffer.from(text, 'utf8');
  exchange.head({ status, statusText: '', headers: [...headers, 'Content-Length', String(body.length)] });
  if (exchange.method !== 'HEAD') exchange.write(body);
  exchange.end();
}
