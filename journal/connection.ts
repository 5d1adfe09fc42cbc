/**
 * Takes what an iteration brings, and can be told to stop waiting: the
 * iteration may never answer again, not even to its end.
 * @module
 */
import { JournalError } from './errors.ts';

export class Connection {
  readonly #messages: AsyncIterator<unknown>;
  #ended: Error | undefined;
  #reject: (reason: Error) => void = () => undefined;

  /** @param signal - Ends it when it aborts. */
  constructor(messages: AsyncIterable<unknown>, signal: AbortSignal) {
    this.#messages = messages[Symbol.asyncIterator]();
    signal.addEventListener('abort', () => this.#close(), { once: true });
    if (signal.aborted) this.#close();
  }

  /** @throws (rejects) when there is no further one, or the connection was given up. */
  next(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#ended) {
        reject(this.#ended);
        return;
      }
      this.#reject = reject;
      this.#messages
        .next()
        .then(({ done, value }) => (done ? reject(new JournalError('journal_ended')) : resolve(value)), reject);
    });
  }

  /** Rejects the pending `next` with the error. */
  giveUp(error: Error): void {
    this.#ended ??= error;
    this.#reject(error);
  }

  #close(): void {
    this.giveUp(new JournalError('journal_ended'));
    const end = async (): Promise<unknown> => this.#messages.return?.();
    end().catch(() => undefined); // the outcome of an abandoned iteration does not matter
  }
}
