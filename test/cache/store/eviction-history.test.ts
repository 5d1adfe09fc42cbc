/** Memory of evicted keys: the frequency of a key, or nothing; hardly ever that of another key. */
import fc from 'fast-check';
import { test } from 'tap';
import { EvictionHistory, historyPlaces } from '../../../cache/store/eviction-history.ts';

test('a key has the frequency that was remembered last, or none where a newer key has its place', async (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer(), fc.integer({ min: 1, max: 31 })), { minLength: 1, maxLength: 60 }),
      (keys) => {
        const history = new EvictionHistory(new Int32Array(16));
        const last = new Map<number, number>();
        for (const [hash, frequency] of keys) {
          history.remember(hash, frequency);
          last.set(hash, frequency);
          t.equal(history.frequencyOf(hash), frequency);
        }
        for (const [hash, frequency] of last) {
          const found = history.frequencyOf(hash);
          // Keys are told apart by 27 bits.
          const alike = [...last].filter(([other]) => other >> 5 === hash >> 5).map(([, known]) => known);
          t.ok(found === 0 || alike.includes(found), `${found} of ${frequency}`);
        }
      },
    ),
  );
});

test('an empty history knows no key, but for the one whose hash is zeros', async (t) => {
  const history = new EvictionHistory(new Int32Array(64));
  for (const hash of [32, -1, 0x7fffffff, 1 << 31]) t.equal(history.frequencyOf(hash), 0);
});

test('there is a place for each 512 bytes, as a power of two, and at least one', async (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 40 }), (bytes) => {
      const places = historyPlaces(bytes);
      t.equal(Math.log2(places) % 1, 0);
      t.ok(places >= 1 && (places === 1 || (places * 512 <= bytes && places * 1_024 > bytes)));
    }),
  );
});
