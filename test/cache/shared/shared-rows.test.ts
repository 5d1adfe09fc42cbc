/** Rows in shared memory: given out once, taken back, and counted anew after a thread has ended. */
import { test } from 'tap';
import { NO_ROW, PLACE, SharedRows } from '../../../cache/shared/shared-rows.ts';
import { STATE } from '../../../cache/store/rows.ts';
import { sharedParts } from './parts.ts';

function taking() {
  const shared = sharedParts(4 * 1024);
  const { words, parts, shape } = shared;
  const rows = new SharedRows(words, parts, shape);
  return { rows, other: new SharedRows(words, parts, shape), limit: shape.rows };
}

test('each row is given out once, up to the last one, whichever thread takes it', async (t) => {
  const { rows, other, limit } = taking();
  const taken = Array.from({ length: limit }, (_, i) => (i % 2 === 0 ? rows : other).take());
  t.equal(new Set(taken).size, limit);
  t.ok(taken.every((row) => row >= 0 && row < limit));
  t.equal(rows.take(), NO_ROW);
  t.equal(rows.count, limit);
});

test('a row that was given back is taken again before a new one, with nothing of its last use', async (t) => {
  const { rows, other } = taking();
  const [first, second] = [rows.take(), rows.take()];
  rows.set(first, STATE, 12_345);
  rows.release(first);
  rows.release(second);
  t.equal(other.take(), second);
  t.equal(other.take(), first);
  t.equal(rows.get(first, STATE), 0);
  t.equal(rows.count, 2);
});

test('a change is made only where nothing has changed meanwhile', async (t) => {
  const { rows, other } = taking();
  const row = rows.take();
  rows.set(row, STATE, 1);
  other.change(row, STATE, 2, 3);
  t.equal(rows.get(row, STATE), 1);
  other.change(row, STATE, 1, 3);
  t.equal(rows.load(row, STATE), 3);
});

test('a repair finds each row that has no place, once, and none that has one', async (t) => {
  const { rows, limit } = taking();
  const taken = [rows.take(), rows.take(), rows.take(), rows.take()] as const;
  for (const row of [taken[0], taken[2]]) rows.publish(row, PLACE, 1 + row);
  rows.release(taken[3]);
  rows.repair();
  rows.repair();
  t.same([rows.take(), rows.take()].sort(), [taken[1], taken[3]]);
  t.equal(rows.take(), rows.count - 1, 'then new ones come');
  t.ok(rows.count <= limit);
});
