import fc from 'fast-check';
import { test } from 'tap';
import { type Rounds, SipHash, sipHash24 } from '../../lib/siphash.ts';

const KEY = Uint8Array.from({ length: 16 }, (_, i) => i);
const ONE_THREE = { compression: 1, finalization: 3 };
const TWO_FOUR = { compression: 2, finalization: 4 };

/** The definition, in integers without end. */
function reference(key: Uint8Array, message: Uint8Array, { compression, finalization }: Rounds): bigint {
  const word = (bytes: Uint8Array): bigint => bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  const wrap = (value: bigint): bigint => BigInt.asUintN(64, value);
  const turn = (value: bigint, bits: bigint): bigint => wrap(value << bits) | (value >> (64n - bits));
  const [k0, k1] = [word(key.subarray(0, 8)), word(key.subarray(8))];
  let [v0, v1, v2, v3] = [
    k0 ^ 0x736f6d6570736575n,
    k1 ^ 0x646f72616e646f6dn,
    k0 ^ 0x6c7967656e657261n,
    k1 ^ 0x7465646279746573n,
  ];
  const rounds = (count: number): void => {
    for (let i = 0; i < count; i++) {
      v0 = wrap(v0 + v1);
      v1 = turn(v1, 13n) ^ v0;
      v0 = turn(v0, 32n);
      v2 = wrap(v2 + v3);
      v3 = turn(v3, 16n) ^ v2;
      v0 = wrap(v0 + v3);
      v3 = turn(v3, 21n) ^ v0;
      v2 = wrap(v2 + v1);
      v1 = turn(v1, 17n) ^ v2;
      v2 = turn(v2, 32n);
    }
  };
  for (let at = 0; at <= message.length; at += 8) {
    const left = message.subarray(at, at + 8);
    const block = left.length === 8 ? word(left) : word(left) | (BigInt(message.length & 0xff) << 56n);
    v3 ^= block;
    rounds(compression);
    v0 ^= block;
  }
  v2 ^= 0xffn;
  rounds(finalization);
  return v0 ^ v1 ^ v2 ^ v3;
}

function ours(hash: SipHash, message: Uint8Array): bigint {
  const bytes = new Uint8Array((message.length + 3) & ~3);
  bytes.set(message);
  const low = hash.hash(new Int32Array(bytes.buffer), message.length);
  return (BigInt(hash.high >>> 0) << 32n) | BigInt(low >>> 0);
}

for (const [name, rounds, message, expected] of [
  // Of the paper, appendix A.
  ['SipHash-2-4', TWO_FOUR, Uint8Array.from({ length: 15 }, (_, i) => i), 0xa129ca6149be45e5n],
  // The first of those that Rust's library has for its tables.
  ['SipHash-1-3', ONE_THREE, new Uint8Array(0), 0xabac0158050fc4dcn],
] as const) {
  test(`${name} has the published value`, async (t) => {
    t.equal(ours(new SipHash(KEY, rounds), message), expected);
    t.equal(reference(KEY, message, rounds), expected);
  });
}

test('any key and message give the value of the definition, whatever was hashed before', async (t) => {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  fc.assert(
    fc.property(bytes(16), fc.array(fc.uint8Array({ maxLength: 70 }), { maxLength: 6 }), (key, messages) => {
      for (const rounds of [ONE_THREE, TWO_FOUR]) {
        const hash = new SipHash(key, rounds);
        for (const message of messages) if (ours(hash, message) !== reference(key, message, rounds)) return false;
      }
      return true;
    }),
    { numRuns: 100 },
  );
  t.pass();
});

test('messages of every length are hashed, and ones longer than the memory at first', async (t) => {
  const hash = new SipHash(KEY, ONE_THREE);
  for (const length of [...Array(40).keys(), 65_519, 65_520, 65_521, 65_528, 65_536, 70_001, 3, 200_000, 8]) {
    const message = Uint8Array.from({ length }, (_, i) => i * 7 + length);
    if (ours(hash, message) !== reference(KEY, message, ONE_THREE)) t.fail(`${length} bytes`);
  }
  t.pass();
});

test('a key of another length is refused', async (t) => {
  t.throws(() => new SipHash(new Uint8Array(15), ONE_THREE), RangeError);
  t.throws(() => sipHash24(new Uint8Array(17)), RangeError);
});
