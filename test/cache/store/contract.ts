/**
 * Contract of every store. Each implementation's test calls this with a function that makes an empty one. Each
 * implementation's test calls this with a way to make an empty one.
 * @module
 */
import fc from 'fast-check';
import { test } from 'tap';
import { UNKNOWN_EPOCH } from '../../../cache/ledger.ts';
import { responsePolicy } from '../../../cache/policy/response-policy.ts';
import type { Store, StoredBody, StoreWriter } from '../../../cache/store/store.ts';
import { type StoredResponse, storedHead } from '../../../cache/stored-response.ts';
import { ruleSchema } from '../../../config/schema.ts';
import type { BodyReader } from '../../../http/message.ts';
import { epochMs } from '../../../lib/clock.ts';

export function pattern(start: number, end: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(end - start);
  for (let i = start; i < end; i++) bytes[i - start] = (i * 31 + (i >> 8)) & 0xff;
  return bytes;
}

export function respondWith(body: StoredBody, length: number, kind = 'a'): StoredResponse {
  const headers = ['ETag', '"1"', 'Vary', 'X-Kind'];
  const policy = responsePolicy({
    status: 200,
    headers,
    requestTime: epochMs(0),
    responseTime: epochMs(0),
    rule: ruleSchema.parse({}),
    targetedFields: [],
    heuristic: { fraction: 0, maxMs: 0, maxErrorMs: 0 },
  });
  const stamp = { asOf: 0, epoch: UNKNOWN_EPOCH, checkedAt: -1, verdict: 'current' as const };
  const head = storedHead({
    status: 200,
    statusText: 'OK',
    headers,
    requestHeaders: ['X-Kind', kind],
    policy,
    responseTime: epochMs(0),
    tags: [],
    stamp,
  });
  return { ...head, trailers: [], length, body };
}

/** Writes `[start, end)` in chunks of at most `chunkBytes`. */
export function written(store: Store, start: number, end: number, chunkBytes = 16_384): StoredBody {
  const writer = store.begin(end - start) as StoreWriter;
  for (let at = start; at < end; at += chunkBytes) writer.append(pattern(at, Math.min(end, at + chunkBytes)));
  return writer.commit(start);
}

export async function readFrom(reader: BodyReader): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let piece = await reader.next(); piece !== null; piece = await reader.next()) pieces.push(piece);
  return Buffer.concat(pieces);
}

