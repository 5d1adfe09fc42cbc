/**
 * One request on its way to a server and its response: what the clients of
 * this folder have in common.
 * @module
 */
import type { Duplex } from 'node:stream';
import type { RawHeaders } from './headers.ts';

/**
 * Receiver of a response as it is on the wire: `onInterim`*, `onHead`, `onBody`*, `onEnd`. `onFailure` may take the
 * place of any of them and ends it; `onSwitch` takes the place of `onHead` and ends it.
 */
export interface Receiver {
  /** A 1xx other than 101. */
  onInterim(status: number, headers: RawHeaders): void;
  onHead(status: number, statusText: string, headers: RawHeaders): void;
  onBody(piece: Buffer): void;
  onEnd(trailers: RawHeaders): void;
  onFailure(error: Error): void;
  /** 101. */
  onSwitch(status: number, headers: RawHeaders, socket: Duplex): void;
}

/** One request under way. */
export interface UnderWay {
  pause(): void;
  resume(): void;
  /** Closes the connection; no call to the receiver follows. */
  abort(): void;
}
