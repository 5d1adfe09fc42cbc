/**
 * Slabs in shared memory: records are written one behind the other. A slab of which more than a quarter is of no use
 * any more is emptied: what is left is moved to another one, and it is free. One that a thread has pinned is left alone
 * until it is not.
 *
 * All is called with the lock of the store. USED, the bytes of a slab's records, follows from the rows; so does which
 * slabs are free. END is stored behind a record's header: what lies before it can be walked, whatever happens.
 * @module
 */
import { BYTES, ROW } from '../store/record.ts';
import { CURRENT, FREE_SLAB, HELD, type Parts, type Shape, SLAB_COUNT, SLAB_WORDS, TOUCHED, UNIT } from './layout.ts';
import type { SharedData } from './shared-data.ts';
import type { Threads } from './threads.ts';

/** Fields of a slab. */
const [USED, END, NEXT_FREE] = [0, 1, 2] as const;

export const NO_PLACE = -1;

/** A slab is emptied when less than this is left in it. */
const LEAST_IN_USE = 0.75;

/** Greatest part of a slab that a record may take, so that little is left at its end. */
const PART_OF_SLAB = 4;

/** Rows of the records, as the slabs need them. */
export interface RecordOwner {
  isAt(row: number, place: number): boolean;
  /** The record has been copied. */
  moved(row: number, place: number): void;
}

export class SharedSlabs {
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #header: number;
  readonly #data: SharedData;
  readonly #shape: Shape;
  readonly #threads: Threads;
  readonly #owner: RecordOwner;
  /** Slabs that may have to be emptied. */
  readonly #sparse: number[] = [];

  constructor(
    words: Int32Array,
    parts: Parts,
    shape: Shape,
    { data, threads, owner }: { data: SharedData; threads: Threads; owner: RecordOwner },
  ) {
    this.#words = words;
    this.#at = parts.slabs;
    this.#header = parts.header;
    this.#data = data;
    this.#shape = shape;
    this.#threads = threads;
    this.#owner = owner;
  }

  get maxRecordBytes(): number {
    return this.#shape.slabBytes / PART_OF_SLAB;
  }

  get slabBytes(): number {
    return this.#shape.slabBytes;
  }

  /** Bytes that are left in the slab that is written. */
  get rest(): number {
    const slab = this.#current;
    return slab < 0 ? 0 : this.#shape.slabBytes - this.#get(slab, END);
  }

  /** Bytes by which `bytes` grows when a record of so many is allocated. */
  growthBy(bytes: number): number {
    return bytes + UNIT - 1 < this.rest ? 0 : this.#shape.slabBytes;
  }