export function storeContract(name: string, make: (maxBytes: number) => Store): void {
  test(`${name}: a new store is empty`, async (t) => {
    const store = make(1_000_000);
    t.same([store.bytesInUse, store.maxBytes, store.size], [0, 1_000_000, 0]);
    t.same(store.get('k'), []);
    t.same([...store.entries()], []);
  });

  test(`${name}: stored variants are found, in their order`, async (t) => {
    const store = make(1_000_000);
    const a = respondWith(written(store, 0, 1_000), 1_000, 'a');
    const b = respondWith(written(store, 0, 2_000), 2_000, 'b');
    store.set('k', [b, a]);
    t.same(
      store.get('k').map(({ vary }) => vary[0]?.value),
      ['b', 'a'],
    );
    t.same(await readFrom(a.body.open({ start: 0, end: 1_000 })), pattern(0, 1_000));
    t.equal(store.size, 1);
    t.ok(store.bytesInUse >= 3_000);
    store.set('k', []);
    t.same([store.size, store.bytesInUse], [0, 0]);
  });

  for (const [bytes, encoded] of [
    [1_000, 200],
    [60_000, 300],
    [60_000, 40_000],
  ] as const) {
    test(`${name}: encodings (${encoded} of ${bytes} bytes) are stored, replaced and deleted with their response`, async (t) => {
      const store = make(1_000_000);
      const encodings = [
        { coding: 'br', isFast: true, body: written(store, 5, 5 + encoded) },
        { coding: 'zstd', isFast: false, body: undefined },
        { coding: 'gzip', isFast: false, body: written(store, 7, 7 + encoded) },
      ] as const;
      const other = respondWith(written(store, 0, 50_000), 50_000, 'b');
      store.set('k', [{ ...respondWith(written(store, 0, bytes), bytes), encodings }, other]);
      for (let i = 0; i < 5; i++) {
        const [stored, second] = store.get('k') as [StoredResponse, StoredResponse];
        t.same(
          stored.encodings?.map(({ coding, isFast }) => [coding, isFast]),
          encodings.map(({ coding, isFast }) => [coding, isFast]),
        );
        const [br, zstd, gzip] = (stored.encodings ?? []).map(({ body }) => body);
        t.equal(zstd, undefined);
        t.same(await readFrom((br as StoredBody).open({ start: 5, end: 5 + encoded })), pattern(5, 5 + encoded));
        t.same(await readFrom((gzip as StoredBody).open({ start: 7, end: 7 + encoded })), pattern(7, 7 + encoded));
        t.same(await readFrom(stored.body.open({ start: 0, end: bytes })), pattern(0, bytes));
        t.same(await readFrom(second.body.open({ start: 0, end: 50_000 })), pattern(0, 50_000));
        t.equal(second.encodings, undefined);
        store.set('k', [stored, second]); // as they are
      }
      const [stored, second] = store.get('k') as [StoredResponse, StoredResponse];
      store.set('k', [{ ...stored, encodings: stored.encodings?.slice(2) }, second]);
      t.equal(store.get('k')[0]?.encodings?.length, 1);
      store.delete('k');
      t.same([store.get('k').length, store.size, store.bytesInUse], [0, 0, 0]);
    });
  }

  test(`${name}: a deleted key is not found, and deleting again does nothing`, async (t) => {
    const store = make(1_000_000);
    store.set('k', [respondWith(written(store, 0, 10), 10)]);
    store.delete('k');
    store.delete('k');
    t.same([store.get('k').length, store.size, store.bytesInUse], [0, 0, 0]);
  });

  test(`${name}: bytes being written count, and aborting releases them, once`, async (t) => {
    const store = make(1_000_000);
    const writer = store.begin(0) as StoreWriter;
    t.same(writer.append(pattern(0, 10_000)), pattern(0, 10_000));
    t.ok(store.bytesInUse >= 10_000);
    writer.abort();
    writer.abort();
    t.equal(store.bytesInUse, 0);
    t.equal(writer.append(pattern(0, 1)), undefined, 'too late');
    t.equal(store.bytesInUse, 0);
  });

  test(`${name}: abort after commit does nothing`, async (t) => {
    const store = make(1_000_000);
    const writer = store.begin(0) as StoreWriter;
    writer.append(pattern(0, 10_000));
    const body = writer.commit(0);
    store.set('k', [respondWith(body, 10_000)]);
    const before = store.bytesInUse;
    writer.abort();
    t.equal(store.bytesInUse, before);
    t.same(await readFrom(body.open({ start: 0, end: 10_000 })), pattern(0, 10_000));
  });

  test(`${name}: a body without writes is empty`, async (t) => {
    const store = make(1_000_000);
    const body = (store.begin(0) as StoreWriter).commit(0);
    t.same(body.ranges, []);
    t.equal((await readFrom(body.open({ start: 0, end: 0 }))).length, 0);
    store.set('k', [respondWith(body, 0)]);
    t.equal(store.size, 1);
  });

  test(`${name}: a body that cannot fit is refused, before and while it is written`, async (t) => {
    const store = make(100_000);
    t.equal(store.begin(100_001), undefined);
    const writer = store.begin(0) as StoreWriter;
    t.ok(writer.append(pattern(0, 60_000)));
    t.equal(writer.append(pattern(0, 60_000)), undefined);
    t.equal(store.begin(60_000), undefined);
    writer.abort();
    t.ok(store.begin(60_000));
  });

  test(`${name}: a key of more bytes than there is room for is evicted`, async (t) => {
    const store = make(200_000);
    store.set('k', [respondWith(written(store, 0, 10), 10)]);
    const large = [60_000, 60_000].map((bytes) => respondWith(written(store, 0, bytes), bytes));
    store.resize(100_000);
    store.set('k', large);
    t.same(store.get('k'), []);
    t.equal(store.bytesInUse, 0);
  });

  test(`${name}: of equal responses the unused one is evicted first, also for one being written`, async (t) => {
    const store = make(100_000);
    for (const key of ['a', 'b', 'c']) store.set(key, [respondWith(written(store, 0, 30_000), 30_000)]);
    store.get('a');
    const writer = store.begin(0) as StoreWriter;
    t.ok(writer.append(pattern(0, 20_000)));
    t.same(
      ['a', 'b', 'c'].map((key) => store.get(key).length),
      [1, 0, 1],
    );
    t.ok(writer.append(pattern(0, 30_000)), 'room for one of them is left');
    t.equal(store.size, 1);
    t.ok(store.bytesInUse <= 100_000);
    writer.abort();
  });

  test(`${name}: a reader of an evicted or replaced response reads on`, async (t) => {
    const store = make(200_000);
    const stored = respondWith(written(store, 0, 150_000), 150_000);
    store.set('k', [stored]);
    const reader = stored.body.open({ start: 0, end: 150_000 });
    const first = (await reader.next()) as Buffer;
    store.resize(100_000);
    t.same(store.get('k'), []);
    t.ok(Buffer.concat([first, await readFrom(reader)]).equals(pattern(0, 150_000)));
  });

  for (const { how, end } of [
    { how: 'closes it', end: async (reader: BodyReader) => reader.close() },
    { how: 'is at its end', end: async (reader: BodyReader) => void (await readFrom(reader)) },
  ]) {
    test(`${name}: an evicted response counts until its reader ${how}`, async (t) => {
      const store = make(200_000);
      store.set('k', [respondWith(written(store, 0, 150_000), 150_000)]);
      const before = store.bytesInUse;
      const reader = (store.get('k')[0] as StoredResponse).body.open({ start: 0, end: 150_000 });
      await reader.next();
      t.equal(store.bytesInUse, before, 'once, while it is stored');
      store.delete('k');
      t.ok(store.bytesInUse >= 150_000);
      t.equal(store.begin(100_000), undefined);
      const writer = store.begin(0) as StoreWriter;
      t.equal(writer.append(pattern(0, 100_000)), undefined);
      writer.abort();
      await end(reader);
      reader.close();
      t.equal(store.bytesInUse, 0);
      t.ok(store.begin(100_000));
    });
  }

  test(`${name}: a closed reader delivers nothing more`, async (t) => {
    const store = make(1_000_000);
    const reader = written(store, 0, 500_000).open({ start: 0, end: 500_000 });
    await reader.next();
    reader.close();
    reader.close();
    t.equal(await reader.next(), null);
  });

  test(`${name}: less room evicts, more room stores`, async (t) => {
    const store = make(200_000);
    for (const key of ['a', 'b', 'c']) store.set(key, [respondWith(written(store, 0, 40_000), 40_000)]);
    store.get('a');
    store.resize(100_000);
    t.equal(store.maxBytes, 100_000);
    t.same(
      ['a', 'b', 'c'].map((key) => store.get(key).length),
      [1, 0, 1],
    );
    store.resize(300_000);
    t.same(
      ['a', 'c'].map((key) => store.get(key).length),
      [1, 1],
    );
    store.resize(1);
    t.same([store.size, store.bytesInUse], [0, 0]);
  });

  test(`${name}: any part of any body is read, in any chunks`, async (t) => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 200_000 }),
        fc.integer({ min: 50, max: 70_000 }),
        fc.nat(1_000),
        fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })),
        async (bytes, chunkBytes, start, [from, to]) => {
          const store = make(2 ** 22);
          const body = written(store, start, start + bytes, chunkBytes);
          const [a, b] = [from, to].map((part) => start + Math.floor(part * bytes)).sort((x, y) => x - y) as [
            number,
            number,
          ];
          const got = await readFrom(body.open({ start: a, end: b }));
          return got.equals(pattern(a, b));
        },
      ),
      { numRuns: 100 },
    );
    t.pass();
  });

  test(`${name}: RFC 9111 3.4: combined parts are byte for byte the whole`, async (t) => {
    const anyPart = fc.tuple(fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: 1, max: 2_000 }));
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyPart, { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 20, max: 900 }),
        async (parts, chunkBytes) => {
          const store = make(2 ** 22);
          const has = new Set<number>();
          let body: StoredBody | undefined;
          for (const [start, bytes] of parts) {
            const part = written(store, start, start + bytes, chunkBytes);
            body = body === undefined ? part : store.combine(body, part);
            for (let i = start; i < start + bytes; i++) has.add(i);
          }
          const { ranges } = body as StoredBody;
          let count = 0;
          let last = -1;
          for (const { start, end } of ranges) {
            if (start <= last || end <= start) throw new Error('ranges must be in order, disjoint, and not touch');
            for (let i = start; i < end; i++) if (!has.has(i)) throw new Error(`${i} was never written`);
            if (!(await readFrom((body as StoredBody).open({ start, end }))).equals(pattern(start, end))) return false;
            count += end - start;
            last = end;
          }
          return count === has.size && (body as StoredBody).size >= count;
        },
      ),
      { numRuns: 150 },
    );
    t.pass();
  });

  test(`${name}: under any history no more bytes than allowed are held, and every byte is accounted for`, async (t) => {
    const maxBytes = 60_000;
    const key = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h');
    const anyOperation = fc.oneof(
      fc.record({ do: fc.constant('begin' as const), bytes: fc.integer({ min: 0, max: 70_000 }) }),
      fc.record({ do: fc.constant('append' as const), who: fc.nat(5), bytes: fc.integer({ min: 0, max: 20_000 }) }),
      fc.record({ do: fc.constant('commit' as const), who: fc.nat(5), key, more: fc.boolean() }),
      fc.record({ do: fc.constant('abort' as const), who: fc.nat(5) }),
      fc.record({ do: fc.constant('get' as const), key }),
      fc.record({ do: fc.constant('open' as const), key }),
      fc.record({ do: fc.constant('close' as const), who: fc.nat(5) }),
      fc.record({ do: fc.constant('delete' as const), key }),
      fc.record({ do: fc.constant('resize' as const), bytes: fc.integer({ min: 1_000, max: 60_000 }) }),
    );
    fc.assert(
      fc.property(fc.array(anyOperation, { maxLength: 80 }), (operations) => {
        const store = make(maxBytes);
        const writers: { writer: StoreWriter; bytes: number }[] = [];
        const readers: BodyReader[] = [];
        for (const step of operations) {
          const one = 'who' in step ? writers[step.who % Math.max(1, writers.length)] : undefined;
          if (step.do === 'begin') {
            const writer = store.begin(step.bytes);
            if (writer) writers.push({ writer, bytes: 0 });
          } else if (step.do === 'append' && one) {
            const kept = one.writer.append(Buffer.alloc(step.bytes));
            if (kept === undefined) {
              one.writer.abort();
              writers.splice(writers.indexOf(one), 1);
            } else one.bytes += step.bytes;
          } else if (step.do === 'commit' && one) {
            const variant = respondWith(one.writer.commit(0), one.bytes);
            store.set(step.key, step.more ? [variant, ...store.get(step.key)] : [variant]);
            writers.splice(writers.indexOf(one), 1);
          } else if (step.do === 'abort' && one) {
            one.writer.abort();
            writers.splice(writers.indexOf(one), 1);
          } else if (step.do === 'open') {
            const [found] = store.get(step.key);
            if (found !== undefined) readers.push(found.body.open({ start: 0, end: found.length }));
          } else if (step.do === 'close') {
            readers.splice(step.who % Math.max(1, readers.length), 1)[0]?.close();
          } else if (step.do === 'get') store.get(step.key);
          else if (step.do === 'delete') store.delete(step.key);
          else if (step.do === 'resize' && writers.length + readers.length === 0) store.resize(step.bytes);
          if (store.bytesInUse > store.maxBytes) throw new Error(`${store.bytesInUse} of ${store.maxBytes} bytes`);
          const writing = writers.reduce((sum, { bytes }) => sum + bytes, 0);
          if (store.bytesInUse < writing) throw new Error('what is being written does not count');
        }
        for (const { writer } of writers) writer.abort();
        for (const [name] of [...store.entries()]) store.delete(name);
        for (const reader of readers) reader.close();
        return store.bytesInUse === 0 && store.size === 0;
      }),
      { numRuns: 300 },
    );
    t.pass();
  });
}
