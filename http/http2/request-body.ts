/**
 * The body of a request as it arrives on a stream. The other side may send more
 * as far as what it has sent is read (RFC 9113, section 5.2).
 * @module
 */
import { Readable } from 'node:stream';

export class RequestBody extends Readable {
  readonly #onTaken: (bytes: number) => void;
  /** Bytes that have come and the other side has not been told may be followed by others. */
  #owed = 0;
  #hasCome = false;

  /** @param onTaken - Told of bytes that have been read, or are dropped. */
  constructor(onTaken: (bytes: number) => void) {
    super();
    this.#onTaken = onTaken;
    this.on('error', ignore); // whoever reads it listens as well
  }

  /** True once all of it has arrived. */
  get hasCome(): boolean {
    return this.#hasCome;
  }

  /** @param bytes - The body's from now on. */
  receive(bytes: Buffer): void {
    this.#owed += bytes.length;
    if (this.push(bytes) || this.destroyed) this.#settle();
  }

  finish(): void {
    this.#hasCome = true;
    this.push(null);
  }

  override _read(): void {
    this.#settle();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#settle();
    done(error);
  }

  #settle(): void {
    const bytes = this.#owed;
    this.#owed = 0;
    if (bytes > 0) this.#onTaken(bytes);
  }
}

function ignore(): void {
  // nobody may be reading
}
