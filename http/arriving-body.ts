/**
 * The body of a request as it is handed on: all that has come by then in one
 * piece, so that a body of single bytes, in chunks or in frames, costs little
 * more than any other.
 * @module
 */
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { HttpError } from './errors.ts';

export class ArrivingBody extends Readable {
  readonly #request: IncomingMessage;
  readonly #maxBytes: number;
  #bytes = 0;
  #isWanted = false;

  /** @param maxBytes - One that turns out longer breaks off with `body_too_large`. */
  constructor(request: IncomingMessage, maxBytes: number) {
    super();
    this.#request = request;
    this.#maxBytes = maxBytes;
    this.on('error', ignore); // whoever reads it hears of it as well
    request.once('error', (error) => this.destroy(error));
    request.once('aborted', () => this.destroy(new HttpError('abandoned', 'the visitor left while sending')));
    request.once('end', () => this.push(null));
    request.on('readable', this.#take);
  }

  override _read(): void {
    this.#isWanted = true;
    this.#take();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#request.off('readable', this.#take);
    if (error !== null) this.#request.unpipe(); // in HTTP/2, the rest is dropped
    done(error);
  }

  readonly #take = (): void => {
    if (!this.#isWanted || this.destroyed) return;
    // Without a length, a single piece of what has come would be read.
    const piece = this.#request.read(this.#request.readableLength || undefined) as Buffer | null;
    if (piece === null) return;
    this.#isWanted = false;
    this.#bytes += piece.length;
    if (this.#bytes > this.#maxBytes) this.destroy(new HttpError('body_too_large'));
    else this.push(piece);
  };
}

function ignore(): void {
  // nobody may be reading
}
