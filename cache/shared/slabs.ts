/**
 * Slabs of a shard: records are written one behind the other. When there is no free one, the emptiest is written anew,
 * after what is left in it has been moved. A slab that a reader has pinned is left alone until it is not.
 *
 * All is called with the shard's lock. USED, the bytes of a slab's records, follows from the rows; so does which slabs
 * are free, so that a repair only has to count. END is stored behind a record's header: what lies before it can be
 * walked, whatever happens.
 * @module
 */
import { CURRENT, type Shape, SLAB_WORDS, UNIT, UNIT_WORDS } from './layout.ts';
import { BYTES, type Data, ROW } from './record.ts';
import type { Threads } from './threads.ts';

/** Fields of a slab. */
const [USED, END] = [0, 1] as const;

export const NO_PLACE = -1;

/** A slab is written anew when no more than this is left in it. */
const LEAST_IN_USE = 0.75;

/** Greatest part of a slab that a record may take: it fits behind what is moved. */
const PART_OF_SLAB = 4;

/** Rows of the records, as the slabs need them. */
export interface RecordOwner {
  isAt(row: number, place: number): boolean;
  /** The record has been copied. */
  moved(row: number, place: number): void;
  /** Evicts a record. @returns False if there is none. */
  evict(): boolean;
}

export class SharedSlabs {
  readonly #control: Int32Array;
  readonly #at: number;
  readonly #headerAt: number;
  readonly #data: Data;
  /** Number of the first slab, over all shards. */
  readonly #first: number;
  readonly #shape: Shape;
  readonly #threads: Threads;
  readonly #owner: RecordOwner;

  constructor(options: {
    control: Int32Array;
    /** Index of the slabs' words, and of the shard's header. */
    at: number;
    headerAt: number;
    data: Data;
    first: number;
    shape: Shape;
    threads: Threads;
    owner: RecordOwner;
  }) {
    this.#control = options.control;
    this.#at = options.at;
    this.#headerAt = options.headerAt;
    this.#data = options.data;
    this.#first = options.first;
    this.#shape = options.shape;
    this.#threads = options.threads;
    this.#owner = options.owner;
  }

  get maxRecordBytes(): number {
    return this.#shape.slabBytes / PART_OF_SLAB;
  }

  /** @param bytes - A multiple of 8, at most `maxRecordBytes`. @returns The place, or `NO_PLACE`. */
  allocate(bytes: number, row: number): number {
    const current = this.#current;
    if (current >= 0 && this.#end(current) + bytes <= this.#shape.slabBytes) return this.#append(current, bytes, row);
    const slab = this.#withRoomFor(bytes);
    return slab < 0 ? NO_PLACE : this.#append(slab, bytes, row);
  }

  /** The record there is not in use any more. */
  release(place: number): void {
    this.#addUsed(this.slabOf(place) - this.#first, -this.#bytesAt(place));
  }

  /** @returns The slab's number, over all shards. */
  slabOf(place: number): number {
    return Math.floor((place * UNIT) / this.#shape.slabBytes);
  }

  /** Bytes of slabs that are not free. */
  get bytes(): number {
    let count = 0;
    for (let slab = 0; slab < this.#shape.slabs; slab++) if (this.#end(slab) > 0) count++;
    return count * this.#shape.slabBytes;
  }

  /** Forgets which records there are; `count` is called for each that remains. */
  clear(): void {
    for (let slab = 0; slab < this.#shape.slabs; slab++) this.#set(slab, USED, 0);
    this.#current = -1;
  }

  count(place: number): void {
    this.#addUsed(this.slabOf(place) - this.#first, this.#bytesAt(place));
  }

  #append(slab: number, bytes: number, row: number): number {
    const end = this.#end(slab);
    const place = ((this.#first + slab) * this.#shape.slabBytes + end) / UNIT;
    const word = place * UNIT_WORDS;
    this.#data.words[word + ROW] = row;
    this.#data.words[word + BYTES] = bytes;
    this.#set(slab, END, end + bytes);
    this.#addUsed(slab, bytes);
    return place;
  }

  /** Makes a slab with room the one that is written. @returns Its number, or -1. */
  #withRoomFor(bytes: number): number {
    for (;;) {
      const { first, count } = this.#free();
      if (count > 1) {
        this.#current = first;
        return first;
      }
      // The last one is where records of another slab are moved to, of which there are few enough.
      const from = count === 1 ? this.#emptiest() : -1;
      if (from >= 0) {
        this.#current = first;
        this.#move(from, first);
        if (this.#end(first) + bytes <= this.#shape.slabBytes) return first;
      } else if (!this.#owner.evict()) return -1;
    }
  }

  /** Free slabs; one whose records are gone is free as soon as no reader has pinned it. */
  #free(): { first: number; count: number } {
    let first = -1;
    let count = 0;
    for (let slab = 0; slab < this.#shape.slabs; slab++) {
      if (this.#control[this.#field(slab, USED)] !== 0) continue;
      if (this.#end(slab) > 0) {
        if (this.#threads.isPinned(this.#first + slab)) continue;
        this.#set(slab, END, 0);
      }
      if (first < 0) first = slab;
      count++;
    }
    return { first, count };
  }

  /** @returns The slab that is worth to be emptied, or -1. */
  #emptiest(): number {
    let found = -1;
    let least = this.#shape.slabBytes * LEAST_IN_USE;
    for (let slab = 0; slab < this.#shape.slabs; slab++) {
      const used = this.#control[this.#field(slab, USED)] as number;
      if (used === 0 || used > least || this.#threads.isPinned(this.#first + slab)) continue;
      found = slab;
      least = used;
    }
    return found;
  }

  #move(from: number, to: number): void {
    const { words, bytes } = this.#data;
    const start = (this.#first + from) * this.#shape.slabBytes;
    const end = start + this.#end(from);
    let length = 0;
    for (let at = start; at < end; at += length) {
      const row = words[at / 4 + ROW] as number;
      length = words[at / 4 + BYTES] as number;
      if (!this.#owner.isAt(row, at / UNIT)) continue;
      const place = this.#append(to, length, row);
      bytes.copyWithin(place * UNIT, at, at + length);
      this.#owner.moved(row, place);
      this.#addUsed(from, -length);
    }
  }

  #bytesAt(place: number): number {
    return this.#data.words[place * UNIT_WORDS + BYTES] as number;
  }

  get #current(): number {
    return (this.#control[this.#headerAt + CURRENT] as number) - 1;
  }

  set #current(slab: number) {
    this.#control[this.#headerAt + CURRENT] = slab + 1;
  }

  #end(slab: number): number {
    return this.#control[this.#field(slab, END)] as number;
  }

  #addUsed(slab: number, bytes: number): void {
    Atomics.add(this.#control, this.#field(slab, USED), bytes);
  }

  #set(slab: number, field: number, value: number): void {
    Atomics.store(this.#control, this.#field(slab, field), value);
  }

  #field(slab: number, field: number): number {
    return this.#at + slab * SLAB_WORDS + field;
  }
}
