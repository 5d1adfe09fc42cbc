/**
 * SipHash-2-4 with 64 bits of output (Aumasson, Bernstein: "SipHash: a fast
 * short-input PRF", 2012). Node has no keyed hash that is as quick for so few bytes.
 *
 * The state is four 64-bit words, each two 32-bit halves in one `Int32Array`:
 * low at an even index, high behind it.
 * @module
 */

/** @returns A function that writes the 8 bytes of the hash of `data[0 … length)` to `out` at `at`. */
export function sipHash24(key: Uint8Array): (data: Uint8Array, length: number, out: Uint8Array, at: number) => void {
  if (key.length !== 16) throw new RangeError('a key of SipHash has 16 bytes');
  const k = new Int32Array([word(key, 0), word(key, 4), word(key, 8), word(key, 12)]);
  const v = new Int32Array(8);
  const xor = (index: number, low: number, high: number): void => {
    v[index] = (v[index] as number) ^ low;
    v[index + 1] = (v[index + 1] as number) ^ high;
  };

  return (data, length, out, at) => {
    v.set(INITIAL);
    xor(0, k[0] as number, k[1] as number);
    xor(2, k[2] as number, k[3] as number);
    xor(4, k[0] as number, k[1] as number);
    xor(6, k[2] as number, k[3] as number);
    const whole = length & ~7;
    for (let i = 0; i < whole; i += 8) compress(word(data, i), word(data, i + 4));
    let low = 0;
    let high = length << 24;
    for (let i = whole; i < length; i += 1) {
      const byte = data[i] as number;
      if (i - whole < 4) low |= byte << (8 * (i - whole));
      else high |= byte << (8 * (i - whole - 4));
    }
    compress(low, high);
    v[4] = (v[4] as number) ^ 0xff;
    for (let i = 0; i < 4; i += 1) round(v);
    put(out, at, (v[0] as number) ^ (v[2] as number) ^ (v[4] as number) ^ (v[6] as number));
    put(out, at + 4, (v[1] as number) ^ (v[3] as number) ^ (v[5] as number) ^ (v[7] as number));
  };

  function compress(low: number, high: number): void {
    xor(6, low, high);
    round(v);
    round(v);
    xor(0, low, high);
  }
}

/** "somepseudorandomlygeneratedbytes". */
const INITIAL = [0x70736575, 0x736f6d65, 0x6e646f6d, 0x646f7261, 0x6e657261, 0x6c796765, 0x79746573, 0x74656462];

function round(v: Int32Array): void {
  add(v, 0, 2);
  rotate(v, 2, 13);
  mix(v, 2, 0);
  swap(v, 0);
  add(v, 4, 6);
  rotate(v, 6, 16);
  mix(v, 6, 4);
  add(v, 0, 6);
  rotate(v, 6, 21);
  mix(v, 6, 0);
  add(v, 4, 2);
  rotate(v, 2, 17);
  mix(v, 2, 4);
  swap(v, 4);
}

function add(v: Int32Array, to: number, from: number): void {
  const low = ((v[to] as number) >>> 0) + ((v[from] as number) >>> 0);
  v[to] = low;
  v[to + 1] = (v[to + 1] as number) + (v[from + 1] as number) + (low > 0xffffffff ? 1 : 0);
}

/** To the left, by less than 32. */
function rotate(v: Int32Array, index: number, bits: number): void {
  const low = v[index] as number;
  const high = v[index + 1] as number;
  v[index] = (low << bits) | (high >>> (32 - bits));
  v[index + 1] = (high << bits) | (low >>> (32 - bits));
}

/** By 32: the halves change places. */
function swap(v: Int32Array, index: number): void {
  const low = v[index] as number;
  v[index] = v[index + 1] as number;
  v[index + 1] = low;
}

function mix(v: Int32Array, to: number, from: number): void {
  v[to] = (v[to] as number) ^ (v[from] as number);
  v[to + 1] = (v[to + 1] as number) ^ (v[from + 1] as number);
}

function word(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}

function put(out: Uint8Array, at: number, value: number): void {
  out[at] = value;
  out[at + 1] = value >>> 8;
  out[at + 2] = value >>> 16;
  out[at + 3] = value >>> 24;
}
