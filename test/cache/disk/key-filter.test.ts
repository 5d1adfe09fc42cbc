/** The filter of the keys on disk, as threads see it that do not have the index. */
import fc from 'fast-check';
import { test } from 'tap';
import { DiskIndex } from '../../../cache/disk/disk-index.ts';
import { KeyFilter } from '../../../cache/disk/key-filter.ts';
import { KeyHash } from '../../../cache/disk/key-hash.ts';

const SECRET = Buffer.alloc(16, 7);

test('a key that the index has is never missed, and hardly any other is found', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.record({ key: fc.nat(400), isRemoved: fc.boolean() }), { maxLength: 1_000 }), (changes) => {
      const filter = KeyFilter.make(1_000 * 16);
      const other = new KeyFilter(filter.shared);
      const hash = new KeyHash(SECRET);
      filter.begin(SECRET);
      const index = new DiskIndex(filter);
      for (const { key, isRemoved } of changes) {
        if (isRemoved) index.delete(hash.of(String(key)));
        else index.set(hash.of(String(key)), 1, 0, 64);
      }
      let found = 0;
      for (let key = 0; key <= 400; key++) {
        if (index.get(hash.of(String(key))) !== undefined && !other.has(String(key))) return false;
      }
      for (let key = 1_000; key < 2_000; key++) if (other.has(String(key))) found++;
      return found < 400;
    }),
  );
  t.pass();
});

test('it is begun anew with another secret, and an index that is closed changes it no more', async (t) => {
  const filter = KeyFilter.make(1_600);
  const other = new KeyFilter(filter.shared);
  filter.begin(SECRET);
  const first = new DiskIndex(filter);
  first.set(new KeyHash(SECRET).of('a'), 1, 0, 64);
  t.equal(other.has('a'), true);
  first.close();
  const next = Buffer.alloc(16, 8);
  filter.begin(next);
  t.equal(other.has('a'), false);
  new DiskIndex(filter).set(new KeyHash(next).of('a'), 1, 0, 64);
  first.delete(new KeyHash(SECRET).of('a'));
  t.equal(other.has('a'), true);
});