  /** Bytes of slabs that are not free. */
  get bytes(): number {
    return Atomics.load(this.#words, this.#header + HELD) * this.#shape.slabBytes;
  }

  /** Bytes of slabs that a thread has pinned. */
  get pinnedBytes(): number {
    let count = 0;
    for (let slab = 0; slab < (this.#words[this.#header + SLAB_COUNT] as number); slab++) {
      if (this.#get(slab, END) > 0 && this.#threads.isPinned(slab)) count++;
    }
    return count * this.#shape.slabBytes;
  }

  slabOf(place: number): number {
    return Math.floor((place * UNIT) / this.#shape.slabBytes);
  }

  /** @param bytes - At most `maxRecordBytes`. @returns The place, of which row and bytes are written; or `NO_PLACE`. */
  allocate(bytes: number, row: number): number {
    const rounded = Math.ceil(bytes / UNIT) * UNIT;
    let slab = this.#current;
    if (slab < 0 || this.#get(slab, END) + rounded > this.#shape.slabBytes) {
      if (slab >= 0) this.#sparse.push(slab);
      slab = this.#take();
      this.#current = slab;
      if (slab < 0) return NO_PLACE;
    }
    const end = this.#get(slab, END);
    const at = slab * this.#shape.slabBytes + end;
    this.#data.view.setInt32(at + ROW, row, true);
    this.#data.view.setInt32(at + BYTES, rounded, true);
    this.#set(slab, END, end + rounded);
    this.#set(slab, USED, this.#get(slab, USED) + rounded);
    return at / UNIT;
  }

  /** The record there is not in use any more. `tidy` is to be called some time after it. */
  release(place: number): void {
    const slab = this.slabOf(place);
    this.#set(slab, USED, this.#get(slab, USED) - this.bytesAt(place));
    this.#sparse.push(slab);
  }

  bytesAt(place: number): number {
    return this.#data.view.getInt32(place * UNIT + BYTES, true);
  }

  /** Returns whether the record at a place is of this row. */
  isOf(place: number, row: number): boolean {
    return this.#data.view.getInt32(place * UNIT + ROW, true) === row;
  }

  /** Moves what is left in slabs that are hardly used. */
  tidy(): void {
    for (let slab = this.#sparse.pop(); slab !== undefined; slab = this.#sparse.pop()) this.settle(slab);
  }

  /** Returns whether something is to be done in a slab that is not pinned any more; without the lock. */
  isSparse(slab: number): boolean {
    const [end, used] = [Atomics.load(this.#words, this.#field(slab, END)), this.#load(slab, USED)];
    return end > 0 && (used === 0 || (used < this.#shape.slabBytes * LEAST_IN_USE && slab !== this.#current));
  }

  /** Empties a slab, if that is worth while and it is not pinned. */
  settle(slab: number): void {
    if (!this.isSparse(slab) || this.#threads.isPinned(slab)) return;
    // A reader pins, then checks that the record is where it was: one that pinned it meanwhile is seen here.
    if (this.#get(slab, USED) > 0 && (!this.#empty(slab) || this.#threads.isPinned(slab))) return;
    if (slab === this.#current) this.#current = -1;
    this.#set(slab, END, 0);
    this.#set(slab, NEXT_FREE, this.#words[this.#header + FREE_SLAB] as number);
    this.#words[this.#header + FREE_SLAB] = slab + 1;
    Atomics.sub(this.#words, this.#header + HELD, 1);
  }

  /** Makes anew what follows from rows. @param places - Of all records. */
  repair(places: Iterable<number>): void {
    const { slabs } = this.#shape;
    this.#current = -1;
    this.#words[this.#header + FREE_SLAB] = 0;
    this.#words[this.#header + SLAB_COUNT] = slabs;
    for (let slab = 0; slab < slabs; slab++) this.#set(slab, USED, 0);
    for (const place of places) {
      const slab = this.slabOf(place);
      this.#set(slab, USED, this.#get(slab, USED) + this.bytesAt(place));
    }
    let held = 0;
    for (let slab = slabs - 1; slab >= 0; slab--) {
      if (this.#get(slab, END) > 0 && (this.#get(slab, USED) > 0 || this.#threads.isPinned(slab))) {
        held++;
        this.#sparse.push(slab);
        continue;
      }
      this.#set(slab, END, 0);
      this.#set(slab, NEXT_FREE, this.#words[this.#header + FREE_SLAB] as number);
      this.#words[this.#header + FREE_SLAB] = slab + 1;
    }
    Atomics.store(this.#words, this.#header + HELD, held);
    this.tidy();
  }

  /** @returns The number of a slab that is free, or -1. */
  #take(): number {
    let slab = (this.#words[this.#header + FREE_SLAB] as number) - 1;
    if (slab >= 0) this.#words[this.#header + FREE_SLAB] = this.#get(slab, NEXT_FREE);
    else {
      slab = this.#words[this.#header + SLAB_COUNT] as number;
      if (slab === this.#shape.slabs) return -1;
      this.#words[this.#header + SLAB_COUNT] = slab + 1;
    }
    Atomics.add(this.#words, this.#header + HELD, 1);
    const touched = this.#header + TOUCHED;
    if (slab >= (this.#words[touched] as number)) Atomics.store(this.#words, touched, slab + 1);
    return slab;
  }

  /** @returns False if there is no room for what is left. */
  #empty(slab: number): boolean {
    const { view, buffer } = this.#data;
    const start = slab * this.#shape.slabBytes;
    const end = start + this.#get(slab, END);
    let bytes = 0;
    for (let at = start; at < end; at += bytes) {
      const row = view.getInt32(at + ROW, true);
      bytes = view.getInt32(at + BYTES, true);
      if (!this.#owner.isAt(row, at / UNIT)) continue;
      const place = this.allocate(bytes, row);
      if (place === NO_PLACE) return false;
      buffer.copyWithin(place * UNIT, at, at + bytes);
      this.#owner.moved(row, place);
      this.#set(slab, USED, this.#get(slab, USED) - bytes);
    }
    return true;
  }

  get #current(): number {
    return (Atomics.load(this.#words, this.#header + CURRENT) as number) - 1;
  }

  set #current(slab: number) {
    Atomics.store(this.#words, this.#header + CURRENT, slab + 1);
  }

  #get(slab: number, field: number): number {
    return this.#words[this.#field(slab, field)] as number;
  }

  #load(slab: number, field: number): number {
    return Atomics.load(this.#words, this.#field(slab, field));
  }

  #set(slab: number, field: number, value: number): void {
    Atomics.store(this.#words, this.#field(slab, field), value);
  }

  #field(slab: number, field: number): number {
    return this.#at + slab * SLAB_WORDS + field;
  }
}
