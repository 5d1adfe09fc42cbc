/**
 * Prepared delivery: requests are answered with bytes that were made before, without an exchange, a header section or
 * a body of their own. Servers of our own offer it (http/http1/exchange.ts, http/http2/exchange.ts).
 * @module
 */
import type { RawHeaders } from './fields/headers.ts';
import type { BodyReader } from './message.ts';

/** Memory of the code behind a server: valid as long as `of` is its current context. */
export interface Memory {
  readonly of: object;
}

/** Other end of a connection. */
export interface Peer {
  /** `undefined` once the connection has gone. */
  readonly remoteAddress: string | undefined;
  readonly isTls: boolean;
  memory: Memory | undefined;
}

/** Header section that requests repeat: read once, and then recognised. */
export interface RepeatedSection {
  /** As an exchange has them. */
  readonly headers: RawHeaders;
  memory: Memory | undefined;
}

/** Form of prepared bytes: that of a protocol. Heads are given in the form of HTTP/1.1, with the empty line. */
export interface PreparedForm {
  /** Each form has its own, from 0. */
  readonly index: number;
  /** @returns The bytes before a body that follows in one piece; `undefined` where that cannot be. */
  beginningOf(head: string, bodyBytes: number): string | Buffer | undefined;
  /** @returns The bytes before a body that follows in many pieces, or before none. */
  headOf(head: string): Buffer;
}

/** Target that has come as bytes, one for each character. */
export interface TargetBytes {
  /** Overwritten by the next request; `undefined`: it has come as a string. */
  readonly bytes: Buffer | undefined;
  readonly targetFrom: number;
  readonly targetTo: number;
}

/**
 * Request whose header section is a repeated one, GET or HEAD without a body. It is answered by `sendPrepared` or
 * `stream` before its handler returns, or claimed by then; or the server answers it otherwise. Only a claimed one, or
 * one that is streamed, may be used after that: the server uses its exchange again.
 */
export interface PreparedSink {
  readonly section: RepeatedSection;
  readonly form: PreparedForm;
  readonly targetBytes: TargetBytes | undefined;
  /** Takes the request over, to answer it as an exchange. @returns False if the server is to answer it otherwise. */
  claim(): boolean;
  /**
   * Sends an answer of one piece.
   *
   * @returns False if the other side has no room for it now; then it is to be streamed.
   */
  sendPrepared(bytes: Buffer, bodyBytes: number): boolean;
  /** True if bytes that `sendPrepared` has sent are still read, and must not change. */
  readonly isLent: boolean;
  /**
   * Sends an answer at the reader's pace.
   *
   * @param head - Of the form's `headOf`.
   * @param onDone - Called with the bytes of the body that were written, when all are or the connection has broken.
   */
  stream(head: Buffer, body: BodyReader | undefined, onDone: (bytes: number) => void): void;
}
