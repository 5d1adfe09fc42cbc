/**
 * Errors of HTTP/2 (RFC 9113, sections 5.4 and 7).
 * @module
 */

import type { ConnectionRefusal } from '../listener/connection-refusals.ts';

/** Codes of RST_STREAM and GOAWAY. */
export const ERROR = {
  none: 0x0,
  protocol: 0x1,
  internal: 0x2,
  flowControl: 0x3,
  streamClosed: 0x5,
  frameSize: 0x6,
  refusedStream: 0x7,
  cancel: 0x8,
  compression: 0x9,
  enhanceYourCalm: 0xb,
} as const;

export type ErrorCode = (typeof ERROR)[keyof typeof ERROR];

/** Error that ends a connection. */
export class ConnectionError extends Error {
  readonly code: ErrorCode;

  /** @param message - For the log; the other side sees the code. */
  constructor(code: ErrorCode, message: string) {
    super(message);
    this.name = 'ConnectionError';
    this.code = code;
  }
}

/** The other side asks for more than it is worth. */
export class FloodError extends ConnectionError {
  readonly reason: ConnectionRefusal;

  constructor(reason: ConnectionRefusal) {
    super(ERROR.enhanceYourCalm, reason);
    this.name = 'FloodError';
    this.reason = reason;
  }
}

/** A header block that cannot be read: what the two sides know of each other is lost (RFC 9113, section 4.3). */
export class CompressionError extends ConnectionError {
  constructor(message: string) {
    super(ERROR.compression, message);
    this.name = 'CompressionError';
  }
}
