/**
 * Log lines of which there may be thousands a second: the first one is written
 * at once, those within a second after it as one, with their number.
 * @module
 */

const SECOND_MS = 1_000;

interface Counted {
  count: number;
  /** Writes the last of them. */
  write: (count: number) => void;
}

export class Repeated {
  readonly #counted = new Map<string, Counted>();

  /**
   * @param kind - Lines of one kind are counted together; there are few kinds.
   * @param write - Writes the line, for as many as it stands for; called now, later, or never.
   */
  note(kind: string, write: (count: number) => void): void {
    const counted = this.#counted.get(kind);
    if (counted !== undefined) {
      counted.count++;
      counted.write = write;
      return;
    }
    write(1);
    this.#wait(kind);
  }

  #wait(kind: string): void {
    const counted: Counted = { count: 0, write: () => undefined };
    this.#counted.set(kind, counted);
    setTimeout(() => {
      this.#counted.delete(kind);
      if (counted.count === 0) return;
      counted.write(counted.count);
      this.#wait(kind);
    }, SECOND_MS).unref();
  }
}
