/**
 * Event streams (`text/event-stream`) in delivery: they have no end of their own, so they are ended when the node
 * drains. Their clients connect again by themselves (HTML, section 9.2), and reach another node.
 * @module
 */
import { firstLine } from '../http/fields/headers.ts';
import type { BodyReader, ResponseHead } from '../http/message.ts';

export class EventStreams {
  readonly #open = new Set<EndableReader>();
  #isEnded = false;

  /** Returns the reader to deliver: of an event stream, one that `end` ends. */
  reader({ headers }: ResponseHead, body: BodyReader | undefined): BodyReader | undefined {
    if (body === undefined || firstLine(headers, 'content-type')?.startsWith('text/event-stream') !== true) return body;
    const reader = new EndableReader(body, () => this.#open.delete(reader));
    this.#open.add(reader);
    if (this.#isEnded) reader.end();
    return reader;
  }

  /** Ends those that are open, and those that begin later at once. */
  end(): void {
    this.#isEnded = true;
    for (const reader of [...this.#open]) reader.end();
  }
}

/** Reader of a body that can be ended before its end. */
class EndableReader implements BodyReader {
  readonly #reader: BodyReader;
  readonly #onClose: () => void;
  #isEnded = false;
  /** Ends a wait for the next piece. */
  #endWait: ((end: null) => void) | undefined;

  constructor(reader: BodyReader, onClose: () => void) {
    this.#reader = reader;
    this.#onClose = onClose;
  }

  next(): Buffer | null | Promise<Buffer | null> {
    if (this.#isEnded) return null;
    const piece = this.#reader.next();
    if (!(piece instanceof Promise)) return piece;
    return new Promise((resolve, reject) => {
      this.#endWait = resolve;
      piece.then(resolve, reject);
    });
  }

  end(): void {
    this.#isEnded = true;
    this.#endWait?.(null);
  }

  release(): void {
    this.#reader.release?.();
  }

  close(): void {
    this.#onClose();
    this.#reader.close();
  }
}
