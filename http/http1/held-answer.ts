/**
 * An answer that waits for its turn, behind those to requests that came before it on its connection: what was written
 * of it, and what is to follow.
 * @module
 */
import type { RawHeaders } from '../fields/headers.ts';

/** Bytes of a body that are taken before the answer's turn. */
const HELD_BYTES = 16 * 1024;

export class HeldAnswer {
  readonly pieces: Buffer[] = [];
  #bytes = 0;
  isFlushed = false;
  /** Present once the answer is complete. */
  trailers: RawHeaders | undefined;
  /** True once it has broken off. */
  isBroken = false;
  onDrain: (() => void) | undefined;

  /** @returns Whether there is room for more. */
  write(piece: Buffer): boolean {
    this.pieces.push(piece);
    this.#bytes += piece.length;
    return this.#bytes < HELD_BYTES;
  }
}
