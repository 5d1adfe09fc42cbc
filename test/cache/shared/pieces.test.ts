/** Values in pieces: written, read, moved and given back, with threads that pin them. */
import fc from 'fast-check';
import { test } from 'tap';
import type { PiecedBody } from '../../../cache/shared/pieces.ts';
import { OWNER, PLACE, REFERENCES } from '../../../cache/shared/shared-rows.ts';
import { MemoryWriter } from '../../../cache/store/body.ts';
import { PACKED_BYTES } from '../../../cache/store/record.ts';
import { pattern } from '../engine/bench.ts';
import { sharedParts, type ThreadParts } from './parts.ts';

const KIB = 1024;

function opened(maxBytes = 256 * KIB) {
  const shared = sharedParts(maxBytes);
  const [a, b] = [shared.thread(), shared.thread()];
  return { a, b, threads: shared.threads };
}

function write({ pieces }: ThreadParts, bytes: Buffer, id = 7): PiecedBody {
  const value = pieces.write(id, [{ start: 0, end: bytes.length, chunks: [bytes] }]);
  if (value === undefined) throw new Error('no room');
  return value;
}

function bytesOf(value: PiecedBody, start: number, end: number): Buffer {
  const reader = value.open({ start, end });
  const all: Buffer[] = [];
  for (let piece = reader.next(); piece instanceof Buffer; piece = reader.next()) all.push(Buffer.from(piece));
  reader.close();
  return Buffer.concat(all);
}

/** The value as another thread reads it from the integers in a record. */
function seenBy({ pieces }: ThreadParts, { reference }: PiecedBody): PiecedBody {
  const integers = reference.values();
  return pieces.read(() => integers.next().value as number);
}

const writerOf = ({ pieces }: ThreadParts, expectedBytes: number) =>
  pieces.writer({
    small: new MemoryWriter(
      () => true,
      () => undefined,
      () => 9,
    ),
    id: 9,
    expectedBytes,
  });

test('any range of a value is read back by any thread, however its bytes came and whatever its number', async (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 60_000 }),
      fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
      fc.tuple(fc.nat(), fc.nat()),
      (length, id, [one, other]) => {
        const { a, b } = opened();
        const bytes = pattern(length);
        const value = seenBy(b, write(a, bytes, id));
        const [start, end] = [one % (length + 1), other % (length + 1)].sort((x, y) => x - y) as [number, number];
        if (!bytesOf(value, start, end).equals(bytes.subarray(start, end))) throw new Error('other bytes');
        if (value.id !== id) throw new Error(`number ${value.id}`);
      },
    ),
    { numRuns: 25 },
  );
  t.pass();
});

test('ranges with a hole between them, beyond 4 GiB, are kept apart', async (t) => {
  const { a, b } = opened();
  const far = 5 * 2 ** 30;
  const value = a.pieces.write(1, [
    { start: 10, end: 20, chunks: [Buffer.from('0123456789')] },
    { start: far, end: far + 5, chunks: [Buffer.from('abc'), Buffer.from('de')] },
  ]);
  if (value === undefined) throw new Error('no room');
  const seen = seenBy(b, value);
  t.match(seen.ranges, [
    { start: 10, end: 20 },
    { start: far, end: far + 5 },
  ]);
  t.equal(String(bytesOf(seen, 12, 15)), '234');
  t.equal(String(bytesOf(seen, far + 1, far + 4)), 'bcd');
});

test('without room nothing of a value stays', async (t) => {
  const { a } = opened(8 * KIB);
  t.equal(a.pieces.write(1, [{ start: 0, end: 900 * KIB, chunks: [Buffer.alloc(900 * KIB)] }]), undefined);
  t.equal(a.slabs.bytes, 0);
  write(a, pattern(2 * KIB));
});

test('a piece goes with the last record that refers to its value', async (t) => {
  const { a, b } = opened();
  const value = write(a, pattern(5_000));
  a.pieces.refer(value);
  b.pieces.refer(value);
  a.pieces.release(value.reference);
  t.ok(b.pieces.isStored(value));
  b.pieces.release(value.reference);
  t.notOk(b.pieces.isStored(value));
  t.throws(() => seenBy(b, value).open({ start: 0, end: 1 }), { message: /evicted/ });
  t.notOk(value.retain());
});

