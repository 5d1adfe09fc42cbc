/** A body that becomes chunks: how much of it is taken, what is stored, and where it ends. */
import { test } from 'tap';
import { chunkRange } from '../../../cache/large/chunk.ts';
import { ChunkFeed, type FeedOptions } from '../../../cache/large/feed.ts';
import { HttpError } from '../../../http/errors.ts';
import type { BenchOptions } from '../engine/bench.ts';
import { knownObject, LENGTH, MIB } from './known-object.ts';
import { bytesOf } from './large-origin.ts';

interface FeedStart extends BenchOptions {
  readonly start?: number;
  readonly end?: number;
  readonly ahead?: number;
  readonly options?: Partial<FeedOptions>;
}

async function feeding({ start = 0, end = LENGTH, ahead = 4, options, ...of }: FeedStart = {}) {
  const { bench, generation } = await knownObject(of);
  const { engine } = bench;
  const calls: string[] = [];
  const source = {
    pause: () => void calls.push('pause'),
    resume: () => void calls.push('resume'),
    stop: () => void calls.push('stop'),
    unread: () => void calls.push('unread'),
  };
  const { large } = engine;
  const range = { start, end };
  const feed = new ChunkFeed(
    { large, engine, generation, range, isWanted: true, asksPeer: false, source, ...options },
    ahead,
  );
  /** Gives it bytes of the object, up to a position. */
  const upTo = (position: number, pieceBytes = 300_000): void => {
    for (let at = feed.position; at < position; at += pieceBytes) {
      feed.append(bytesOf(1, at, Math.min(position, at + pieceBytes)));
    }
  };
  return { bench, generation, large, feed, calls, upTo };
}

function storedBytes({ large, generation }: Awaited<ReturnType<typeof feeding>>, index: number): Buffer | undefined {
  const { start, end } = chunkRange(index, LENGTH);
  const reader = large.open(generation, index, { start: 0, end: end - start });
  const pieces: Buffer[] = [];
  for (let piece = reader?.next(); piece instanceof Buffer; piece = reader?.next()) pieces.push(Buffer.from(piece));
  reader?.close();
  return reader === undefined ? undefined : Buffer.concat(pieces);
}

test('each chunk is stored whole, however the bytes are cut, the short last one as well', async (t) => {
  for (const pieceBytes of [65_537, 3 * MIB]) {
    const stage = await feeding();
    stage.upTo(LENGTH, pieceBytes);
    for (let index = 0; index < 4; index++) {
      const { start, end } = chunkRange(index, LENGTH);
      t.ok(storedBytes(stage, index)?.equals(bytesOf(1, start, end)), `chunk ${index}`);
    }
    t.ok(stage.feed.isOver);
    t.notOk(stage.calls.includes('stop'), 'a source that has no more ends by itself');
    t.equal(stage.generation.feeds.size, 0);
    t.equal(stage.large.unread.size, 0);
  }
});

test('a chunk of which the beginning is missing is read, and not stored', async (t) => {
  const stage = await feeding({ start: MIB + 1 });
  stage.upTo(2 * MIB);
  t.notOk(stage.large.has(stage.generation, 1));
  stage.upTo(LENGTH);
  t.ok(stage.large.has(stage.generation, 2));
});

test('the source is held back at the chunk that no reader has asked for, until one does', async (t) => {
  const { feed, calls, upTo, large, generation } = await feeding({ ahead: 1 });
  feed.enter(t);
  upTo(MIB);
  t.same(calls, ['pause']);
  feed.demand(1);
  t.same(calls, ['pause'], 'that chunk has come already');
  feed.demand(2);
  t.same(calls, ['pause', 'resume']);
  t.notOk(feed.isOver);
  upTo(2 * MIB);
  t.same(calls, ['pause', 'resume', 'pause']);
  feed.append(bytesOf(1, 2 * MIB, 3 * MIB)); // was on its way when the source was held back
  t.ok(large.has(generation, 2), 'what comes all the same is not lost');
});

test('it ends where the store has the next chunk, and gives up the rest of its source', async (t) => {
  const first = await feeding({ start: MIB, end: 2 * MIB });
  first.upTo(2 * MIB);
  const { bench, generation, large } = first;
  const calls: string[] = [];
  const nothing = (): void => undefined;
  const source = { pause: nothing, resume: nothing, stop: () => void calls.push('stop'), unread: nothing };
  const range = { start: 0, end: LENGTH };
  const feed = new ChunkFeed(
    { large, engine: bench.engine, generation, range, isWanted: false, asksPeer: false, source },
    1,
  );
  feed.append(bytesOf(1, 0, MIB));
  t.notOk(feed.isOver, 'it stops at what it was asked for');
  feed.demand(4);
  t.ok(feed.isOver);
  t.same(calls, ['stop']);
  feed.append(bytesOf(1, MIB, 2 * MIB));
  t.equal(feed.position, MIB, 'what the source still sends is not taken');
});

