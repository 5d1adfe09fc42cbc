/** Hash of keys on disk: the same after a restart, another one with another secret, whatever was hashed before. */
import fc from 'fast-check';
import { test } from 'tap';
import { KeyHash } from '../../../cache/disk/key-hash.ts';

test('a key has one hash, however long the keys before it were', async (t) => {
  const key = fc.oneof(
    fc.string({ maxLength: 40 }),
    fc.string({ unit: 'grapheme', maxLength: 40 }),
    fc.integer({ min: 1, max: 9_000 }).map((n) => 'ä'.repeat(n)),
  );
  const secret = Buffer.alloc(16, 7);
  fc.assert(
    fc.property(fc.array(key, { minLength: 1, maxLength: 8 }), (keys) => {
      const hash = new KeyHash(secret);
      for (const one of keys) {
        const { low, high } = hash.of(one);
        t.same({ low, high }, new KeyHash(secret).of(one), one.slice(0, 20));
      }
    }),
    { numRuns: 300 },
  );
});

test('keys that differ anywhere, or in zeros at their end, have different hashes, and so has another secret', async (t) => {
  const hash = new KeyHash(Buffer.alloc(16, 1));
  const seen = new Set<string>();
  const keys = ['', '\0', '\0\0', '\0\0\0\0', 'a', 'a\0', 'b', 'ab', 'ba', 'a'.repeat(4_096), 'a'.repeat(4_097)];
  for (const key of keys) {
    const { low, high } = hash.of(key);
    seen.add(`${low} ${high}`);
  }
  t.equal(seen.size, keys.length);
  t.notSame(new KeyHash(Buffer.alloc(16, 2)).of('a'), hash.of('a'));
});
