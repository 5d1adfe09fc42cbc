import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { test } from 'tap';
import { encode } from '../../../cache/encoding/encode.ts';
import { CODINGS } from '../../../http/fields/content-coding.ts';

const DECODERS = { br: brotliDecompressSync, gzip: gunzipSync, zstd: zstdDecompressSync };

const WORDS = ['cache', 'purge', 'origin', 'edge', 'shield', 'visitor', 'response'];

function text(words: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(
    Buffer.from(
      Array.from({ length: words }, (_, i) => `${WORDS[(i * i * 31 + (i >> 3)) % 7]} ${(i * 7919) % 50_021}`).join(' '),
    ),
  );
}

for (const coding of CODINGS) {
  test(`${coding} reads back as it was, in memory of its own, and the high level is smaller`, async (t) => {
    const bytes = text(20_000);
    const sizes = [true, false].map((isFast) => {
      const encoded = encode({ bytes, coding, isFast }) as Uint8Array<ArrayBuffer>;
      t.ok(DECODERS[coding](encoded).equals(bytes));
      t.equal(encoded.buffer.byteLength, encoded.length);
      return encoded.length;
    });
    t.ok((sizes[1] as number) <= (sizes[0] as number), sizes.join(' → '));
  });

  test(`${coding} of noise is not used`, async (t) => {
    const noise = crypto.getRandomValues(new Uint8Array(3_000));
    for (const isFast of [true, false]) t.equal(encode({ bytes: noise, coding, isFast }), undefined);
    t.equal(encode({ bytes: new Uint8Array(0), coding, isFast: true }), undefined);
  });
}
