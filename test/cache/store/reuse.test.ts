/** Memory of stored bodies, which is used again once they are neither stored nor read. */
import fc from 'fast-check';
import { test } from 'tap';
import { MemoryStore } from '../../../cache/store/memory-store.ts';
import { EvictedError, type StoredBody } from '../../../cache/store/store.ts';
import type { StoredResponse } from '../../../cache/stored-response.ts';
import { BUFFER_BYTES, copyToPool, release } from '../../../http/body/buffer-pool.ts';
import type { BodyReader } from '../../../http/message.ts';
import { storedResponse } from '../../support/stored-response.ts';

const MIB = 2 ** 20;
const source = Buffer.alloc(BUFFER_BYTES);

/** Piece as a connection reads it: each byte is its number. */
function numbered(number: number): Buffer {
  source.fill(number);
  return copyToPool(source, 0, BUFFER_BYTES);
}

/** Writes a body as a fill does, which has a reference of each piece until its readers are done. */
function written(store: MemoryStore, numbers: readonly number[], start = 0): StoredBody {
  const pieces = numbers.map(numbered);
  const writer = store.begin(0);
  for (const piece of pieces) if (writer?.append(piece) === undefined) throw new Error('no room');
  const body = writer?.commit(start) as StoredBody;
  for (const piece of pieces) release(piece);
  return body;
}

function put(store: MemoryStore, key: string, body: StoredBody): void {
  const length = body.ranges.at(-1)?.end ?? 0;
  store.set(key, [{ ...storedResponse(store, 1, 10, 0), body, length } as StoredResponse]);
}

function taken(reader: BodyReader): Buffer {
  const piece = reader.next();
  if (!Buffer.isBuffer(piece)) throw new Error('no piece is there');
  return piece;
}

test('memory of a body that is evicted is used again, once its readers are closed and have released it', async (t) => {
  const store = new MemoryStore(4 * MIB);
  put(store, 'a', written(store, [1, 2]));
  const [stored] = store.get('a');
  const reader = (stored as StoredResponse).body.open({ start: 0, end: 2 * BUFFER_BYTES });
  const first = taken(reader);
  store.delete('a');
  t.not(numbered(3).buffer, first.buffer, 'it is read');
  reader.close();
  t.not(numbered(4).buffer, first.buffer, 'a piece may be on its way to a socket');
  reader.release?.();
  t.equal(numbered(5).buffer, first.buffer);
  t.equal(store.bytesInUse, 0);
});

test('a body whose memory may be used again is as good as not stored', async (t) => {
  const store = new MemoryStore(4 * MIB);
  put(store, 'a', written(store, [1, 2]));
  const [stored] = store.get('a');
  store.delete('a');
  t.throws(() => stored?.body.open({ start: 0, end: 1 }), new EvictedError());
  t.equal(stored?.body.retain(), false);
  store.set('b', [stored as StoredResponse]);
  t.equal(store.size, 0);
});

const step = fc.oneof(
  fc.record({
    do: fc.constantFrom('put', 'part', 'delete', 'open'),
    key: fc.nat(5),
    pieces: fc.integer({ min: 2, max: 6 }),
  }),
  fc.record({ do: fc.constantFrom('read', 'read', 'read', 'release', 'close'), key: fc.nat(5), pieces: fc.nat(0) }),
);

test('under any history no piece that is stored, or was given out and not released, changes', async (t) => {
  let reused = 0;
  const seen = new WeakSet<ArrayBufferLike>();
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 80 }), (steps) => {
      const store = new MemoryStore(MIB);
      const readers: { reader: BodyReader; has: { piece: Buffer; says: number }[] }[] = [];
      let number = 0;
      const make = (count: number, start = 0): StoredBody => {
        const probe = numbered(0);
        if (seen.has(probe.buffer)) reused++;
        seen.add(probe.buffer);
        release(probe);
        return written(
          store,
          Array.from({ length: count }, () => number++ & 0xff),
          start,
        );
      };
      /** Bytes of a body by position, when it was made. */
      const says = new Map<number, Map<number, number>>();
      const note = (body: StoredBody): StoredBody => {
        const bytes = new Map<number, number>();
        for (const range of body.ranges) {
          const reader = body.open(range);
          let at = range.start;
          for (let piece = reader.next(); Buffer.isBuffer(piece); piece = reader.next()) {
            bytes.set(at, piece[0] as number);
            at += piece.length;
            reader.release?.();
          }
          reader.close();
        }
        says.set(body.id, bytes);
        return body;
      };
      for (const { do: what, key, pieces } of steps) {
        const name = String(key);
        const [stored] = store.get(name);
        const one = readers[key];
        if (what === 'put') put(store, name, note(make(pieces)));
        else if (what === 'part' && stored !== undefined) {
          const other = make(2, (pieces - 1) * (BUFFER_BYTES / 2));
          const body = store.combine(stored.body, other);
          const merged = new Map([...(says.get(stored.body.id) as Map<number, number>)]);
          note(body);
          for (const [at, value] of merged) if (says.get(body.id)?.has(at)) says.get(body.id)?.set(at, value);
          put(store, name, body);
        } else if (what === 'delete') store.delete(name);
        else if (what === 'open' && stored !== undefined && readers.length < 6) {
          const [range] = stored.body.ranges;
          if (range !== undefined) readers.push({ reader: stored.body.open(range), has: [] });
        } else if (what === 'read' && one !== undefined) {
          const piece = one.reader.next();
          if (Buffer.isBuffer(piece)) one.has.push({ piece, says: piece[0] as number });
        } else if (what === 'release' && one !== undefined) {
          one.has = [];
          one.reader.release?.();
        } else if (what === 'close') one?.reader.close();
        for (const { has } of readers) {
          for (const { piece, says: expected } of has) {
            if (piece[0] !== expected || piece.at(-1) !== expected)
              throw new Error('a piece that was given out has changed');
          }
        }
        for (const [, variants] of store.entries()) {
          const body = variants[0]?.body as StoredBody;
          for (const range of body.ranges) {
            const reader = body.open(range);
            let at = range.start;
            for (let piece = reader.next(); Buffer.isBuffer(piece); piece = reader.next()) {
              const expected = says.get(body.id)?.get(at);
              if (expected !== undefined && piece[0] !== expected)
                throw new Error(`a stored piece has changed at ${at}`);
              at += piece.length;
              reader.release?.();
            }
            reader.close();
          }
        }
      }
      for (const { reader } of readers) reader.close();
      for (const [key] of [...store.entries()]) store.delete(key);
      if (store.bytesInUse !== 0) throw new Error(`${store.bytesInUse} bytes are left`);
    }),
    { numRuns: 500 },
  );
  t.ok(reused > 200, `${reused} pieces were used again`);
});
