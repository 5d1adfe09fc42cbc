/**
 * Lines of access logs, plain or compressed by gzip or zstd, one file after the other, in bounded memory.
 * @module
 */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';

/** A longer line is none of ours, and is left out. */
const MAX_LINE_CHARS = 1024 * 1024;

const GZIP = 0x1f8b;
const ZSTD = 0x28b52ffd;

/** Yields the lines of a file in blocks: a promise for each line would cost as much as the line. */
export async function* linesOf(file: string): AsyncGenerator<readonly string[]> {
  const unpack = await decompressor(file);
  const source = createReadStream(file, { highWaterMark: 1024 * 1024 });
  const text: Readable = unpack === undefined ? source : source.pipe(unpack);
  if (unpack !== undefined) source.on('error', (error) => unpack.destroy(error));
  text.setEncoding('utf8');
  let rest = '';
  for await (const piece of text as AsyncIterable<string>) {
    const lines = (rest + piece).split('\n');
    rest = lines.pop() as string;
    if (rest.length > MAX_LINE_CHARS) rest = rest.slice(-1); // it will not parse
    yield lines;
  }
  if (rest !== '') yield [rest];
}

async function decompressor(file: string) {
  const handle = await open(file);
  const magic = Buffer.alloc(4);
  await handle.read(magic, 0, 4, 0);
  await handle.close();
  if (magic.readUInt16BE() === GZIP) return createGunzip();
  return magic.readUInt32BE() === ZSTD ? createZstdDecompress() : undefined;
}
