/**
 * Runs a function once, for all callers.
 * @module
 */

/** @returns The same promise at every call. */
export function once<T>(action: () => Promise<T>): () => Promise<T> {
  let done: Promise<T> | undefined;
  return () => {
    done ??= action();
    return done;
  };
}
