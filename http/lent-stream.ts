/**
 * A connection as `node:http` sees it for as long as one answer takes. What
 * cannot be answered before HTTP is parsed, but is plainly one whole request
 * without a body, is given to `node:http` through a stream like this, so that
 * the connection itself stays where it is and the next request finds it there.
 * @module
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';

export class LentStream extends Duplex {
  readonly #socket: Socket;
  readonly #onAnswered: () => void;
  /** For whoever asks a request's socket; set where TLS was taken off. */
  readonly encrypted: boolean;

  /** @param onAnswered - Told when an answer is written whole and the connection stays open. */
  constructor(socket: Socket, onAnswered: () => void) {
    super({ decodeStrings: false, allowHalfOpen: true });
    this.#socket = socket;
    this.#onAnswered = onAnswered;
    this.encrypted = (socket as Partial<TLSSocket>).encrypted === true;
  }

  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress;
  }

  get remotePort(): number | undefined {
    return this.#socket.remotePort;
  }

  /** Follows an answer that this stream was asked for. */
  follow(response: ServerResponse): void {
    response.once('finish', () => {
      if (!this.writableEnded && !this.destroyed && !this.#socket.writableEnded) this.#onAnswered();
    });
  }

  /** What `node:http` does after the last answer of a connection. */
  destroySoon(): void {
    this.#socket.destroySoon();
  }

  override _read(): void {
    // requests are pushed one by one
  }

  override _write(chunk: Buffer | string, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, encoding, done);
  }

  override _writev(
    chunks: { chunk: Buffer | string; encoding: BufferEncoding }[],
    done: (error?: Error | null) => void,
  ): void {
    const last = chunks.length - 1;
    this.#socket.cork();
    chunks.forEach(({ chunk, encoding }, index) => {
      this.#socket.write(chunk, encoding, index === last ? done : undefined);
    });
    this.#socket.uncork();
  }

  override _final(done: () => void): void {
    this.#socket.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.returned) this.#socket.destroy();
    done(error);
  }

  /** Whether the connection goes on without this stream. */
  returned = false;

  /** Ends the stream and leaves the connection alone. */
  giveBack(): void {
    this.returned = true;
    this.destroy();
  }
}
