/**
 * SipHash (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012): a keyed hash of which an attacker who does
 * not know the key can find two inputs with the same value. Node has none that is quick for so few bytes.
 *
 * It needs integers of 64 bits, which JavaScript has at the price of an object each, and WebAssembly has for nothing:
 * so it is a module of one function, made here, with the key in it. For a key of 60 bytes that takes a third of what
 * 32-bit halves in JavaScript take, and twice what a hash of no
 * protection takes. Its memory:
 *
 *     the hash 8 | the input, and zeros up to the next multiple of 8 that is larger than its length
 * @module
 */

export const KEY_BYTES = 16;

/**
 * Rounds for each block of 8 bytes, and at the end: SipHash-1-3 is what tables of keys use, SipHash-2-4 is RFC 9018's.
 */
export interface Rounds {
  readonly compression: number;
  readonly finalization: number;
}

/** As much of the JavaScript interface of WebAssembly as is used; the types of Node have none. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (module: object) => { readonly exports: Exports };
};

interface Exports {
  readonly hash: (length: number) => number;
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
}

const HASH_BYTES = 8;
const PAGE_BYTES = 64 * 1024;

export class SipHash {
  readonly #memory: Exports['memory'];
  readonly #run: Exports['hash'];
  #words: Int32Array;

  /** @param key - 16 bytes. @throws {RangeError} */
  constructor(key: Uint8Array, rounds: Rounds) {
    if (key.length !== KEY_BYTES) throw new RangeError(`a key of SipHash has ${KEY_BYTES} bytes`);
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(moduleOf(key, rounds)));
    this.#memory = exports.memory;
    this.#run = exports.hash;
    this.#words = new Int32Array(this.#memory.buffer);
  }

  /**
   * @param words - The bytes, four in each, the first one lowest; zeros behind the last one up to a multiple of four.
   * @param length - Bytes.
   * @returns The low 32 bits.
   */
  hash(words: Int32Array, length: number): number {
    if (HASH_BYTES + length + HASH_BYTES > this.#words.length * 4) this.#grow(length);
    const memory = this.#words;
    const count = (length + 3) >> 2;
    for (let i = 0; i < count; i++) memory[i + 2] = words[i] as number;
    memory[count + 2] = 0;
    memory[count + 3] = 0;
    return this.#run(length);
  }

  /** The high 32 bits of the last hash. */
  get high(): number {
    return this.#words[1] as number;
  }

  #grow(length: number): void {
    this.#memory.grow(Math.ceil(length / PAGE_BYTES));
    this.#words = new Int32Array(this.#memory.buffer);
  }
}

/** @returns A function that writes the 8 bytes of SipHash-2-4 of `data[0 … length)` to `out` at `at`. */
export function sipHash24(key: Uint8Array): (data: Uint8Array, length: number, out: Uint8Array, at: number) => void {
  const hash = new SipHash(key, { compression: 2, finalization: 4 });
  let words = new Int32Array(0);
  let bytes = new Uint8Array(words.buffer);
  return (data, length, out, at) => {
    const room = (length + 3) & ~3;
    if (room > bytes.length) {
      words = new Int32Array(room >> 2);
      bytes = new Uint8Array(words.buffer);
    }
    bytes.set(data.subarray(0, length));
    bytes.fill(0, length, room);
    const low = hash.hash(words, length);
    const { high } = hash;
    for (let i = 0; i < 4; i++) {
      out[at + i] = low >>> (8 * i);
      out[at + 4 + i] = high >>> (8 * i);
    }
  };
}

/** "somepseudorandomlygeneratedbytes": what the state begins with, besides the key. */
const INITIAL = [0x736f6d6570736575n, 0x646f72616e646f6dn, 0x6c7967656e657261n, 0x7465646279746573n] as const;

/** Instructions that it takes (WebAssembly Core Specification, 5.4). */
const OP = {
  block: [0x02, 0x40],
  loop: [0x03, 0x40],
  branch: 0x0c,
  branchIf: 0x0d,
  end: 0x0b,
  get: 0x20,
  set: 0x21,
  load64: [0x29, 0],
  store64: [0x37, 0],
  const32: 0x41,
  const64: 0x42,
  atLeast32: 0x4f,
  add32: 0x6a,
  and32: 0x71,
  add64: 0x7c,
  or64: 0x84,
  xor64: 0x85,
  shiftLeft64: 0x86,
  rotateLeft64: 0x89,
  to32: 0xa7,
  to64: 0xad,
} as const;

