/** One generation of a large object: who uses it, and what it keeps for readers that have not come yet. */
import { test } from 'tap';
import { ChunkFeed } from '../../../cache/large/feed.ts';
import { ChunkTransfer } from '../../../cache/large/transfer.ts';
import { knownObject, MIB } from './known-object.ts';

const NO_SOURCE = { pause: () => undefined, resume: () => undefined, stop: () => undefined, unread: () => undefined };
const MAX_LEFTOVERS = 16;

async function stage() {
  const { bench, generation } = await knownObject();
  const { large } = bench.engine;
  const options = { large, engine: bench.engine, generation, isWanted: false, asksPeer: false, source: NO_SOURCE };
  const feed = new ChunkFeed({ ...options, range: { start: 0, end: 3 * MIB } }, 0);
  const transfer = (index: number) =>
    new ChunkTransfer(index, { start: index * MIB, end: (index + 1) * MIB }, { feed, unread: large.unread });
  return { bench, generation, transfer, large };
}

test('a generation is known from its first user to its last, and two of one head are one', async (t) => {
  const { bench, generation, head } = await knownObject();
  const { large } = bench.engine;
  const key = bench.keyOf('/film');
  t.equal(large.size, 0, 'a head that no one reads costs nothing');
  generation.enter();
  generation.enter();
  t.equal(large.size, 1);
  t.equal(large.of(head, key), generation);
  const other = large.of({ ...head, generation: 'another' }, key);
  t.not(other, generation);
  generation.leave();
  t.equal(large.size, 1, 'one user is left');
  generation.leave();
  t.equal(large.size, 0);
  t.not(large.of(head, key), generation);
});

test('a generation that has been opened a second time is not taken out by the end of the first', async (t) => {
  const { bench, generation, head } = await knownObject();
  const { large } = bench.engine;
  const second = large.of(head, bench.keyOf('/film'));
  t.not(second, generation, 'neither has a user yet');
  second.enter();
  generation.enter();
  generation.leave();
  t.equal(large.of(head, bench.keyOf('/film')), second);
  second.leave();
  t.equal(large.size, 0);
});

test('of what is left over for readers, the oldest goes first, and no more than a few stay', async (t) => {
  const { generation, transfer, large } = await stage();
  const all = Array.from({ length: MAX_LEFTOVERS + 3 }, (_, index) => transfer(index));
  for (const one of all) {
    generation.transfers.set(one.index, one);
    generation.leaveOver(one);
  }
  t.same(
    [...generation.transfers.keys()],
    all.slice(3).map(({ index }) => index),
  );
  t.equal(large.unread.size, 0, 'they do not count as fetched ahead');
});

test('a transfer that is forgotten late does not take out the one that has its place by now', async (t) => {
  const { generation, transfer } = await stage();
  const [old, current] = [transfer(1), transfer(1)];
  generation.transfers.set(1, current);
  generation.forget(old);
  t.equal(generation.transfers.get(1), current);
  generation.forget(current);
  t.equal(generation.transfers.size, 0);
});
