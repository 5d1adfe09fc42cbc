/**
 * Listeners of a journal: called with the newest number when there is a new one.
 * @module
 */
type Listener = (newest: number) => void;

export class Listeners {
  readonly #all = new Set<Listener>();

  /** @returns A function that ends the subscription. */
  add(listener: Listener): () => void {
    const entry: Listener = (newest) => listener(newest); // the same listener may subscribe twice
    this.#all.add(entry);
    return () => this.#all.delete(entry);
  }

  call(newest: number): void {
    for (const listener of this.#all) listener(newest);
  }

  clear(): void {
    this.#all.clear();
  }
}
