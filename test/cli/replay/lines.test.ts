import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { test } from 'tap';
import { linesOf } from '../../../cli/replay/lines.ts';

const folder = mkdtempSync(join(tmpdir(), 'seawall-lines-'));

async function read(name: string, bytes: Uint8Array | string): Promise<string[]> {
  const file = join(folder, name);
  writeFileSync(file, bytes);
  const all: string[] = [];
  for await (const lines of linesOf(file)) all.push(...lines);
  return all.filter((line) => line !== '');
}

test('lines are whole, plain and compressed, whatever the pieces', async (t) => {
  const lines = Array.from({ length: 50_000 }, (_, i) => `{"line":${i},"text":"é${'x'.repeat(i % 97)}"}`);
  const text = lines.join('\n');
  t.strictSame(await read('plain', text), lines);
  t.strictSame(await read('gzip', gzipSync(text)), lines);
  t.strictSame(await read('zstd', zstdCompressSync(text)), lines);
  t.strictSame(await read('empty', ''), []);
});

test('a line without end is not kept, and the ones behind it are read', async (t) => {
  const all = await read('long', `${'x'.repeat(5_000_000)}\n{"a":1}\n`);
  t.equal(all.at(-1), '{"a":1}');
  t.ok(all.every((line) => line.length < 3_000_000));
});

test('a file that is cut off, or is not there, fails', async (t) => {
  const packed = gzipSync('x'.repeat(100_000));
  await t.rejects(read('cut', packed.subarray(0, packed.length - 20)));
  await t.rejects(linesOf(join(folder, 'none')).next(), { code: 'ENOENT' });
});
