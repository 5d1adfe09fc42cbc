/**
 * Encoding of a body in one piece, at the two levels that there are: fast, and as small as it gets.
 * @module
 */
import { brotliCompressSync, gzipSync, constants as zlib, zstdCompressSync } from 'node:zlib';
import type { EncodeOrder } from './encoder-thread.ts';

/** Brotli looks back 4 MiB at most: its memory is eight times that. */
const [MIN_WINDOW_BITS, MAX_WINDOW_BITS] = [16, 22] as const;

/** @returns `undefined` if the encoding is no smaller than the body. In memory of its own. */
export function encode({ bytes, coding, isFast }: EncodeOrder): Uint8Array<ArrayBuffer> | undefined {
  const encoded = ENCODERS[coding](bytes, isFast);
  return encoded.length < bytes.length ? exact(encoded) : undefined;
}

const ENCODERS: Readonly<Record<EncodeOrder['coding'], (bytes: Uint8Array, isFast: boolean) => Buffer>> = {
  gzip: (bytes, isFast) => gzipSync(bytes, { level: isFast ? 6 : 9, memLevel: 9 }),
  br: (bytes, isFast) =>
    brotliCompressSync(bytes, {
      params: {
        [zlib.BROTLI_PARAM_QUALITY]: isFast ? 5 : 11,
        [zlib.BROTLI_PARAM_LGWIN]: windowBits(bytes.length),
        [zlib.BROTLI_PARAM_SIZE_HINT]: bytes.length,
      },
    }),
  zstd: (bytes, isFast) =>
    zstdCompressSync(bytes, {
      // Level 19 has a window of 8 MiB at most, as browsers read it (RFC 9659).
      params: { [zlib.ZSTD_c_compressionLevel]: isFast ? 3 : 19 },
      pledgedSrcSize: bytes.length,
    }),
};

/** Window that holds the whole body, where it can. */
function windowBits(bytes: number): number {
  return Math.min(MAX_WINDOW_BITS, Math.max(MIN_WINDOW_BITS, Math.ceil(Math.log2(bytes + 16))));
}

function exact(encoded: Buffer): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(encoded.length);
  copy.set(encoded);
  return copy;
}
