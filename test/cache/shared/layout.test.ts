/** Sizes of shared memory: parts that do not overlap, and what can be led to by 32 bits. */
import fc from 'fast-check';
import { test } from 'tap';
import {
  CLAIM_WORDS,
  MAX_DATA_BYTES,
  makeSharedMemory,
  partsOf,
  pinWords,
  RESERVE,
  ROW_WORDS,
  type Shape,
  SLAB_WORDS,
  UNIT,
} from '../../../cache/shared/layout.ts';

const KIB = 1024;
const LINE_WORDS = 16;

/** Memory as it would be, without any being reserved: only sizes are looked at. */
const shapes = fc.record({
  maxBytes: fc.integer({ min: 1, max: 4096 * KIB }),
  threads: fc.integer({ min: 1, max: 9 }),
});

function isPowerOfTwo(number: number): boolean {
  return number >= 1 && Math.log2(number) % 1 === 0;
}

test('parts begin at lines of their own, in order, and none reaches into the next', async (t) => {
  fc.assert(
    fc.property(shapes, (options) => {
      const { shape, control } = makeSharedMemory(options);
      const { words, ...parts } = partsOf(shape);
      const starts = Object.values(parts).sort((x, y) => x - y);
      if (starts.some((at) => at % LINE_WORDS !== 0)) throw new Error('a line is shared');
      if (new Set(starts).size !== starts.length) throw new Error('two parts begin at one place');
      const end = (at: number): number => starts.find((start) => start > at) ?? words;
      const needs: [number, number][] = [
        [parts.pins, shape.threads * pinWords(shape)],
        [parts.history, shape.history],
        [parts.buckets, 2 * shape.buckets],
        [parts.rows, shape.rows * ROW_WORDS],
        [parts.slabs, shape.slabs * SLAB_WORDS],
        [parts.claims, shape.claims * CLAIM_WORDS],
      ];
      for (const [at, length] of needs) if (at + length > end(at)) throw new Error(`${at} + ${length}`);
      if (control.byteLength !== words * 4) throw new Error('words');
    }),
    { numRuns: 50 },
  );
  t.pass();
});

test('what is masked is a power of two, and each thread can have a slab besides', async (t) => {
  fc.assert(
    fc.property(shapes, (options) => {
      const { shape, data } = makeSharedMemory(options);
      for (const number of [shape.buckets, shape.claims, shape.slabBytes]) {
        if (!isPowerOfTwo(number)) throw new Error(`${number}`);
      }
      if (shape.slabs * shape.slabBytes < RESERVE * options.maxBytes + options.threads * shape.slabBytes) {
        throw new Error('too few slabs');
      }
      if (data.byteLength !== shape.slabs * shape.slabBytes) throw new Error('data');
      if (pinWords(shape) < shape.slabs) throw new Error('pins');
    }),
    { numRuns: 50 },
  );
  t.pass();
});

test('a slab is between 4 and 256 KiB, and a 64th of memory in between', async (t) => {
  for (const { maxBytes, slabBytes } of [
    { maxBytes: 1, slabBytes: 4 * KIB },
    { maxBytes: 512 * KIB, slabBytes: 8 * KIB },
    { maxBytes: 1023 * KIB, slabBytes: 8 * KIB },
    { maxBytes: 64 * KIB * KIB, slabBytes: 256 * KIB },
  ]) {
    t.equal(makeSharedMemory({ maxBytes, threads: 1 }).shape.slabBytes, slabBytes, `${maxBytes}`);
  }
});

test('however large the store is, the last place is a positive integer of 32 bits', async (t) => {
  const { shape, data } = makeSharedMemory({ maxBytes: 64 * 2 ** 30, threads: 2 });
  t.ok(data.byteLength / UNIT < 2 ** 31, `${data.byteLength}`);
  t.ok(data.byteLength >= Math.min(MAX_DATA_BYTES, data.byteLength));
  t.ok(shape.slabs * shape.slabBytes >= MAX_DATA_BYTES);
});

test('parts depend on the shape alone: all threads find the same places', async (t) => {
  const { shape } = makeSharedMemory({ maxBytes: 100 * KIB, threads: 3 });
  t.same(partsOf(shape), partsOf(structuredClone(shape) as Shape));
});
