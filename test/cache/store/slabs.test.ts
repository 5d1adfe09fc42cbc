/** Slabs of records: a record stays what it was wherever it is moved, and the memory follows what is in use. */
import fc from 'fast-check';
import { test } from 'tap';
import { type Owner, Slabs } from '../../../cache/store/slabs.ts';

interface Kept {
  slab: number;
  offset: number;
  readonly bytes: number;
}

test('every record is where its owner was told last, whatever was stored and removed meanwhile', async (t) => {
  const step = fc.record({
    bytes: fc.oneof(
      fc.integer({ min: 8, max: 120 }),
      fc.integer({ min: 8, max: 900 }),
      fc.integer({ min: 900, max: 9_000 }),
    ),
    removes: fc.constantFrom(0, 0, 1, 1, 2),
    at: fc.nat(),
  });
  let moves = 0;
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 150, maxLength: 300 }),
      fc.constantFrom(64 * 1_024, 512 * 1_024),
      (steps, maxBytes) => {
        const kept = new Map<number, Kept>();
        const owner: Owner = {
          isAt: (row, slab, offset) => kept.get(row)?.slab === slab && kept.get(row)?.offset === offset,
          moved(row, slab, offset) {
            moves += 1;
            Object.assign(kept.get(row) ?? {}, { slab, offset });
          },
        };
        const slabs = new Slabs(owner, maxBytes);
        const check = (): void => {
          for (const [row, { slab, offset, bytes }] of kept) {
            const { view, buffer } = slabs.at(slab);
            t.equal(view.getInt32(offset, true), row);
            t.equal(view.getInt32(offset + 4, true), bytes);
            if (buffer.subarray(offset + 8, offset + bytes).some((byte) => byte !== row % 251))
              t.fail(`bytes of ${row}`);
          }
        };
        for (const [row, { bytes, removes, at }] of steps.entries()) {
          const slab = slabs.allocate(bytes);
          const { offset } = slabs;
          const { view, buffer } = slabs.at(slab);
          view.setInt32(offset, row, true);
          view.setInt32(offset + 4, bytes, true);
          buffer.fill(row % 251, offset + 8, offset + bytes);
          kept.set(row, { slab, offset, bytes });
          for (let i = 0; i < removes && kept.size > 0; i += 1) {
            const [gone, place] = [...kept][(at + i) % kept.size] as [number, Kept];
            kept.delete(gone);
            slabs.release(place.slab, place.bytes);
          }
          slabs.tidy();
          if (row % 50 === 0) check();
        }
        check();
        const used = [...kept.values()].reduce((sum, { bytes }) => sum + bytes, 0);
        const slabBytes = maxBytes / 64;
        // A third more than what is in use, one slab that is written, and the ends of slabs that a record did not fit.
        t.ok(slabs.bytes <= used * 1.6 + 2 * slabBytes + 600 * kept.size + 1_024, `${slabs.bytes} for ${used}`);
        for (const { slab, bytes } of kept.values()) slabs.release(slab, bytes);
        slabs.tidy();
        t.ok(slabs.bytes <= slabBytes + 512, `${slabs.bytes} bytes for nothing`);
      },
    ),
    { numRuns: 60 },
  );
  t.ok(moves > 100, `${moves} records were moved`);
});
