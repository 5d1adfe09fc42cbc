import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { test } from 'tap';
import { pollRegularly, WatchedFiles } from '../../lib/file-watch.ts';

test('a change of several files counts once, when they have settled', async (t) => {
  const folder = t.testdir({ one: '1', two: '2' });
  const [one, two] = [join(folder, 'one'), join(folder, 'two')];
  const watched = new WatchedFiles([one, two]);
  watched.noteRead();
  t.notOk(await watched.hasChanged());
  writeFileSync(one, 'longer');
  t.notOk(await watched.hasChanged(), 'it may still be being written');
  writeFileSync(two, 'longer, too');
  t.notOk(await watched.hasChanged(), 'and so may the other one');
  t.ok(await watched.hasChanged());
  t.notOk(await watched.hasChanged(), 'said once');
});

test('a file that goes, and one that returns different, are changes', async (t) => {
  const folder = t.testdir({ one: '1', other: '1' });
  const [one, other] = [join(folder, 'one'), join(folder, 'other')];
  const watched = new WatchedFiles([one]);
  watched.noteRead();
  rmSync(one);
  await watched.hasChanged();
  t.ok(await watched.hasChanged());
  t.notOk(await watched.hasChanged());
  renameSync(other, one);
  await watched.hasChanged();
  t.ok(await watched.hasChanged());
});

test('a reader at each change has the current content after two looks', async (t) => {
  const file = join(t.testdir({ file: '' }), 'file');
  await fc.assert(
    fc.asyncProperty(fc.array(fc.option(fc.string({ maxLength: 3 })), { maxLength: 12 }), async (writes) => {
      // The state of a file has no part in its content: two writes of one length in one tick of its clock are alike.
      const watched = new WatchedFiles([file]);
      watched.noteRead();
      let read = readFileSync(file, 'utf8');
      let length = read.length;
      for (const write of [...writes, null, null]) {
        if (write !== null && write.length !== length) {
          writeFileSync(file, write);
          length = write.length;
        }
        if (await watched.hasChanged()) read = readFileSync(file, 'utf8');
      }
      return read === readFileSync(file, 'utf8');
    }),
    { numRuns: 50 },
  );
  t.pass();
});

test('one look runs at a time', async (t) => {
  let looks = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const poll = pollRegularly(() => {
    looks += 1;
    return promise;
  }, 2 ** 30);
  t.teardown(() => poll.close());
  const first = poll.look();
  await poll.look();
  t.equal(looks, 1);
  resolve();
  await first;
  await poll.look();
  t.equal(looks, 2);
});
