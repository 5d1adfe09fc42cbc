/**
 * The Huffman code of header strings (RFC 7541, section 5.2 and Appendix B).
 * @module
 */
import { CompressionError } from './errors.ts';

/**
 * Bits of each byte's code. The codes follow: those of one length count up in the order of the bytes, the shortest
 * first.
 */
// biome-ignore format: sixteen a line, as bytes are written
const LENGTHS = Uint8Array.of(
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
);

const CODES = new Uint32Array(256);

/** Tree of codes: at `node * 2 + bit` the next node, or `LEAF` and the byte. */
const TREE: number[] = [0, 0];
const LEAF = 0x10000;

function plantTree(): void {
  const symbols = [...LENGTHS.keys()].sort((a, b) => (LENGTHS[a] as number) - (LENGTHS[b] as number) || a - b);
  let code = 0;
  let length = 0;
  for (const symbol of symbols) {
    code <<= (LENGTHS[symbol] as number) - length;
    length = LENGTHS[symbol] as number;
    CODES[symbol] = code;
    let node = 0;
    for (let bit = length - 1; bit > 0; bit--) {
      const branch = node * 2 + ((code >>> bit) & 1);
      if (TREE[branch] === 0) {
        TREE[branch] = TREE.length / 2;
        TREE.push(0, 0);
      }
      node = TREE[branch] as number;
    }
    TREE[node * 2 + (code & 1)] = LEAF | symbol;
    code++;
  }
}
plantTree();

/**
 * Four bits at a time, since no code is shorter than five: at `node * 16 + bits` the node to go on from, `EMITS` and a
 * byte where one ends on the way, or `BROKEN` where no byte has such a code (the code for the end of the string).
 */
const STEPS = new Uint32Array((TREE.length / 2) * 16);
const EMITS = 0x1000000;
const BROKEN = 0x2000000;
/** Nodes at which a string can end: fewer than eight bits, all of them 1 (RFC 7541, section 5.2). */
const ENDINGS = new Uint8Array(TREE.length / 2);

function layStep(node: number, bits: number): number {
  let at = node;
  let step = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const next = TREE[at * 2 + ((bits >>> bit) & 1)] as number;
    if (next === 0) return BROKEN;
    if (next & LEAF) step = EMITS | ((next & 0xff) << 16);
    at = next & LEAF ? 0 : next;
  }
  return step | at;
}

for (let node = 0; node < TREE.length / 2; node++) {
  for (let bits = 0; bits < 16; bits++) STEPS[node * 16 + bits] = layStep(node, bits);
}
for (let depth = 0, node = 0; depth < 8; depth++) {
  ENDINGS[node] = 1;
  node = TREE[node * 2 + 1] as number;
}

let scratch = Buffer.allocUnsafeSlow(8 * 1024);

/**
 * @param end - Of the coded bytes, exclusive.
 * @returns One character for each byte.
 * @throws {CompressionError} for what is not such a code, or is padded wrongly.
 */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number): string {
  const most = Math.ceil(((end - start) * 8) / 5);
  if (most > scratch.length) scratch = Buffer.allocUnsafeSlow(most);
  const into = scratch;
  let length = 0;
  let node = 0;
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number;
    let step = STEPS[node * 16 + (byte >>> 4)] as number;
    if (step & EMITS) into[length++] = (step >>> 16) & 0xff;
    if (step === BROKEN) throw new CompressionError('no Huffman code');
    step = STEPS[(step & 0xffff) * 16 + (byte & 15)] as number;
    if (step & EMITS) into[length++] = (step >>> 16) & 0xff;
    if (step === BROKEN) throw new CompressionError('no Huffman code');
    node = step & 0xffff;
  }
  if (ENDINGS[node] !== 1) throw new CompressionError('Huffman padding');
  return into.toString('latin1', 0, length);
}

/** @param text - One character for each byte. @returns How many bytes its code takes. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += LENGTHS[text.charCodeAt(i) & 0xff] as number;
  return (bits + 7) >>> 3;
}

/** @param text - One character for each byte. @returns Where the code ends. */
export function encodeHuffman(text: string, into: Uint8Array, start: number): number {
  let at = start;
  let left = 0;
  let bits = 0;
  const put = (code: number, length: number): void => {
    left = (left << length) | code;
    bits += length;
    for (; bits >= 8; bits -= 8) into[at++] = left >>> (bits - 8);
  };
  for (let i = 0; i < text.length; i++) {
    const byte = text.charCodeAt(i) & 0xff;
    const code = CODES[byte] as number;
    const length = LENGTHS[byte] as number;
    if (length <= 24) put(code, length);
    else {
      put(code >>> 16, length - 16);
      put(code & 0xffff, 16);
    }
  }
  if (bits > 0) into[at++] = (left << (8 - bits)) | (0xff >>> bits);
  return at;
}
