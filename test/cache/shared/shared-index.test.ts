/** Index of keys in shared memory: what is found, and what is made of it after a thread has ended. */
import fc from 'fast-check';
import { test } from 'tap';
import { HASH, NO_ROW, PLACE } from '../../../cache/shared/shared-rows.ts';
import { KeyBytes } from '../../../cache/store/key-bytes.ts';
import { makeRecord, type RecordSource, writeRecord } from '../../../cache/store/record.ts';
import { TextTable } from '../../../cache/store/texts.ts';
import { sharedParts, type ThreadParts } from './parts.ts';

/** Responses are not looked at here: a record of none has its key. */
const SOURCE: RecordSource = {
  texts: new TextTable(),
  outside: {
    put: () => [],
    get: () => {
      throw new Error('nothing lies outside');
    },
  },
};

const sought = new KeyBytes();

function opened() {
  const shared = sharedParts(64 * 1024);
  const [a, b] = [shared.thread(), shared.thread()];
  return { a, b, words: shared.words, parts: shared.parts };
}

function link(thread: ThreadParts, key: string): number {
  const { rows, slabs, data, index } = thread;
  const bytes = makeRecord(key, [], SOURCE);
  const row = rows.take();
  const place = slabs.allocate(bytes, row);
  writeRecord(data, place * 8, row, slabs.bytesAt(place), 1);
  index.link(row, sought.set(key).hash, place);
  return row;
}

const find = ({ index }: ThreadParts, key: string): number => index.find(sought.set(key));

test('random keys that come and go: all threads find what is there, and nothing else', async (t) => {
  const step = fc.tuple(fc.boolean(), fc.nat(40));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150, size: 'max' }), (steps) => {
      const { a, b } = opened();
      const known = new Map<string, number>();
      for (const [isFirst, number] of steps) {
        const key = `http://shop.test/${number}`;
        const thread = isFirst ? a : b;
        const row = known.get(key);
        if (row === undefined) known.set(key, link(thread, key));
        else {
          thread.index.unlink(row);
          known.delete(key);
        }
      }
      for (let number = 0; number <= 40; number++) {
        const key = `http://shop.test/${number}`;
        const expected = known.get(key) ?? NO_ROW;
        if (find(a, key) !== expected || find(b, key) !== expected) throw new Error(key);
        if (a.index.findLocked(sought.set(key)) !== expected) throw new Error(`with the lock: ${key}`);
      }
      const { errors, rows } = a.index.check();
      if (errors.length > 0 || rows.size !== known.size || b.index.size !== known.size) throw new Error(errors.join());
    }),
    { numRuns: 40 },
  );
  t.pass();
});

test('a key of the same hash is another key', async (t) => {
  const { a } = opened();
  const row = link(a, 'http://shop.test/a');
  a.rows.publish(row, HASH, sought.set('http://shop.test/b').hash);
  t.equal(find(a, 'http://shop.test/b'), NO_ROW);
});

test('a record that moves is found at its new place, and what was read before does not count', async (t) => {
  const { a, b } = opened();
  const row = link(a, 'http://shop.test/a');
  find(b, 'http://shop.test/a');
  t.ok(b.index.isUnchanged());
  const place = b.index.place;
  const bytes = makeRecord('http://shop.test/a', [], SOURCE);
  const other = a.slabs.allocate(bytes, row);
  writeRecord(a.data, other * 8, row, a.slabs.bytesAt(other), 2);
  a.index.relink(row, other);
  t.notOk(b.index.isUnchanged());
  t.equal(find(b, 'http://shop.test/a'), row);
  t.not(b.index.place, place);
});

test('after a thread ended in the middle of a change, chains are made of the rows that have a place', async (t) => {
  const { a, b, words, parts } = opened();
  const rows = ['/a', '/b', '/c', '/d'].map((path) => link(a, `http://shop.test${path}`));
  const unplaced = rows[2] as number;
  a.rows.publish(unplaced, PLACE, 0);
  words[parts.buckets] = (words[parts.buckets] as number) | 1; // a bucket that was open
  t.not(a.index.check().errors.length, 0);
  b.index.repair(rows.filter((row) => row !== unplaced));
  t.same(a.index.check().errors, []);
  t.equal(a.index.size, 3);
  t.equal(find(a, 'http://shop.test/c'), NO_ROW);
  t.equal(find(a, 'http://shop.test/d'), rows[3]);
});

test('a reader that finds a bucket open, of a thread that has ended with the lock, waits no longer', async (t) => {
  const shared = sharedParts(64 * 1024);
  const [a, b] = [shared.thread(), shared.thread()];
  a.lock.acquire(a.token);
  shared.threads.end(a.token);
  b.index.backOff(2_000);
  t.equal(b.lock.holder, 0);
  t.equal(b.repairs(), 1);
});
