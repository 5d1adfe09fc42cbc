/**
 * Loads of `npm run bench:memory`.
 * @module
 */

export interface Load {
  readonly name: string;
  readonly what: string;
  readonly connections: number;
  /** For this long requests go on, or slow readers read. */
  readonly seconds: number;
  readonly kind: 'mixed' | 'misses' | 'slow' | 'uploads';
  /** Bytes of each object, or upload. */
  readonly bytes: number;
  /** Number of different objects. */
  readonly objects: number;
}

const MB = 1_000_000;

export const LOADS: readonly Load[] = [
  {
    name: 'mixed',
    what: '64 visitors at full speed, 3,000 objects of 1 KB to 30 MB',
    kind: 'mixed',
    connections: 64,
    seconds: 12,
    bytes: 30 * MB,
    objects: 3_000,
  },
  {
    name: 'misses',
    what: '2,000 misses of 5 MB at once',
    kind: 'misses',
    connections: 2_000,
    seconds: 0,
    bytes: 5 * MB,
    objects: 2_000,
  },
  {
    name: 'slow-many',
    what: '300 slow readers of 300 objects of 20 MB',
    kind: 'slow',
    connections: 300,
    seconds: 12,
    bytes: 20 * MB,
    objects: 300,
  },
  {
    name: 'slow-one',
    what: '3,000 slow readers of one object of 20 MB',
    kind: 'slow',
    connections: 3_000,
    seconds: 12,
    bytes: 20 * MB,
    objects: 1,
  },
  {
    name: 'uploads',
    what: '2 uploads of 1 GB at once',
    kind: 'uploads',
    connections: 2,
    seconds: 0,
    bytes: 1_000 * MB,
    objects: 2,
  },
];

const LEAST_BYTES = 1_000;

/** @returns Bytes of object number `index`: spread evenly over the magnitudes from 1 KB on. */
export function mixedBytes(index: number, { bytes, objects }: Load): number {
  return Math.round(LEAST_BYTES * (bytes / LEAST_BYTES) ** (((index * 1_009) % objects) / objects));
}
