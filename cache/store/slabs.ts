/**
 * Memory for many small records, in slabs of one size: a buffer of its own for
 * each would cost several hundred bytes, and the garbage collector's time.
 *
 * A slab is written from its beginning to its end. When more than a quarter of it
 * is of no use any more, the records that are still in use are moved to another
 * one, and it is written anew. So what is held is at most a third more than what
 * is in use, and each byte that goes costs three that are copied. No caller may
 * keep a view of a slab: what is in it can change with the next record that is stored.
 *
 * A record begins with two numbers of 32 bits: the row that it belongs to, and its length.
 * @module
 */

export const SLAB_BYTES: number = 256 * 1024;

/** A slab is at most this part of all memory, so that a small memory is not one slab. */
const PART_OF_ALL = 64;

/** A record that takes more than this part of a slab has one of its own. */
const PART_OF_SLAB = 8;

/** Below this it is worth while to move what is left. */
const LEAST_IN_USE = 0.75;

/**
 * Slabs that are kept to be used again soon, so that they are not left to the garbage collector, which takes its time.
 */
const MAX_SPARE = 4;

/** Overhead of a slab besides its bytes. */
const SLAB_COST = 512;

export interface Slab {
  readonly buffer: Buffer;
  readonly view: DataView;
}

interface OpenSlab extends Slab {
  /** Bytes that are written. */
  end: number;
  /** Bytes in use. */
  used: number;
}

/** Owner of the records, which is told when they move. */
export interface Owner {
  isAt(row: number, slab: number, offset: number): boolean;
  /** The record has been copied to another place. */
  moved(row: number, slab: number, offset: number): void;
}

export class Slabs {
  readonly #owner: Owner;
  readonly #slabs: (OpenSlab | undefined)[] = [];
  readonly #freeNumbers: number[] = [];
  #spare: Slab[] = [];
  /** Slabs that may have to be compacted. */
  readonly #sparse: number[] = [];
  #slabBytes = 0;
  /** The one that is being written, or -1. */
  #current = -1;
  #bytes = 0;
  /** Offset of the latest record in its slab. */
  offset = 0;

  constructor(owner: Owner, maxBytes: number) {
    this.#owner = owner;
    this.maxBytes = maxBytes;
  }

  /** Sets the memory budget of the whole store, from which the size of new slabs follows. */
  set maxBytes(maxBytes: number) {
    this.#slabBytes = Math.min(SLAB_BYTES, Math.floor(maxBytes / PART_OF_ALL));
    this.#spare = [];
  }

  /** Bytes that are held. */
  get bytes(): number {
    return this.#bytes;
  }

  at(number: number): Slab {
    return this.#slabs[number] as Slab;
  }

  /**
   * @param bytes - Of a record. @returns The slab's number; `offset` says where in it. The record must be written at
   * once.
   */
  allocate(bytes: number): number {
    this.offset = 0;
    if (bytes * PART_OF_SLAB > this.#slabBytes) return this.#add(bytes, bytes);
    const current = this.#slabs[this.#current];
    if (current === undefined || current.end + bytes > current.buffer.length) {
      if (current !== undefined) this.#sparse.push(this.#current);
      this.#current = this.#add(this.#slabBytes, bytes);
      return this.#current;
    }
    this.offset = current.end;
    current.end += bytes;
    current.used += bytes;
    return this.#current;
  }

  /** A record of so many bytes is not in use any more. `tidy` is to be called some time after it. */
  release(number: number, bytes: number): void {
    const slab = this.#slabs[number] as OpenSlab;
    slab.used -= bytes;
    if (slab.used === 0) this.#free(number);
    else if (number !== this.#current && isSparse(slab)) this.#sparse.push(number);
  }

  /** Moves what is left in slabs that are hardly used. */
  tidy(): void {
    for (let number = this.#sparse.pop(); number !== undefined; number = this.#sparse.pop()) {
      const slab = this.#slabs[number];
      if (slab !== undefined && number !== this.#current && isSparse(slab)) this.#empty(number, slab);
    }
  }

  #empty(number: number, { buffer, view, end }: OpenSlab): void {
    let bytes = 0;
    for (let at = 0; at < end; at += bytes) {
      const row = view.getInt32(at, true);
      bytes = view.getInt32(at + 4, true);
      if (!this.#owner.isAt(row, number, at)) continue;
      const to = this.allocate(bytes);
      const { offset } = this;
      buffer.copy(this.at(to).buffer, offset, at, at + bytes);
      this.#owner.moved(row, to, offset);
    }
    this.#free(number);
  }

  #add(slabBytes: number, used: number): number {
    const { buffer, view } = (slabBytes === this.#slabBytes ? this.#spare.pop() : undefined) ?? newSlab(slabBytes);
    const number = this.#freeNumbers.pop() ?? this.#slabs.length;
    this.#slabs[number] = { buffer, view, end: used, used };
    this.#bytes += slabBytes + SLAB_COST;
    return number;
  }

  #free(number: number): void {
    const { buffer, view } = this.#slabs[number] as OpenSlab;
    this.#bytes -= buffer.length + SLAB_COST;
    if (buffer.length === this.#slabBytes && this.#spare.length < MAX_SPARE) this.#spare.push({ buffer, view });
    this.#slabs[number] = undefined;
    this.#freeNumbers.push(number);
    if (this.#current === number) this.#current = -1;
  }
}

function newSlab(bytes: number): Slab {
  const buffer = Buffer.allocUnsafeSlow(bytes);
  return { buffer, view: new DataView(buffer.buffer) };
}

function isSparse({ used, buffer }: OpenSlab): boolean {
  return used < buffer.length * LEAST_IN_USE;
}
