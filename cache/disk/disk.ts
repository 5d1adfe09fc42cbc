/**
 * The seam between the engine and what is stored beside memory. What is on disk is what the memory of this node, or of
 * the process before it, had stored: a response comes back through memory, with its stamp, and is then looked up like
 * any other (rules 4 and 9 of docs/purging.md).
 * @module
 */
import type { StoredResponse } from '../stored-response.ts';

export interface DiskStore {
  /**
   * Brings into memory what is stored under a key that memory has nothing of.
   *
   * @returns `undefined` at once if there is nothing; otherwise whether memory has it now. Never rejects.
   */
  lookup(key: string): Promise<boolean> | undefined;
  /** Responses of the key have been used again, unchanged: they are worth to be stored. */
  put(key: string, variants: readonly StoredResponse[]): void;
  /** Memory is about to have other responses of the key than before: `replace` follows. */
  replacing(key: string): void;
  /** Memory has other responses of the key than before: those that are stored are not used any more. */
  replace(key: string, variants: readonly StoredResponse[]): void;
  /**
   * Removes the responses of the key, so that no later lookup or process finds them; before they are removed from
   * memory.
   */
  remove(key: string): void;
  /** Resolves when what is to be written has been handed to the system. */
  close(): Promise<void>;
}
