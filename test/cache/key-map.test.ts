import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { test } from 'tap';
import { KeyLru, KeyMap } from '../../cache/key-map.ts';
import { KeyBytes } from '../../cache/store/key-bytes.ts';

const key = fc.oneof(fc.nat(20).map(String), fc.string({ unit: 'binary', maxLength: 5 }));

test('keys are kept as in a Map', async (t) => {
  const step = fc.tuple(fc.constantFrom('set', 'delete'), key, fc.nat());
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const map = new KeyMap<number>();
      const expected = new Map<string, number>();
      for (const [what, name, value] of steps) {
        if (what === 'set') {
          map.set(name, value);
          expected.set(name, value);
        } else {
          map.delete(name);
          expected.delete(name);
        }
        if (map.get(name) !== expected.get(name)) throw new Error(`${JSON.stringify(name)}: ${map.get(name)}`);
      }
      return map.size === expected.size && [...map.keys()].sort().join() === [...expected.keys()].sort().join();
    }),
  );
  t.pass();
});

test('more keys than there are buckets', async (t) => {
  const map = new KeyMap<number>();
  for (let i = 0; i < 20_000; i++) map.set(`http://site.test/${i}`, i);
  t.equal(map.size, 20_000);
  t.equal(new Set(map.keys()).size, 20_000);
  for (let i = 0; i < 20_000; i += 2) map.delete(`http://site.test/${i}`);
  let wrong = 0;
  for (let i = 0; i < 20_000; i++) if (map.get(`http://site.test/${i}`) !== (i % 2 === 0 ? undefined : i)) wrong++;
  t.equal(wrong, 0);
  t.equal(map.size, 10_000);
});

/** So many that some have the same hash of 32 bits: about ten pairs, and none once in twenty thousand runs. */
const MANY = 300_000;

test('of two keys with one hash the later one is remembered', async (t) => {
  const hashes = new Map<number, string>();
  const bytes = new KeyBytes();
  let pair: readonly [string, string] | undefined;
  for (let i = 0; i < MANY && pair === undefined; i++) {
    const second = `http://site.test/${randomUUID()}`;
    const { hash } = bytes.set(second);
    const first = hashes.get(hash);
    if (first !== undefined) pair = [first, second];
    hashes.set(hash, second);
  }
  const [first, second] = pair ?? ['', ''];
  t.not(first, second, 'a pair is found');
  const lru = new KeyLru<number>(10);
  lru.set(first, 1);
  t.same([lru.get(first), lru.get(second)], [1, undefined]);
  lru.delete(second);
  t.equal(lru.get(first), 1);
  lru.set(second, 2);
  t.same([lru.get(first), lru.get(second)], [undefined, 2]);
});

test('a key is equal however it is composed, and is found in bytes', async (t) => {
  const latin = fc.string({
    unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
    maxLength: 40,
  });
  const buffer = (text: string): Buffer => Buffer.from(text, 'latin1');
  const [one, other] = [new KeyBytes(), new KeyBytes()];
  fc.assert(
    fc.property(latin, latin, latin, latin, fc.nat(5_000), (prefix, target, suffix, around, padding) => {
      const long = prefix + 'x'.repeat(padding);
      one.set(long + target + suffix);
      other.join(
        buffer(long),
        buffer(around + target + around),
        around.length,
        around.length + target.length,
        buffer(suffix),
      );
      if (one.hash !== other.hash || one.length !== other.length || String(one) !== String(other)) return false;
      const text = buffer(around + long + target + suffix + around);
      const view = new DataView(text.buffer, text.byteOffset, text.length);
      if (!other.isAt(view, around.length)) return false;
      if (other.length === 0) return true;
      const changed = around.length + ((padding * 7) % other.length);
      text[changed] = (text[changed] as number) ^ 1;
      return !other.isAt(view, around.length);
    }),
    { numRuns: 500 },
  );
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => String(one.set(text)) === text));
  t.equal(one.set('\u0141').wide, '\u0141');
  t.equal(one.set('A').wide, undefined);
  t.not(one.set('\u0141').toString(), one.set('A').toString());
});