const [I32, I64] = [0x7f, 0x7e];
/** Parameter and locals of the function. */
const [LENGTH, AT, END, BLOCK] = [0, 1, 2, 3] as const;
const V = [4, 5, 6, 7] as const;

/** The module, with `hash(length) → the low 32 bits` and its `memory`. */
function moduleOf(key: Uint8Array, { compression, finalization }: Rounds): Uint8Array<ArrayBuffer> {
  const halves = new DataView(new Uint8Array(key).buffer);
  const keys = [halves.getBigUint64(0, true), halves.getBigUint64(8, true)] as const;
  const rounds = (count: number): number[] => new Array(count).fill(round()).flat();
  const take = [...xor(3, get(BLOCK)), ...rounds(compression), ...xor(0, get(BLOCK))];
  const code = [
    ...V.flatMap((local, i) => [...const64((INITIAL[i] as bigint) ^ (keys[i % 2] as bigint)), OP.set, local]),
    // end = length & ~7
    ...[...get(LENGTH), OP.const32, ...signed(-8n), OP.and32, OP.set, END],
    ...[...OP.block, ...OP.loop, ...get(AT), ...get(END), OP.atLeast32, OP.branchIf, 1],
    ...[...get(AT), ...OP.load64, HASH_BYTES, OP.set, BLOCK, ...take],
    ...[...get(AT), OP.const32, ...signed(8n), OP.add32, OP.set, AT, OP.branch, 0, OP.end, OP.end],
    // The last block: what is left, and the length in its highest byte.
    ...[...get(END), ...OP.load64, HASH_BYTES],
    ...[...get(LENGTH), OP.to64, ...const64(56n), OP.shiftLeft64, OP.or64, OP.set, BLOCK, ...take],
    ...[...xor(2, const64(0xffn)), ...rounds(finalization)],
    ...[OP.const32, 0, ...V.flatMap((local) => get(local)), OP.xor64, OP.xor64, OP.xor64, OP.set, BLOCK],
    ...[...get(BLOCK), ...OP.store64, 0, ...get(BLOCK), OP.to32, OP.end],
  ];
  const locals = [2, 2, I32, 5, I64];
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 1, I32, 1, I32]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, 1]),
    ...section(7, [2, ...name('hash'), 0, 0, ...name('memory'), 2, 0]),
    ...section(10, [1, ...sized([...locals, ...code])]),
  ]);
}

/** SipRound. */
function round(): number[] {
  return [
    ...[...add(0, 1), ...rotate(1, 13), ...xor(1, get(V[0])), ...rotate(0, 32)],
    ...[...add(2, 3), ...rotate(3, 16), ...xor(3, get(V[2]))],
    ...[...add(0, 3), ...rotate(3, 21), ...xor(3, get(V[0]))],
    ...[...add(2, 1), ...rotate(1, 17), ...xor(1, get(V[2])), ...rotate(2, 32)],
  ];
}

type Word = 0 | 1 | 2 | 3;

function add(to: Word, from: Word): number[] {
  return [...get(V[to]), ...get(V[from]), OP.add64, OP.set, V[to]];
}

function rotate(word: Word, bits: number): number[] {
  return [...get(V[word]), ...const64(BigInt(bits)), OP.rotateLeft64, OP.set, V[word]];
}

function xor(to: Word, value: readonly number[]): number[] {
  return [...get(V[to]), ...value, OP.xor64, OP.set, V[to]];
}

function get(local: number): number[] {
  return [OP.get, local];
}

function const64(value: bigint): number[] {
  return [OP.const64, ...signed(BigInt.asIntN(64, value))];
}

/** LEB128. */
function signed(value: bigint): number[] {
  const bytes: number[] = [];
  for (let left = value; ; left >>= 7n) {
    const byte = Number(left & 0x7fn);
    const isLast = (left >> 7n === 0n && (byte & 0x40) === 0) || (left >> 7n === -1n && (byte & 0x40) !== 0);
    if (isLast) return [...bytes, byte];
    bytes.push(byte | 0x80);
  }
}

function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

function sized(bytes: readonly number[]): number[] {
  return [...unsigned(bytes.length), ...bytes];
}

function section(id: number, bytes: readonly number[]): number[] {
  return [id, ...sized(bytes)];
}

function name(text: string): number[] {
  return sized([...Buffer.from(text)]);
}
