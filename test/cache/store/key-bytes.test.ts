import fc from 'fast-check';
import { test } from 'tap';
import { KeyBytes } from '../../../cache/store/key-bytes.ts';

const bytes = new KeyBytes();
const hashesOf = (keys: readonly string[]): Set<number> => new Set(keys.map((key) => bytes.set(key).hash));

/** Keys among which a visitor might look for those of one hash: what differs is a bit, or a byte, in any place. */
const FAMILIES: readonly (readonly [what: string, keys: readonly string[]])[] = [
  // Where a 32-bit word is multiplied by an odd secret, its highest bit changes nothing but that; what it becomes is
  // known.
  [
    'the highest bits of neighbouring words',
    Array.from({ length: 4_096 }, (_, i) =>
      Array.from({ length: 12 }, (_, pair) => ((i >> pair) & 1 ? 'aaa\xe1aa`\xe1' : 'aaaaaaaa')).join(''),
    ),
  ],
  [
    'bits of neighbouring words',
    Array.from({ length: 4_096 }, (_, i) =>
      Array.from({ length: 6 }, (_, k) => ['aaaabaaa', 'aaabaaaa', 'aaaaaaab', 'aaaaabaa'][(i >> (2 * k)) & 3]).join(
        '',
      ),
    ),
  ],
  ['the last byte', Array.from({ length: 256 }, (_, i) => `http://site.test/${String.fromCharCode(i)}`)],
  ['the length', Array.from({ length: 2_000 }, (_, i) => 'a'.repeat(i))],
  ['zeros behind it', Array.from({ length: 64 }, (_, i) => `a${'\0'.repeat(i)}`)],
  ['numbers', Array.from({ length: 20_000 }, (_, i) => `http://site.test/${i}`)],
];

for (const [what, keys] of FAMILIES) {
  test(`keys that differ in ${what} have different hashes`, async (t) => {
    t.equal(new Set(keys).size, keys.length);
    // By chance, n² / 2³³ of them have the hash of another one: of 20,000, a twentieth.
    t.ok(hashesOf(keys).size >= keys.length - 2, `${hashesOf(keys).size} hashes of ${keys.length} keys`);
  });

  test(`keys that differ in ${what} are spread over the buckets`, async (t) => {
    const buckets = new Map<number, number>();
    for (const key of keys) {
      const bucket = bytes.set(key).hash & 63;
      buckets.set(bucket, (buckets.get(bucket) ?? 0) + 1);
    }
    const even = keys.length / 64;
    const most = Math.max(...buckets.values());
    t.ok(most <= even + 7 * Math.sqrt(even) + 3, `${most} in one of 64 buckets, ${even} on average`);
  });
}

test('a key is equal to itself after another one was set, in one piece or in three', async (t) => {
  const [one, other] = ['http://a/1', 'http://a/2'];
  const { hash } = bytes.set(one);
  bytes.set(other);
  t.equal(bytes.set(one).hash, hash);
  bytes.join(Buffer.from('http://a'), Buffer.from('/2'), 0, 2, Buffer.alloc(0));
  t.equal(bytes.set(one).hash, hash);
  t.equal(bytes.toString(), one);
  bytes.set('http://a/\u0416');
  t.equal(bytes.set(one).wide, undefined);
  t.equal(bytes.set('http://a/\u0416').wide, 'http://a/\u0416');
});

test('a key has one hash in one piece and in three, after a longer one', async (t) => {
  const joined = new KeyBytes();
  for (const [prefix, middle, suffix] of [
    ['http://a', '/b', ''],
    ['', '/', ''],
    ['http://a', '/long'.repeat(2_000), '\nx:1'],
    ['h', '/\xff', '\n'],
  ] as const) {
    const source = Buffer.from(`..${middle}..`, 'latin1');
    const [before, after] = [Buffer.from(prefix, 'latin1'), Buffer.from(suffix, 'latin1')];
    const { hash } = bytes.set(prefix + middle + suffix);
    t.equal(joined.join(before, source, 2, source.length - 2, after).hash, hash);
    t.equal(joined.joinText(before, middle, after).hash, hash);
    bytes.set('x'.repeat(9_000));
  }
});

test('a key is that of the last call, whatever came before', async (t) => {
  const parts = ['', 'a', 'b', 'http://a', '/long'.repeat(30)].map((text) => ({ text, bytes: Buffer.from(text) }));
  const part = fc.constantFrom(...parts);
  const call = fc.record({ way: fc.constantFrom('set', 'join', 'joinText'), prefix: part, middle: part, suffix: part });
  fc.assert(
    fc.property(fc.array(call, { maxLength: 12 }), (calls) => {
      const key = new KeyBytes();
      return calls.every(({ way, prefix, middle, suffix }) => {
        const text = prefix.text + middle.text + suffix.text;
        if (way === 'set') key.set(text);
        else if (way === 'join') key.join(prefix.bytes, middle.bytes, 0, middle.bytes.length, suffix.bytes);
        else key.joinText(prefix.bytes, middle.text, suffix.bytes);
        const { hash, hashHigh } = bytes.set(text);
        return key.toString() === text && key.length === text.length && key.hash === hash && key.hashHigh === hashHigh;
      });
    }),
    { numRuns: 2_000 },
  );
  t.pass();
});
