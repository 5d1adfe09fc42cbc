/**
 * The body of a request as it is handed on: all that has come by then in one
 * piece, so that a body of single bytes, in chunks or in frames, costs little
 * more than any other.
 * @module
 */
import { Readable } from 'node:stream';
import { HttpError } from '../errors.ts';
import { hasBody, type ServerExchange } from '../exchange.ts';
import { fieldValue } from '../fields/headers.ts';
import { WholeBody } from '../http1/whole-body.ts';

/**
 * The request's body, or `undefined` when it has none (RFC 9112, section 6).
 * One that turns out longer than `maxBytes` breaks off with `body_too_large`.
 *
 * @throws {HttpError} `body_too_large` when its length says so already.
 */
export function requestBody(exchange: ServerExchange, maxBytes: number): Readable | undefined {
  const { body, headers } = exchange;
  if (body === undefined || !hasBody(headers)) return undefined;
  const length = fieldValue(headers, 'content-length');
  if (length !== undefined && Number(length) > maxBytes) throw new HttpError('body_too_large');
  if (body instanceof WholeBody) {
    if (body.bytes.length > maxBytes) throw new HttpError('body_too_large');
    return body;
  }
  // RFC 9110, section 10.1.1: in a request of HTTP/1.0 it is to be ignored.
  if (fieldValue(headers, 'expect')?.toLowerCase() === '100-continue') exchange.interim(100, []);
  return new ArrivingBody(body, maxBytes, () => exchange.discardBody());
}

class ArrivingBody extends Readable {
  readonly #source: Readable;
  readonly #discard: () => void;
  readonly #maxBytes: number;
  #bytes = 0;
  #isWanted = false;

  /** @param drop - Gives up what has not been read. */
  constructor(source: Readable, maxBytes: number, drop: () => void) {
    super();
    this.#source = source;
    this.#discard = drop;
    this.#maxBytes = maxBytes;
    this.on('error', ignore); // its reader gets it as well
    source.once('error', (error) => this.destroy(error));
    source.once('aborted', () => this.destroy(new HttpError('client_closed', 'the visitor left while sending')));
    source.once('end', () => this.push(null));
    source.on('readable', this.#take);
  }

  override _read(): void {
    this.#isWanted = true;
    this.#take();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#source.off('readable', this.#take);
    if (error !== null) this.#discard();
    done(error);
  }

  readonly #take = (): void => {
    if (!this.#isWanted || this.destroyed) return;
    // Without a length, a single piece of what has come would be read.
    const piece = this.#source.read(this.#source.readableLength || undefined) as Buffer | null;
    if (piece === null) return;
    this.#isWanted = false;
    this.#bytes += piece.length;
    if (this.#bytes > this.#maxBytes) this.destroy(new HttpError('body_too_large'));
    else this.push(piece);
  };
}

function ignore(): void {
  // there may be no reader
}
