/** The index against a Map, with hashes that collide in their places. */
import fc from 'fast-check';
import { test } from 'tap';
import { DiskIndex } from '../../../cache/disk/disk-index.ts';

// Few homes, around the end of a shard as well.
const hash = fc
  .record({ low: fc.constantFrom(0, 1, -1, -2, 0x7fffffff, -0x80000000), more: fc.nat(40), shard: fc.nat(2) })
  .map(({ low, more, shard }) => ({ low: (low + more * 50_000_000) | 0, high: (shard << 26) | more }));

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('set'),
      hash,
      segment: fc.constantFrom(0, 1, 65_535),
      start: fc.nat(0xfffff).map((units) => units * 64),
      bytes: fc.integer({ min: 1, max: 0xfffff }).map((units) => units * 64),
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('delete'), hash }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('use'), hash }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('drain'), segment: fc.constantFrom(0, 1, 65_535) }) },
);

test('the index finds what a map finds, whatever collides and is removed', async (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400, size: 'max' }), (steps) => {
      const index = new DiskIndex();
      const model = new Map<string, { segment: number; start: number; bytes: number; isUsed: boolean }>();
      const nameOf = ({ low, high }: { low: number; high: number }): string => `${low} ${high}`;
      for (const one of steps) {
        switch (one.type) {
          case 'set': {
            const { segment, start, bytes } = one as Extract<typeof one, { bytes: number }>;
            index.set(one.hash, segment, start, bytes);
            model.set(nameOf(one.hash), { segment, start, bytes, isUsed: false });
            break;
          }
          case 'delete':
            index.delete(one.hash);
            model.delete(nameOf(one.hash));
            break;
          case 'use': {
            index.markUsed(one.hash);
            const entry = model.get(nameOf(one.hash));
            if (entry) entry.isUsed = true;
            break;
          }
          case 'drain':
            index.deleteSegment(one.segment);
            for (const [name, { segment }] of model) if (segment === one.segment) model.delete(name);
            break;
        }
        if ('hash' in one) t.same(index.get(one.hash), model.get(nameOf(one.hash)));
      }
      for (const [name, entry] of model) {
        const [low, high] = name.split(' ').map(Number) as [number, number];
        const found = index.get({ low, high });
        if (JSON.stringify(found) !== JSON.stringify(entry)) throw new Error(`${name}: ${JSON.stringify(found)}`);
      }
      return index.size === model.size;
    }),
    { numRuns: 300 },
  );
});

test('100,000 entries take no more than 26 bytes each', async (t) => {
  const index = new DiskIndex();
  let state = 1;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return Math.imul(state ^ (state >>> 15), 0x2c1b3c6d);
  };
  for (let i = 0; i < 100_000; i++) index.set({ low: random(), high: random() }, 1, 64 * i, 64);
  t.ok(index.size > 99_990);
  t.ok(index.bytes / index.size < 26, `${index.bytes / index.size} bytes`);
});
