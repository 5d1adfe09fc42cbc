/** Reading of a large object: where each chunk comes from, and what happens when it does not. */
import { test } from 'tap';
import { ChunkedReader } from '../../../cache/large/reader.ts';
import type { Ask } from '../engine/bench.ts';
import { field, readAll, turn } from '../engine/bench.ts';
import { answerRange, type KnownObject, knownObject, LENGTH, MIB, rangeFields } from './known-object.ts';
import { bytesOf } from './large-origin.ts';

function reading({ bench, generation, head, request }: KnownObject, start: number, end: number, ask?: Ask) {
  return new ChunkedReader({ engine: bench.engine, request: request(ask), generation, head }, { start, end });
}

/** Answers every request for a range from here on. */
function answering({ bench, origin }: KnownObject): void {
  bench.upstream.onRequest = (exchange) => queueMicrotask(() => origin.answer(exchange));
}

const ranges = ({ bench }: KnownObject): (string | undefined)[] =>
  bench.upstream.exchanges.slice(1).map(({ request }) => field(request.headers, 'range'));

test('bytes are those of the range, across chunks, and each chunk is asked for once', async (t) => {
  const stage = await knownObject();
  answering(stage);
  for (const { start, end } of [
    { start: MIB - 10, end: MIB + 10 },
    { start: MIB - 10, end: LENGTH },
    { start: 0, end: LENGTH },
  ]) {
    t.ok((await readAll(reading(stage, start, end))).equals(bytesOf(1, start, end)), `${start}-${end}`);
  }
  const asked = ranges(stage).flatMap((value) => {
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(value ?? '') ?? [];
    const chunks: number[] = [];
    for (let at = Number(first); at <= Number(last); at += MIB) chunks.push(at / MIB);
    return chunks;
  });
  t.same(asked.sort(), [0, 1, 2, 3]);
  t.equal(stage.bench.engine.large.size, 0);
});

test('an end beyond the object is its end', async (t) => {
  const stage = await knownObject();
  answering(stage);
  t.ok((await readAll(reading(stage, LENGTH - 5, LENGTH + MIB))).equals(bytesOf(1, LENGTH - 5, LENGTH)));
});

test('an empty range asks for nothing', async (t) => {
  const stage = await knownObject();
  const reader = reading(stage, 5, 5);
  t.equal(reader.ready(), undefined);
  t.equal(reader.next(), null);
  t.same(ranges(stage), []);
  t.equal(stage.bench.engine.large.size, 0);
});

test('a second reader of a chunk that is on its way waits for it', async (t) => {
  const stage = await knownObject();
  const before = { ...stage.bench.chunks };
  const all = [10, 20, 30].map((start) => readAll(reading(stage, start, 500)));
  t.same(ranges(stage), [`bytes=0-${MIB - 1}`]);
  answerRange(stage.bench.upstream.last, 0, MIB);
  for (const [i, bytes] of (await Promise.all(all)).entries()) t.ok(bytes.equals(bytesOf(1, 10 * (i + 1), 500)));
  t.equal(stage.bench.chunks.collapsed - before.collapsed, 2);
  t.equal(stage.bench.chunks.upstream - before.upstream, 1);
});

test('a chunk that breaks off is gone on with where it ended; twice at one place is an error', async (t) => {
  const stage = await knownObject();
  const { upstream } = stage.bench;
  const reader = reading(stage, 0, 2000);
  const first = reader.next();
  upstream.last.head(206, rangeFields(0, MIB)).data(bytesOf(1, 0, 500));
  t.ok((await first)?.equals(bytesOf(1, 0, 500)));
  const second = reader.next();
  upstream.last.fail();
  await turn();
  t.equal(upstream.count, 3, 'it was asked for again');
  upstream.last.fail('origin_timeout');
  await t.rejects(Promise.resolve(second), { code: 'origin_timeout' });
  t.equal(upstream.count, 3, 'and not a third time');
  reader.close();
  t.equal(stage.bench.engine.large.size, 0);
});

test('a chunk that is never there to be read is not asked for without end', async (t) => {
  const stage = await knownObject();
  const { bench, generation } = stage;
  bench.upstream.onRequest = () =>
    queueMicrotask(() => {
      for (const feed of generation.feeds) feed.leaveTo(0);
    });
  const reader = reading(stage, 0, 100);
  await t.rejects(Promise.resolve(reader.next()), { code: 'overloaded' });
  t.equal(ranges(stage).length, 5);
  reader.close();
  t.equal(bench.engine.large.size, 0);
});

test('what was purged hard is not asked for any more; what memory has of it goes out to the end', async (t) => {
  const stage = await knownObject();
  const { bench } = stage;
  answering(stage);
  await readAll(reading(stage, 0, 10));
  const reader = reading(stage, 0, LENGTH);
  bench.ledger.apply([{ seq: 1, site: 'shop', kind: 'url', selector: '//shop.test/film', soft: false }]);
  const before = bench.upstream.count;
  let read = 0;
  await t.rejects(
    (async () => {
      for (let piece = await reader.next(); piece !== null; piece = await reader.next()) read += piece.length;
    })(),
    { code: 'origin_bad_response' },
  );
  t.equal(read, MIB);
  t.equal(bench.upstream.count, before);
  reader.close();
});

test('one that a peer waits for does not wait for one that asks a peer', async (t) => {
  const stage = await knownObject();
  const asking = reading(stage, 0, 100, { asksPeer: true });
  void asking.ready();
  const asked = reading(stage, 0, 100, { forPeer: true });
  void asked.ready();
  t.equal(ranges(stage).length, 2, 'two edges that take each other for the owner would wait for each other');
  const third = reading(stage, 0, 100);
  void third.ready();
  t.equal(ranges(stage).length, 2);
  for (const reader of [asking, asked, third]) reader.close();
});

test('a reader that is closed gives back what it holds, once, and reads no more', async (t) => {
  const stage = await knownObject();
  const { bench } = stage;
  const reader = reading(stage, 0, 100);
  const waiting = reader.next();
  reader.close();
  reader.close();
  t.equal(bench.engine.large.size, 0);
  t.ok(bench.upstream.last.isAborted, 'no one else wants it');
  t.equal(await waiting, null);
  t.equal(reader.next(), null);
  t.equal(bench.engine.large.unread.size, 0);
});

test('one that names no end asks for one chunk at first, one that does for all that it may at a time', async (t) => {
  for (const { end, asked } of [
    { end: LENGTH, asked: MIB },
    { end: 3 * MIB, asked: 3 * MIB },
  ]) {
    const stage = await knownObject({ maxBytes: 256 * MIB });
    const reader = reading(stage, 0, end);
    void reader.ready();
    t.same(ranges(stage), [`bytes=0-${asked - 1}`]);
    reader.close();
  }
});
