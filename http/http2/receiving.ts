/**
 * Receive windows: the other side may send as much as they allow, and they are opened again as the bytes are read (RFC
 * 9113, sections 5.2 and 6.9).
 * @module
 */
import { ConnectionError, ERROR } from './errors.ts';
import type { Output } from './output.ts';
import { CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES } from './settings.ts';
import type { Stream } from './stream.ts';

/** RFC 9113, section 6.9.2: what the connection's window is until the other side hears more. */
const FIRST_WINDOW_BYTES = 65_535;

export class Receiving {
  readonly #output: Output;
  #window = CONNECTION_WINDOW_BYTES;
  /** Bytes that have been read, and of which the other side has not been told. */
  #unacknowledged = 0;

  constructor(output: Output) {
    this.#output = output;
    output.windowUpdate(0, CONNECTION_WINDOW_BYTES - FIRST_WINDOW_BYTES);
  }

  /**
   * A DATA frame has come, with its padding.
   *
   * @throws {ConnectionError} when it goes beyond the window.
   */
  take(bytes: number): void {
    this.#window -= bytes;
    if (this.#window < 0) throw new ConnectionError(ERROR.flowControl, 'more than the window of the connection');
  }

  /** They have been read, or are dropped. @param stream - If more may come on it. */
  settle(bytes: number, stream: Stream | undefined): void {
    this.#unacknowledged += bytes;
    if (this.#unacknowledged >= CONNECTION_WINDOW_BYTES / 2) {
      this.#output.windowUpdate(0, this.#unacknowledged);
      this.#window += this.#unacknowledged;
      this.#unacknowledged = 0;
    }
    if (stream !== undefined && !stream.isClosed && !stream.isComplete) {
      stream.unacknowledged += bytes;
      if (stream.unacknowledged >= STREAM_WINDOW_BYTES / 2) {
        this.#output.windowUpdate(stream.id, stream.unacknowledged);
        stream.receiveWindow += stream.unacknowledged;
        stream.unacknowledged = 0;
      }
    }
    this.#output.flushSoon();
  }
}
