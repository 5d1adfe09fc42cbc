/** Slabs in shared memory: where records are written, and when a slab is free again. */
import { test } from 'tap';
import { PLACE } from '../../../cache/shared/shared-rows.ts';
import { NO_PLACE } from '../../../cache/shared/slabs.ts';
import { sharedParts, type ThreadParts } from './parts.ts';

/** Bytes of a slab of the smallest memory, of which each record here takes a quarter. */
const SLAB = 4096;
const QUARTER: number = SLAB / 4;

function opened() {
  const shared = sharedParts(8 * 1024);
  const [a, b] = [shared.thread(), shared.thread()];
  return { a, b, threads: shared.threads, count: shared.shape.slabs };
}

/** Stores a record that ends in its number. */
function put({ rows, slabs, data }: ThreadParts, number: number, bytes = QUARTER): number {
  const row = rows.take();
  const place = slabs.allocate(bytes, row);
  if (place === NO_PLACE) throw new Error('no slab is free');
  rows.publish(row, PLACE, place + 1);
  data.view.setInt32(place * 8 + bytes - 4, number, true);
  return row;
}

function remove({ rows, slabs }: ThreadParts, row: number): void {
  const place = rows.get(row, PLACE) - 1;
  rows.publish(row, PLACE, 0);
  slabs.release(place);
  rows.release(row);
}

function numberOf({ rows, data }: ThreadParts, row: number, bytes = QUARTER): number {
  return data.view.getInt32((rows.get(row, PLACE) - 1) * 8 + bytes - 4, true);
}

test('records lie one behind the other, at multiples of 8 bytes, in one slab until it is full', async (t) => {
  const { a } = opened();
  const places = [1, 8, 9, 100].map((bytes, row) => a.slabs.allocate(bytes, row));
  t.same(
    places.map((place) => place - (places[0] as number)),
    [0, 1, 2, 4],
  );
  t.equal(a.slabs.bytesAt(places[3] as number), 104);
  t.equal(a.slabs.rest, SLAB - 8 - 8 - 16 - 104);
  t.ok(a.slabs.isOf(places[2] as number, 2));
  t.notOk(a.slabs.isOf(places[2] as number, 3));
  t.equal(a.slabs.growthBy(a.slabs.rest - 8), 0);
  t.equal(a.slabs.growthBy(a.slabs.rest + 1), SLAB);
});

test('no record crosses the end of a slab; when all are full there is no place, until one is free again', async (t) => {
  const { a, count } = opened();
  const rows: number[] = [];
  for (let i = 0; i < count * 4; i++) rows.push(put(a, i));
  t.equal(a.slabs.allocate(QUARTER, 9999), NO_PLACE);
  t.equal(a.slabs.bytes, count * SLAB);
  t.ok(rows.every((row, i) => numberOf(a, row) === i));
  for (const row of rows.slice(0, 4)) remove(a, row);
  a.slabs.tidy();
  t.equal(a.slabs.bytes, (count - 1) * SLAB);
  put(a, 1);
});

test('a slab of which a quarter is of no use stays; one with less in use is emptied into another', async (t) => {
  const { a, b } = opened();
  const rows = [0, 1, 2, 3, 4].map((number) => put(a, number));
  remove(a, rows[0] as number);
  a.slabs.tidy();
  t.equal(a.slabs.bytes, 2 * SLAB);
  remove(a, rows[1] as number);
  a.slabs.tidy();
  t.equal(a.slabs.bytes, SLAB);
  t.same(
    [2, 3, 4].map((i) => numberOf(b, rows[i] as number)),
    [2, 3, 4],
    'what was moved is found, with its bytes',
  );
});

test('a slab that any thread has pinned is left as it is until it is not', async (t) => {
  const { a, b, threads } = opened();
  const rows = [0, 1, 2, 3, 4].map((number) => put(a, number));
  const slab = a.slabs.slabOf(a.rows.get(rows[0] as number, PLACE) - 1);
  const before = a.rows.get(rows[3] as number, PLACE);
  threads.pin(b.token, slab);
  for (const row of rows.slice(0, 3)) remove(a, row);
  a.slabs.tidy();
  t.equal(a.rows.get(rows[3] as number, PLACE), before);
  t.equal(a.slabs.pinnedBytes, SLAB);
  t.ok(b.slabs.isSparse(slab), 'the thread that unpins it sees that there is something to do');
  threads.unpin(b.token, slab);
  b.slabs.settle(slab);
  t.equal(a.slabs.bytes, SLAB);
  t.equal(numberOf(a, rows[3] as number), 3);
  t.equal(a.slabs.pinnedBytes, 0);
});

test('with no room for what is left in it, a slab is not emptied, and loses nothing', async (t) => {
  const { a, count } = opened();
  const rows: number[] = [];
  for (let i = 0; i < count * 4; i++) rows.push(put(a, i));
  const left = rows.filter((_, i) => i % 2 === 0);
  for (const [i, row] of rows.entries()) if (i % 2 !== 0) remove(a, row);
  a.slabs.tidy();
  t.ok(left.every((row, i) => numberOf(a, row) === 2 * i));
});

test('after a thread has ended, what slabs hold is worked out from the rows', async (t) => {
  const { a, b } = opened();
  const rows = [0, 1, 2, 3, 4, 5].map((number) => put(a, number));
  for (const row of rows.slice(0, 4)) a.rows.publish(row, PLACE, 0); // it ended before it could say so to the slabs
  b.slabs.repair(rows.slice(4).map((row) => a.rows.get(row, PLACE) - 1));
  t.equal(b.slabs.bytes, SLAB);
  t.same(
    rows.slice(4).map((row) => numberOf(b, row)),
    [4, 5],
  );
  const again = put(b, 6);
  t.equal(numberOf(a, again), 6);
});
