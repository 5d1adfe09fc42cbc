import { test } from 'tap';
import { MemoryStore } from '../../../cache/store/memory-store.ts';
import type { StoreWriter } from '../../../cache/store/store.ts';
import type { StoredResponse } from '../../../cache/stored-response.ts';
import { pattern, readFrom, respondWith, storeContract, written } from './contract.ts';

storeContract('memory', (maxBytes) => new MemoryStore(maxBytes));

/** Memory behind a body's chunks, counting each buffer once. */
async function heldBytes(body: ReturnType<typeof written>): Promise<number> {
  const held = new Set<ArrayBufferLike>();
  for (const range of body.ranges) {
    const reader = body.open(range);
    for (let piece = await reader.next(); piece !== null; piece = await reader.next()) held.add(piece.buffer);
  }
  return [...held].reduce((sum, { byteLength }) => sum + byteLength, 0);
}

test('a small chunk does not retain the buffer that it arrived in', async (t) => {
  const store = new MemoryStore(1_000_000);
  const writer = store.begin(0) as StoreWriter;
  const read = Buffer.allocUnsafeSlow(65_536);
  t.equal(writer.append(read.subarray(0, 100))?.buffer.byteLength, 100);
  t.equal(writer.append(Buffer.from('pooled'))?.buffer.byteLength, 6);
  t.equal(writer.append(read)?.buffer, read.buffer, 'one that fills it is kept as it is');
});

test('a decoded response retains no more than itself', async (t) => {
  const store = new MemoryStore(16_000_000);
  store.set('a', [respondWith(written(store, 0, 1_000), 1_000)]);
  let found = store.get('a');
  for (let time = 0; time < 3; time++) found = store.get('a');
  t.equal(store.get('a'), found, 'it is kept');
  t.equal(await heldBytes(found[0]?.body ?? written(store, 0, 0)), 1_000);
});

test('the bytes that a part adds do not retain the part', async (t) => {
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

test('many small parts and many small chunks count at their real cost', async (t) => {
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

test('a long body in small chunks is joined', async (t) => {
  const store = new MemoryStore(64_000_000);
  const body = written(store, 0, 1_000_000, 500);
  let pieces = 0;
  const reader = body.open({ start: 0, end: 1_000_000 });
  for (let piece = reader.next(); piece !== null; piece = reader.next()) pieces++;
  t.ok(pieces <= 16, String(pieces));
  t.ok((await readFrom(body.open({ start: 0, end: 1_000_000 }))).equals(pattern(0, 1_000_000)));
});

test('overwriting slabs changes nothing that is stored or was found', async (t) => {
  const store = new MemoryStore(2_000_000);
  const lengthOf = (key: number): number => 1 + ((key * 7_919) % 3_000);
  let random = 1;
  const next = (below: number): number => {
    random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
    return (random >>> 8) % below;
  };
  const found = new Map<number, StoredResponse>();
  let hits = 0;
  for (let i = 0; i < 20_000; i++) {
    const key = next(2_000);
    const [known] = store.get(String(key));
    if (known === undefined) {
      const length = lengthOf(key);
      store.set(String(key), [respondWith(written(store, 0, length), length, String(key))]);
    } else {
      hits++;
      if (i % 100 === 0) found.set(key, known);
      if (next(10) === 0) store.delete(String(key));
    }
    if (store.bytesInUse > store.maxBytes) t.fail(`${store.bytesInUse} bytes`);
  }
  t.ok(hits > 3_000 && store.size > 400, `${hits} hits, ${store.size} keys`);
  const isWhole = async ({ body, length, vary }: StoredResponse, key: string): Promise<boolean> =>
    vary[0]?.value === key && (await readFrom(body.open({ start: 0, end: length }))).equals(pattern(0, length));
  for (const [key, [stored]] of store.entries()) {
    if (stored === undefined || !(await isWhole(stored, key))) t.fail(`what is stored under ${key}`);
  }
  for (const [key, stored] of found) if (!(await isWhole(stored, String(key)))) t.fail(`what was found under ${key}`);
  let bytes = 0;
  for (const [key, [stored]] of store.entries()) bytes += key.length + (stored?.length ?? 0);
  t.ok(bytes > store.bytesInUse * 0.6, `${bytes} bytes of ${store.bytesInUse} are bodies`);
});