test('a source that ends too early fails the chunk that has begun, and those behind it', async (t) => {
  const { feed, generation, upTo, large } = await feeding();
  const transfers = [...generation.transfers.values()];
  upTo(MIB + 5);
  feed.ended();
  t.ok(large.has(generation, 0), 'what came whole stays');
  t.same(
    transfers.map(({ failure }) => failure?.code),
    [undefined, 'origin_bad_response', 'origin_bad_response', 'origin_bad_response'],
  );
  t.equal(generation.transfers.size, 0, 'they may be asked for again');
  t.equal(large.size, 0);
  feed.fail(new HttpError('origin_timeout'));
  t.equal(transfers[1]?.failure?.code, 'origin_bad_response', 'it fails once');
});

test('without a reader, the chunk that has begun is completed, and no other one', async (t) => {
  const { feed, generation, calls, upTo, large } = await feeding();
  feed.enter(t);
  upTo(MIB / 2);
  feed.leave(t);
  feed.leave(t);
  t.same(calls, ['unread'], 'the source hears of it once');
  feed.windDown();
  t.same([...generation.transfers.keys()], [0]);
  t.notOk(feed.isOver);
  upTo(2 * MIB);
  t.ok(feed.isOver);
  t.same(calls, ['unread', 'stop']);
  t.ok(large.has(generation, 0));
  t.notOk(large.has(generation, 1));
});

for (const { what, before, keeps } of [
  { what: 'none has begun', before: 0, keeps: true },
  { what: 'the one that has begun is not stored', before: MIB / 2, keeps: false },
]) {
  test(`without a reader it ends at once where ${what}`, async (t) => {
    const { feed, calls, upTo, generation } = await feeding();
    feed.keeps = keeps;
    upTo(before);
    feed.windDown();
    t.ok(feed.isOver);
    t.equal(calls.at(-1), 'stop');
    t.equal(generation.transfers.size, 0);
  });
}

test('chunks are left to another feed from an index on, but none that has begun', async (t) => {
  const { feed, generation, upTo, calls } = await feeding();
  const third = generation.transfers.get(2);
  upTo(MIB + 5);
  feed.leaveTo(1);
  t.ok(generation.transfers.has(1), 'its bytes are coming');
  feed.leaveTo(2);
  t.same([...generation.transfers.keys()], [1]);
  t.ok(third?.isDropped);
  t.equal(third?.failure, undefined, 'its readers ask again');
  upTo(2 * MIB);
  t.ok(feed.isOver);
  t.same(calls, ['stop']);
});

test('a chunk that is not stored is left over for the readers that it was fetched for', async (t) => {
  const { feed, generation, upTo, large } = await feeding({ end: MIB });
  feed.keeps = false;
  const transfer = feed.first;
  upTo(MIB);
  t.ok(feed.isOver);
  t.notOk(large.has(generation, 0));
  t.equal(generation.transfers.get(0), transfer);
  t.ok(transfer?.canReadFrom(0));
});

test('without memory for a chunk its bytes pass by, in a window', async (t) => {
  const { feed, generation, upTo, large, bench } = await feeding();
  bench.store.resize(MIB / 2);
  const transfer = feed.first;
  upTo(10_000);
  t.equal(transfer?.body?.isStoring, false);
  t.notOk(large.has(generation, 0));
  t.ok(transfer?.canReadFrom(0));
});

test('a chunk before the one that is waited for is passed over if it is neither stored nor read', async (t) => {
  const { feed, generation } = await feeding();
  feed.keeps = false;
  feed.append(bytesOf(1, 0, 1000));
  const [first, second] = [generation.transfers.get(0), generation.transfers.get(1)];
  if (first === undefined || second === undefined) throw new Error('not planned');
  let went = 0;
  const waiting = feed.wait(second, () => void went++);
  t.ok(first.isDropped);
  feed.append(bytesOf(1, 1000, MIB + 1));
  await waiting;
  t.equal(went, 1);
  t.equal(second.body?.received, 1);
});
