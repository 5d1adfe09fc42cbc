/**
 * The seam between the engine and where responses are kept. Memory is the
 * first implementation; one contract suite (test/cache/store) runs against
 * every one.
 *
 * A key holds the variants of one resource (RFC 9111, section 4.1). A body is
 * a source of pieces, never assumed to be one Buffer.
 *
 * Protocol of a write: `begin`, any number of `append`, then `commit` and
 * `set`, and `abort` in any case. What `append` took is readable through the
 * buffer that it returned until then, and counts as memory in use.
 * @module
 */

import type { ByteRange } from '../../http/fields/range.ts';
import type { BodyReader } from '../../http/message.ts';
import type { StoredResponse } from '../stored-response.ts';
import type { KeyBytes } from './key-bytes.ts';

/**
 * A body was evicted before it was opened: by what this thread has stored since it was looked up, or at any moment by
 * another thread of a shared store. Its response is as good as not stored.
 */
export class EvictedError extends Error {
  constructor() {
    super('a stored body was evicted before it was opened');
  }
}

export interface StoredBody {
  /** Two of the same number are one body, however often it was looked up; never 0. */
  readonly id: number;
  /** Stored ranges, in order, disjoint; one range from 0 if the body is complete. */
  readonly ranges: readonly ByteRange[];
  /** Bytes that it costs. */
  readonly size: number;
  /**
   * The reader holds the body until it is closed or at its end.
   *
   * @param range - Must lie within one of `ranges`.
   * @throws {EvictedError} if it is not there any more. What has retained a body does not get it.
   */
  open(range: ByteRange): BodyReader;
  /**
   * It is referenced, and counts as memory in use until `release`, stored or not.
   *
   * @returns False if it is not there any more: then there is nothing to release.
   */
  retain(): boolean;
  release(): void;
}

export interface StoreWriter {
  /**
   * @param isLast - Whether `commit` or `abort` follows at once: then no copy is made of what shares memory with
   * others.
   * @returns The bytes as they are kept, or `undefined` when there is no room: the caller must then `abort`.
   */
  append(chunk: Buffer, isLast?: boolean): Buffer | undefined;
  /**
   * Memory of the body is in use until it is stored by `set`, or else until `abort`.
   *
   * @param start - Position of the first appended byte in the whole representation.
   */
  commit(start: number): StoredBody;
  /** True if what was appended is a copy, which `read` reads until `abort`: the appended bytes need not be held. */
  readonly isReadable?: boolean;
  /**
   * @param start - Position among the appended bytes.
   * @returns A copy, of which the caller has the reference (http/body/buffer-pool.ts).
   */
  read?(start: number, end: number): Buffer;
  /** Gives the room back, after `commit` that of a body which is neither stored nor retained. Idempotent. */
  abort(): void;
}

export interface Store {
  /** @returns The variants of the key, most recently stored first; empty when there are none. */
  get(key: string | KeyBytes): readonly StoredResponse[];
  /** Returns whether anything is stored under the key; does not count as a use. */
  has(key: string): boolean;
  /** Replaces the variants of the key. None, or more bytes than there is room for: the key goes. */
  set(key: string, variants: readonly StoredResponse[]): void;
  delete(key: string): void;
  /** Does something at once in which no other thread changes what is stored: reads responses, and replaces them. */
  exclusively<T>(action: () => T): T;
  /** @returns A writer, or `undefined` when `expectedBytes` cannot fit. */
  begin(expectedBytes: number): StoreWriter | undefined;
  /** Joins bodies of one representation; overlapping bytes are kept once (RFC 9111, section 3.4). */
  combine(first: StoredBody, second: StoredBody): StoredBody;
  entries(): IterableIterator<readonly [key: string, variants: readonly StoredResponse[]]>;
  /** Bytes in use: bodies, headers, overhead, writes under way, and bodies that are stored no more, but read still. */
  readonly bytesInUse: number;
  /** Gives it more or less room; what does not fit any more is evicted. */
  resize(maxBytes: number): void;
  readonly maxBytes: number;
  /** Called with what is looked up again within a while of its first lookup; seldom, compared with lookups. */
  onReused?: ((key: string, variants: readonly StoredResponse[]) => void) | undefined;
  /** Keys held. */
  readonly size: number;
}
