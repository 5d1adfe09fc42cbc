/** The content of a journal's file, for moving it elsewhere. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { openEmbeddedJournal } from '../../journal/embedded.ts';
import { exportJournal } from '../../journal/embedded-export.ts';
import { epochMs } from '../../lib/clock.ts';
import { aPurge, purges } from './contract.ts';

const TIME = Date.UTC(2026, 0, 1);

function opened(t: Test) {
  const file = join(t.testdir(), 'journal.db');
  const open = () => openEmbeddedJournal(file, { now: () => epochMs(TIME), defer: setImmediate });
  return { file, open };
}

test('all that a journal has is in it: records, terms, keys and audit entries, in order', async (t) => {
  const { file, open } = opened(t);
  const journal = open();
  await journal.append(purges(3), { key: 'k', body: Buffer.from('b') } as never);
  await journal.close();
  const second = open();
  await second.append([aPurge()]);
  const { identity } = second.state().terms.at(-1) ?? {};
  await second.close();

  const exported = exportJournal(file);
  t.teardown(() => exported.close());
  t.match(exported, { floor: 0, newest: 4, time: TIME });
  const records = [...exported.records()];
  t.same(
    records.map(({ seq }) => seq),
    [1, 2, 3, 4],
  );
  t.ok(records.every(({ soft }) => typeof soft === 'boolean'));
  t.equal(exported.terms.at(-1)?.identity, identity);
  t.equal(exported.terms.at(-1)?.after, 3);
  t.match([...exported.keys()], [{ key: 'k', first: 1, last: 3 }]);
  t.same([...exported.notes()], [], 'no entry was made');
});

test('an empty journal, and one of which records are gone, tell where they are', async (t) => {
  const { file, open } = opened(t);
  const journal = open();
  await journal.close();
  const empty = exportJournal(file);
  t.match(empty, { floor: 0, newest: 0, time: 0 });
  t.same([...empty.records()], []);
  t.ok(empty.terms.length > 0, 'number 0 has a term');
  empty.close();

  const again = open();
  await again.append(purges(3));
  await again.compact(TIME + 1);
  await again.close();
  const compacted = exportJournal(file);
  t.teardown(() => compacted.close());
  t.equal(compacted.newest, 3, 'the next number is behind those that are gone');
  t.ok(compacted.floor <= compacted.newest);
  t.equal([...compacted.records()].length, compacted.newest - compacted.floor);
});

test('a journal that is moved, is open elsewhere, or is none is not exported', async (t) => {
  const { file, open } = opened(t);
  t.throws(() => exportJournal(file), { code: 'journal_unopenable', message: /there is no such file/ });
  t.notOk(existsSync(file), 'none is made');
  const journal = open();
  await journal.append([aPurge()]);
  t.throws(() => exportJournal(file), { code: 'journal_in_use' });
  await journal.close();
  const exported = exportJournal(file);
  t.throws(() => open(), { code: 'journal_in_use' }, 'no control node appends meanwhile');
  exported.markMoved();
  exported.close();
  t.throws(() => exportJournal(file), { code: 'journal_moved' });
  t.throws(() => open(), { code: 'journal_moved' });
  const other = `${file}.text`;
  writeFileSync(other, 'this is no journal, and long enough to be read as one by its header'.repeat(20));
  t.throws(() => exportJournal(other), { code: 'journal_foreign' });
});
