/**
 * Action between the requests of tests that run side by side: each request of a test but the first waits until it was
 * done since the one before. It is done when no request is in flight, for all tests that wait by then, and not
 * while there are tests that measure time, which never wait.
 * @module
 */

/** Pause until it is asked again whether tests that measure time are over. */
const POLL_MS = 50;

export class Between {
  readonly #action: () => Promise<void>;
  readonly #isTimed: () => boolean;
  /** Requests in flight, their bodies included. */
  #inFlight = 0;
  #waiting: (() => void)[] = [];
  #acting: Promise<void> | undefined;
  #poll: NodeJS.Timeout | undefined;

  /** @param isTimed - Returns whether a test that measures time has begun, and is not over. */
  constructor(action: () => Promise<void>, isTimed: () => boolean) {
    this.#action = action;
    this.#isTimed = isTimed;
  }

  /** @param isLater - Whether a request of the same test came before. @returns What is called when it is over. */
  async begin(isLater: boolean): Promise<() => void> {
    if (isLater) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.push(resolve);
      this.#act();
      await promise;
    }
    while (this.#acting !== undefined) await this.#acting;
    this.#inFlight++;
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#inFlight--;
      setImmediate(() => this.#act()); // a test that goes on at once is one of those that wait by then
    };
  }

  #act(): void {
    if (this.#inFlight > 0 || this.#waiting.length === 0 || this.#acting !== undefined) return;
    if (this.#isTimed()) {
      clearTimeout(this.#poll);
      this.#poll = setTimeout(() => this.#act(), POLL_MS);
      return;
    }
    const waiting = this.#waiting.splice(0);
    this.#acting = this.#action().then(() => {
      this.#acting = undefined;
      for (const go of waiting) go();
      this.#act();
    });
  }
}
