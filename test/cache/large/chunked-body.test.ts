/** The body of a stored large object, as its answer sees it. */
import { test } from 'tap';
import { ChunkedBody } from '../../../cache/large/chunked-body.ts';
import { readAll } from '../engine/bench.ts';
import { answerRange, knownObject, LENGTH, MIB } from './known-object.ts';
import { bytesOf } from './large-origin.ts';

async function bodyWith(...chunks: readonly number[]) {
  const stage = await knownObject();
  const { bench, head, request } = stage;
  for (const index of chunks) {
    const reader = new ChunkedBody(bench.engine, request(), head).open({ start: index * MIB, end: index * MIB + 1 });
    const read = readAll(reader);
    answerRange(bench.upstream.last, index * MIB, (index + 1) * MIB);
    await read;
  }
  return { ...stage, body: new ChunkedBody(bench.engine, request(), head) };
}

test('it has all of its range, and is the body that the head stands for', async (t) => {
  const { body, head, bench } = await bodyWith();
  t.same(body.ranges, [{ start: 0, end: LENGTH }]);
  t.equal(body.id, head.body.id);
  t.equal(body.size, head.body.size);
  t.equal(body.first, undefined, 'no chunk is looked for before it is opened');
  t.equal(bench.upstream.count, 1);
  t.ok(body.retain());
  body.release();
});

for (const { what, start, end, isStored } of [
  { what: 'one stored chunk', start: MIB, end: 2 * MIB, isStored: true },
  { what: 'a part of it', start: MIB + 5, end: MIB + 6, isStored: true },
  { what: 'the last byte of the one before', start: MIB - 1, end: MIB + 1, isStored: false },
  { what: 'the first byte of the one behind', start: MIB, end: 2 * MIB + 1, isStored: false },
]) {
  test(`of ${what}, all is ${isStored ? '' : 'not '}stored`, async (t) => {
    const { body, bench } = await bodyWith(1);
    const reader = body.open({ start, end });
    t.equal(body.isAllStored, isStored);
    t.equal(body.first, reader);
    reader.close();
    t.equal(bench.engine.large.size, 0);
  });
}

test('of several ranges, all are stored or not all are', async (t) => {
  const { body } = await bodyWith(1);
  const readers = [body.open({ start: MIB, end: MIB + 1 }), body.open({ start: 0, end: 1 })];
  t.equal(body.isAllStored, false);
  body.open({ start: MIB, end: MIB + 1 }).close();
  t.equal(body.isAllStored, false, 'one that is stored does not make up for it');
  t.equal(body.first, readers[0]);
  for (const reader of readers) reader.close();
});

test('bytes are those of the object, chunk by chunk', async (t) => {
  const { body } = await bodyWith(0, 1);
  t.ok((await readAll(body.open({ start: 5, end: 2 * MIB - 5 }))).equals(bytesOf(1, 5, 2 * MIB - 5)));
});
