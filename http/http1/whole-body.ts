/**
 * A body that is there as a whole. The client upstream takes its bytes at once; for other readers it is a stream of one
 * piece.
 * @module
 */
import { Readable } from 'node:stream';

export class WholeBody extends Readable {
  #bytes: Buffer;
  #onRelease: (() => void) | undefined;

  constructor(bytes: Buffer) {
    super();
    this.#bytes = bytes;
  }

  /** Its bytes; none once it is destroyed. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  /** @param onRelease - Called once, when the bytes are not needed any more. */
  heldBy(onRelease: () => void): void {
    this.#onRelease = onRelease;
  }

  override _read(): void {
    if (this.#bytes.length > 0) this.push(this.#bytes);
    this.push(null);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const release = this.#onRelease;
    this.#bytes = NOTHING;
    this.#onRelease = undefined;
    release?.();
    done(error);
  }
}

const NOTHING = Buffer.alloc(0);