test('what is read stays as it was, though the value goes and its rows are used again', async (t) => {
  const { a, b } = opened(8 * KIB);
  const bytes = pattern(3_000);
  const value = write(a, bytes);
  a.pieces.refer(value);
  const seen = seenBy(b, value);
  const reader = seen.open({ start: 0, end: 3_000 });
  a.pieces.release(value.reference);
  for (let i = 0; i < 3; i++) {
    a.slabs.tidy();
    a.pieces.discard(write(a, pattern(3_000, 9), 8).rows);
  }
  t.notOk(b.pieces.isStored(value));
  const read: Buffer[] = [];
  for (let piece = reader.next(); piece !== null; piece = reader.next()) read.push(Buffer.from(piece as Buffer));
  reader.close();
  t.ok(Buffer.concat(read).equals(bytes));
  const later = write(a, pattern(3_000, 5), 12);
  t.notOk(seen.retain(), 'another value in the same rows is not taken for it');
  t.ok(later.retain());
  later.release();
});

test('a writer takes what is small for a record, and pieces beyond that; both are read back', async (t) => {
  for (const length of [1, PACKED_BYTES, PACKED_BYTES + 1, 50_000]) {
    const { a } = opened();
    const bytes = pattern(length);
    const writer = writerOf(a, 0);
    for (let at = 0; at < length; at += 7_000) writer.append(bytes.subarray(at, at + 7_000));
    t.equal(writer.isReadable, length > PACKED_BYTES, `${length}`);
    if (writer.isReadable) t.ok(writer.read(5, 40).equals(bytes.subarray(5, 40)));
    const body = writer.commit(0);
    t.same(
      body.ranges.map(({ start, end }) => ({ start, end })),
      [{ start: 0, end: length }],
    );
    const reader = body.open({ start: 0, end: length });
    const read: Buffer[] = [];
    for (let piece = reader.next(); piece !== null; piece = reader.next()) read.push(Buffer.from(piece as Buffer));
    t.ok(Buffer.concat(read).equals(bytes), `${length}`);
    reader.close();
    writer.abort();
  }
});

test('a writer that is given up, before or after its commit, leaves nothing', async (t) => {
  for (const commits of [false, true]) {
    const { a } = opened();
    const writer = writerOf(a, 50_000);
    writer.append(pattern(50_000));
    if (commits) writer.commit(0);
    writer.abort();
    writer.abort();
    t.equal(a.slabs.bytes, 0, `${commits}`);
    t.equal(writer.append(pattern(10)), undefined, 'it takes no more');
  }
});

test('what a record refers to outlasts its writer', async (t) => {
  const { a, b } = opened();
  const bytes = pattern(50_000);
  const writer = writerOf(a, 50_000);
  writer.append(bytes);
  const body = writer.commit(0) as PiecedBody;
  a.pieces.refer(body);
  writer.abort();
  t.ok(bytesOf(seenBy(b, body), 0, 50_000).equals(bytes));
});

test('after a thread has ended, pieces to which no record refers go, but those that another one writes', async (t) => {
  const { a, b, threads } = opened();
  const [kept, lost, others] = [write(a, pattern(3_000), 1), write(a, pattern(3_000), 2), write(b, pattern(3_000), 3)];
  a.pieces.refer(kept);
  threads.end(a.token);
  const all = [...kept.rows, ...lost.rows, ...others.rows];
  for (const row of kept.rows) b.rows.set(row, REFERENCES, 5); // it ended while it counted
  b.pieces.repair(all, [kept.reference]);
  t.ok(kept.rows.every((row) => b.rows.get(row, REFERENCES) === 1 && b.rows.get(row, OWNER) === 0));
  t.ok(lost.rows.every((row) => b.rows.get(row, PLACE) === 0));
  t.ok(b.pieces.isStored(others));
});
