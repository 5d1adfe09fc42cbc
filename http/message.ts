/**
 * Types between the wire and the cache: a request to send upstream, and the response as its parts arrive.
 * @module
 */
import type { Duplex, Readable } from 'node:stream';
import type { RawHeaders } from './fields/headers.ts';
import type { Priority } from './fields/priority.ts';
import type { UpstreamError } from './upstream/errors.ts';

export interface ResponseHead {
  readonly status: number;
  readonly statusText: string;
  readonly headers: RawHeaders;
  readonly version?: Version | undefined;
}

/** A head whose fields are in an array of its own: what changes them further changes them in place. */
export interface OwnHead extends ResponseHead {
  readonly headers: string[];
}

/** Version of a response, as sent between nodes. */
export interface Version {
  /** Journal position of the response: a number, and the identity of the term that assigned it. */
  readonly identity: string | undefined;
  readonly seq: number;
  /** True if it was fresh when the origin was asked, and so is for all requests that waited for it meanwhile. */
  readonly wasFresh?: boolean | undefined;
  /**
   * True if it is for this request's sender only, though its fields may not say so: they come from the stored response
   * and a 304.
   */
  readonly isPersonal?: boolean | undefined;
}

/** Header section as it is written, but for values that differ by visitor. */
export interface FieldsText {
  readonly host: string;
  /** Value of Content-Length. */
  readonly length: number | undefined;
  /** One more than there are such values. */
  readonly texts: readonly string[];
  /** Their indices in the header section of a request. */
  readonly values: readonly number[];
}

/** Memo of a header section that is repeated. It applies to requests with these very `headers`. */
export interface SectionMemo {
  readonly headers: RawHeaders;
  /** By the client that writes them. */
  readonly texts: Map<object, FieldsText>;
  /** Kept by the cache. */
  profile?: object | undefined;
}

/** Field with the identifier of a request. */
export interface RequestIdField {
  readonly name: string;
  readonly id: string;
}

export interface UpstreamRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** End-to-end fields, Host included. */
  readonly headers: RawHeaders;
  /** Absent where the header section is not remembered. */
  readonly memo?: SectionMemo | undefined;
  /** Takes the place of `headers`, but for the values that it leaves out. */
  readonly text?: FieldsText | undefined;
  readonly body: Readable | undefined;
  /** The protocol to switch to (RFC 9110, section 7.8), such as `websocket`. */
  readonly upgrade?: string | undefined;
  /**
   * Block of addresses of the visitor that it is sent for, whose share of connections it counts against; absent: none.
   */
  readonly visitor?: string | undefined;
  /** Precedence where requests wait for a connection; by default what its header section says. */
  readonly priority?: Priority | undefined;
  /** Field with the identifier of the visitor's request, which none of `headers` has the name of; absent: none. */
  readonly idField?: RequestIdField | undefined;
}

/** Holds a response back, lets it go on, or gives it up. */
export interface Flow {
  pause(): void;
  resume(): void;
  /** No call to the sink follows. Idempotent. */
  abort(): void;
  /** Bytes of the body that were passed on, where they are counted. */
  readonly bytes?: number;
}

/** Receiver of a body: `onData`*, `onEnd`. */
export interface BodySink {
  onData(chunk: Buffer): void;
  onEnd(trailers: RawHeaders): void;
}

/**
 * Receiver of a response. Calls come in this order: `onInterim`*, `onHead`, `onData`*, `onEnd`; `onError` may take the
 * place of any of them and ends it. `onUpgrade` takes the place of `onHead` and ends it.
 */
export interface ResponseSink extends BodySink {
  /**
   * Receiver of `onData` and `onEnd`, from `onHead` on, where it is another one: a sink that is there for the head or
   * for errors is not on the way of each chunk.
   */
  readonly body?: BodySink | undefined;
  /** True if it goes on by itself where the body breaks off: it can have the rest from elsewhere. */
  readonly isMovable?: boolean;
  /** Fields of a head as they came, before those that are withheld go; its `onHead` or `onUpgrade` follows. */
  onFields?(headers: RawHeaders): void;
  /** A 1xx other than 101 (RFC 9110, section 15.2). */
  onInterim(status: number, headers: RawHeaders): void;
  onHead(head: ResponseHead): void;
  onError(error: UpstreamError): void;
  /** 101: the socket is the caller's from here on. */
  onUpgrade?(head: ResponseHead, socket: Duplex): void;
}

/** Sends one request upstream. Only `onError` may be called before it returns. */
export type Fetch = (request: UpstreamRequest, sink: ResponseSink) => Flow;

/**
 * Bytes to be taken one piece at a time. The reader that has enough, or goes
 * away, calls `close`.
 */
export interface BodyReader {
  /** True if all that is left to read is there. Absent: not known. */
  readonly isWhole?: boolean;
  /**
   * @returns The next piece, `null` at the end; a promise when it has not arrived yet.
   * @throws {HttpError} (or rejects) when the body broke off: what was read is not complete.
   */
  next(): Buffer | null | Promise<Buffer | null>;
  /** Called when the chunks passed on are no longer in use: their memory may be reused. */
  release?(): void;
  /** Idempotent. */
  close(): void;
}
