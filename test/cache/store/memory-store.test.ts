import { test } from 'tap';
import { MemoryStore } from '../../../cache/store/memory-store.ts';
import type { StoreWriter } from '../../../cache/store/store.ts';
import { pattern, readFrom, storeContract, written } from './contract.ts';

storeContract('memory', (maxBytes) => new MemoryStore(maxBytes));

/** What a body's pieces hold in memory, each buffer once. */
async function heldBytes(body: ReturnType<typeof written>): Promise<number> {
  const held = new Set<ArrayBufferLike>();
  for (const range of body.ranges) {
    const reader = body.open(range);
    for (let piece = await reader.next(); piece !== null; piece = await reader.next()) held.add(piece.buffer);
  }
  return [...held].reduce((sum, { byteLength }) => sum + byteLength, 0);
}

test('a small chunk does not hold the buffer that it came in', async (t) => {
  const store = new MemoryStore(1_000_000);
  const writer = store.begin(0) as StoreWriter;
  const read = Buffer.allocUnsafeSlow(65_536);
  t.equal(writer.append(read.subarray(0, 100))?.buffer.byteLength, 100);
  t.equal(writer.append(Buffer.from('pooled'))?.buffer.byteLength, 6);
  t.equal(writer.append(read)?.buffer, read.buffer, 'one that fills it is kept as it is');
});

test('the bytes that a part adds do not hold the part', async (t) => {
  const store = new MemoryStore(16_000_000);
  let body = written(store, 0, 65_536, 65_536);
  for (let start = 1; start <= 50; start++) {
    body = store.combine(body, written(store, start, start + 65_536, 65_536));
  }
  t.equal(body.ranges.length, 1);
  const held = await heldBytes(body);
  t.ok(held <= body.size, `${held} bytes are held for ${body.size} that count`);
  t.same(await readFrom(body.open({ start: 0, end: 65_586 })), pattern(0, 65_586));
});

test('many small parts and many small chunks count as what they cost', async (t) => {
  const store = new MemoryStore(16_000_000);
  let parts = written(store, 0, 1);
  for (let start = 2; start < 400; start += 2) parts = store.combine(parts, written(store, start, start + 1));
  t.ok(parts.size > 200 * 400, String(parts.size));
  const writer = store.begin(0) as StoreWriter;
  for (let i = 0; i < 1_000; i++) writer.append(Buffer.alloc(1));
  t.ok(store.bytesInUse > 400_000, String(store.bytesInUse));
  const { size } = writer.commit(0);
  t.ok(size < 2_000, 'put together at the end');
});

test('a long body in small chunks is put together', async (t) => {
  const store = new MemoryStore(64_000_000);
  const body = written(store, 0, 1_000_000, 500);
  let pieces = 0;
  const reader = body.open({ start: 0, end: 1_000_000 });
  for (let piece = reader.next(); piece !== null; piece = reader.next()) pieces++;
  t.ok(pieces <= 16, String(pieces));
  t.ok((await readFrom(body.open({ start: 0, end: 1_000_000 }))).equals(pattern(0, 1_000_000)));
});
