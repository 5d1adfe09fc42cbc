/**
 * Something that is done once, however often it is asked for.
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
