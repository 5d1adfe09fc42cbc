/**
 * Index of what is on disk, by hash of the key: 16 bytes an object in tables that are never fuller than 85 % and never
 * much emptier than 65 %, so 18 to 25 bytes. Numbers in SharedArrayBuffers, without an object for an entry.
 *
 * Divided into shards, so that growing moves few entries at a time. Collisions go to the next place; a removal moves
 * back those behind it. An entry:
 *
 * ```
 * word 0, 1   hash of the key
 * word 2      segment << 16 | high 16 bits of the start, in units
 * word 3      low 4 bits of the start << 28 | units << 8 | 2 in use | 1 read since it was written
 * ```
 *
 * Two keys of one hash have one entry, that of the later one: the reader of a record compares its key.
 * @module
 */
import { UNIT_BITS, type Word64 } from './format.ts';
import type { KeyFilter } from './key-filter.ts';

const SHARD_BITS = 6;
const SHARDS = 1 << SHARD_BITS;
const FIRST_PLACES = 64;
const MAX_LOAD = 0.85;
const GROWTH = 1.3;
const WORDS = 4;

const IN_USE = 2;
const READ = 1;

/** Segments that an entry can name. */
export const MAX_SEGMENTS: number = 1 << 16;

export interface Location {
  readonly segment: number;
  /** Position in the segment, in bytes. */
  readonly start: number;
  readonly bytes: number;
  /** True if it was read since it was written. */
  readonly isUsed: boolean;
}

interface Shard {
  words: Int32Array;
  places: number;
  size: number;
}

export class DiskIndex {
  readonly #shards: Shard[] = Array.from({ length: SHARDS }, () => emptyShard(FIRST_PLACES));
  #size = 0;
  /** Filter of the keys, for other threads. */
  #filter: KeyFilter | undefined;

  constructor(filter?: KeyFilter) {
    this.#filter = filter;
  }

  /** Leaves the filter to the next index. */
  close(): void {
    this.#filter = undefined;
  }

  /** Entries. */
  get size(): number {
    return this.#size;
  }

  /** Memory in use. */
  get bytes(): number {
    return this.#shards.reduce((sum, { words }) => sum + words.byteLength, 0);
  }

  get(hash: Word64): Location | undefined {
    const shard = this.#shardOf(hash);
    const place = find(shard, hash);
    return place < 0 ? undefined : locationAt(shard, place);
  }

  /** Puts the entry in the place of an earlier one of the same hash. */
  set(hash: Word64, segment: number, start: number, bytes: number): void {
    const shard = this.#shardOf(hash);
    let place = find(shard, hash);
    if (place < 0) {
      if (shard.size + 1 > shard.places * MAX_LOAD) grow(shard);
      place = freePlace(shard, hash.low);
      shard.size++;
      this.#size++;
      this.#filter?.add(hash);
    }
    const units = start >>> UNIT_BITS;
    const at = place * WORDS;
    shard.words[at] = hash.low;
    shard.words[at + 1] = hash.high;
    shard.words[at + 2] = (segment << 16) | (units >>> 4);
    shard.words[at + 3] = ((units & 15) << 28) | ((bytes >>> UNIT_BITS) << 8) | IN_USE;
  }

  markUsed(hash: Word64): boolean {
    const shard = this.#shardOf(hash);
    const place = find(shard, hash);
    if (place < 0) return false;
    shard.words[place * WORDS + 3] = (shard.words[place * WORDS + 3] as number) | READ;
    return true;
  }

  /** Returns whether the entry of the hash is the one at this place. */
  isAt(hash: Word64, segment: number, start: number): boolean {
    const location = this.get(hash);
    return location !== undefined && location.segment === segment && location.start === start;
  }

  delete(hash: Word64): void {
    const shard = this.#shardOf(hash);
    const place = find(shard, hash);
    if (place < 0) return;
    closeGap(shard, place);
    shard.size--;
    this.#size--;
    this.#filter?.remove(hash);
  }

  /** Removes the entries of a segment of which the rows are not known: looks at every entry. */
  deleteSegment(segment: number): void {
    for (const shard of this.#shards) {
      const hashes: Word64[] = [];
      for (let place = 0; place < shard.places; place++) {
        const at = place * WORDS;
        if (shard.words[at + 3] !== 0 && (shard.words[at + 2] as number) >>> 16 === segment)
          hashes.push({ low: shard.words[at] as number, high: shard.words[at + 1] as number });
      }
      for (const hash of hashes) this.delete(hash);
    }
  }

  clear(): void {
    for (let i = 0; i < SHARDS; i++) this.#shards[i] = emptyShard(FIRST_PLACES);
    this.#size = 0;
    this.#filter?.clear();
  }

  #shardOf({ high }: Word64): Shard {
    return this.#shards[high >>> (32 - SHARD_BITS)] as Shard;
  }
}

function emptyShard(places: number): Shard {
  return { words: new Int32Array(new SharedArrayBuffer(places * WORDS * 4)), places, size: 0 };
}

/** Place where a search begins. */
function homeOf(places: number, low: number): number {
  return Math.floor(((low >>> 0) * places) / 4_294_967_296);
}

/** @returns -1 if there is none. */
function find({ words, places }: Shard, { low, high }: Word64): number {
  let place = homeOf(places, low);
  for (;;) {
    const at = place * WORDS;
    if (words[at + 3] === 0) return -1;
    if (words[at] === low && words[at + 1] === high) return place;
    if (++place === places) place = 0;
  }
}

function freePlace({ words, places }: Shard, low: number): number {
  let place = homeOf(places, low);
  while (words[place * WORDS + 3] !== 0) if (++place === places) place = 0;
  return place;
}

function locationAt({ words }: Shard, place: number): Location {
  const [location, meta] = [words[place * WORDS + 2] as number, words[place * WORDS + 3] as number];
  return {
    segment: location >>> 16,
    start: (((location & 0xffff) << 4) | (meta >>> 28)) << UNIT_BITS,
    bytes: ((meta >>> 8) & 0xfffff) << UNIT_BITS,
    isUsed: (meta & READ) !== 0,
  };
}

function grow(shard: Shard): void {
  const larger = emptyShard(Math.ceil(shard.places * GROWTH) + 1);
  for (let at = 0; at < shard.words.length; at += WORDS) {
    if (shard.words[at + 3] === 0) continue;
    const to = freePlace(larger, shard.words[at] as number) * WORDS;
    for (let i = 0; i < WORDS; i++) larger.words[to + i] = shard.words[at + i] as number;
  }
  shard.words = larger.words;
  shard.places = larger.places;
}

/** Moves back what can be nearer to its home (Knuth, volume 3, section 6.4, algorithm R). */
function closeGap({ words, places }: Shard, gap: number): void {
  let hole = gap;
  for (let place = gap; ; ) {
    if (++place === places) place = 0;
    if (words[place * WORDS + 3] === 0) break;
    const home = homeOf(places, words[place * WORDS] as number);
    // It stays if its home is behind the hole, and not behind itself, around the end.
    const stays = hole <= place ? hole < home && home <= place : hole < home || home <= place;
    if (stays) continue;
    words.copyWithin(hole * WORDS, place * WORDS, (place + 1) * WORDS);
    hole = place;
  }
  words.fill(0, hole * WORDS, (hole + 1) * WORDS);
}
