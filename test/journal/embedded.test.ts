import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { type Test, test } from 'tap';
import { storedLog } from '../../journal/audit/export.ts';
import { verifyAudit } from '../../journal/audit/verify.ts';
import { EmbeddedJournal, openEmbeddedJournal } from '../../journal/embedded.ts';
import { openJournalFile } from '../../journal/embedded-file.ts';
import { type EpochMs, epochMs, wallNow } from '../../lib/clock.ts';
import { aPurge, contract, type Opened, purges } from './contract.ts';

const now = (): EpochMs => epochMs(Date.UTC(2026, 0, 1));

let files = 0;

/** A file that is not there yet. */
function newFile(t: Test): string {
  files += 1;
  return join(t.testdirName, `journal-${files}.db`);
}

contract('embedded', async (t, clock) => {
  if (!existsSync(t.testdirName)) t.testdir();
  const open = (file: string): Opened => {
    const journal = openEmbeddedJournal(file, { now: () => epochMs(clock()), defer: setImmediate });
    t.teardown(() => journal.close());
    return {
      journal,
      async reopen() {
        await journal.close();
        return open(file);
      },
      async copy() {
        const copied = newFile(t);
        copyFile(file, copied);
        return open(copied);
      },
    };
  };
  return open(newFile(t));
});

/** Copies the file of an open journal. */
function copyFile(file: string, copy: string): void {
  copyFileSync(file, copy);
  if (existsSync(`${file}-wal`)) copyFileSync(`${file}-wal`, `${copy}-wal`);
}

/** A closed journal with so many records. */
async function madeFile(t: Test, count: number): Promise<string> {
  const file = newFile(t);
  const journal = openEmbeddedJournal(file, { now });
  if (count > 0) await journal.append(purges(count));
  await journal.close();
  return file;
}

function change(file: string, ...statements: string[]): void {
  const db = new DatabaseSync(file);
  for (const statement of statements) db.exec(statement);
  db.close();
}

const REFUSED: readonly { what: string; code: string; spoil: (file: string) => void }[] = [
  { what: 'text', code: 'journal_foreign', spoil: (file) => writeFileSync(file, 'no database at all\n'.repeat(99)) },
  {
    what: 'another program’s database',
    code: 'journal_foreign',
    spoil: (file) => {
      writeFileSync(file, '');
      change(file, 'CREATE TABLE notes (text)');
    },
  },
  {
    what: 'another application id',
    code: 'journal_foreign',
    spoil: (file) => change(file, 'PRAGMA application_id = 7'),
  },
  { what: 'a later version', code: 'journal_version', spoil: (file) => change(file, 'PRAGMA user_version = 6') },
  { what: 'an earlier version', code: 'journal_version', spoil: (file) => change(file, 'PRAGMA user_version = 1') },
  { what: 'a missing table', code: 'journal_corrupt', spoil: (file) => change(file, 'DROP TABLE purge') },
  { what: 'a table too many', code: 'journal_corrupt', spoil: (file) => change(file, 'CREATE TABLE more (x)') },
  {
    what: 'a hole in the numbers',
    code: 'journal_corrupt',
    spoil: (file) => change(file, 'DELETE FROM purge WHERE seq = 50'),
  },
  {
    what: 'a missing beginning',
    code: 'journal_corrupt',
    spoil: (file) => change(file, 'DELETE FROM purge WHERE seq < 9'),
  },
  { what: 'no floor', code: 'journal_corrupt', spoil: (file) => change(file, 'DELETE FROM journal') },
  { what: 'two floors', code: 'journal_corrupt', spoil: (file) => change(file, 'INSERT INTO journal VALUES (0)') },
  { what: 'no terms', code: 'journal_corrupt', spoil: (file) => change(file, 'DELETE FROM term') },
  {
    what: 'one identity of two terms',
    code: 'journal_corrupt',
    spoil: (file) => change(file, 'INSERT INTO term SELECT 100, identity FROM term LIMIT 1'),
  },
  {
    what: 'an identity that is none',
    code: 'journal_corrupt',
    spoil: (file) => change(file, "UPDATE term SET identity = '' WHERE after = 0"),
  },
  {
    what: 'a term that gave out nothing',
    code: 'journal_corrupt',
    spoil: (file) => change(file, "INSERT INTO term VALUES (200, 'next')"),
  },
  { what: 'a file cut short', code: 'journal_corrupt', spoil: (file) => truncateSync(file, 8_192) },
  {
    what: 'overwritten pages',
    code: 'journal_corrupt',
    spoil: (file) => {
      const bytes = readFileSync(file);
      bytes.fill(0xa5, 2 * 4_096, 4 * 4_096);
      writeFileSync(file, bytes);
    },
  },
];

for (const { what, code, spoil } of REFUSED) {
  test(`refused, and left unchanged: ${what}`, async (t) => {
    t.testdir();
    const file = await madeFile(t, 200);
    spoil(file);
    const before = readFileSync(file);
    t.throws(() => openEmbeddedJournal(file, { now }), { code, message: file });
    t.ok(before.equals(readFileSync(file)));
  });
}

test('a missing folder and a folder in place of the file are refused', async (t) => {
  const folder = t.testdir();
  t.throws(() => openEmbeddedJournal(join(folder, 'none', 'file'), { now }), { code: 'journal_unopenable' });
  t.throws(() => openEmbeddedJournal(folder, { now }), { code: 'journal_unopenable' });
});

/** Statements that take the tables of the audit log out of a file. */
const WITHOUT_AUDIT = ['DROP TABLE audit_entry', 'DROP TABLE audit_log'];

test('a journal whose audit log has no hash chain is upgraded, with all entries', async (t) => {
  t.testdir();
  const file = await madeFile(t, 3);
  change(
    file,
    ...WITHOUT_AUDIT,
    'CREATE TABLE audit (id INTEGER PRIMARY KEY, entry TEXT NOT NULL) STRICT',
    `INSERT INTO audit (id, entry) VALUES (7, '{"action":"first"}'), (9, '{"action":"second"}')`,
    'PRAGMA user_version = 4',
  );
  const journal = openEmbeddedJournal(file, { now });
  t.equal(journal.state().newest, 3);
  t.match(await journal.notes(undefined, 10), [
    { id: '1', entry: { action: 'second' } },
    { id: '0', entry: { action: 'first' } },
  ]);
  const verified = await verifyAudit(await storedLog(journal), { known: [] });
  t.match(verified, { first: 0, size: 2, finding: { code: 'audit_unsigned', first: 0 } });
  await journal.close();
});

test('a journal of the format without idempotency keys is upgraded, with all that it has', async (t) => {
  t.testdir();
  const file = await madeFile(t, 200);
  const before = openEmbeddedJournal(file, { now });
  const records = await before.read(0, 1_000);
  const { terms } = before.state();
  await before.close();
  change(file, ...WITHOUT_AUDIT, 'DROP TABLE once', 'PRAGMA user_version = 2');
  const journal = openEmbeddedJournal(file, { now });
  t.same(await journal.read(0, 1_000), records);
  t.same(journal.state().terms.slice(0, -1), terms.slice(0, -1));
  const once = { key: 'k', body: Buffer.from('b') };
  t.match(await journal.append(purges(1), once), { first: 201, repeated: false });
  await journal.close();
  const again = openEmbeddedJournal(file, { now });
  t.match(await again.append(purges(1), once), { first: 201, repeated: true });
  await again.close();
});

test('a damaged journal of the format without idempotency keys is refused, and left unchanged', async (t) => {
  t.testdir();
  const file = await madeFile(t, 200);
  change(file, ...WITHOUT_AUDIT, 'DROP TABLE once', 'PRAGMA user_version = 2', 'DELETE FROM purge WHERE seq = 50');
  const before = readFileSync(file);
  t.throws(() => openEmbeddedJournal(file, { now }), { code: 'journal_corrupt', message: file });
  t.ok(before.equals(readFileSync(file)));
});

test('a second process is refused while the journal is open', async (t) => {
  t.testdir();
  const file = await madeFile(t, 1);
  const journal = openEmbeddedJournal(file, { now });
  t.throws(() => openEmbeddedJournal(file, { now }), { code: 'journal_in_use' });
  await journal.append([aPurge()]);
  await journal.close();
  const again = openEmbeddedJournal(file, { now });
  t.equal(again.state().newest, 2);
  await again.close();
});

test('an empty file, left by a process that ended too early, becomes a journal', async (t) => {
  t.testdir();
  const file = newFile(t);
  writeFileSync(file, '');
  const journal = openEmbeddedJournal(file, { now });
  t.equal(journal.state().newest, 0);
  await journal.close();
});

test('appends of one tick share a transaction, and so an fsync', async (t) => {
  t.testdir();
  const journal = openEmbeddedJournal(newFile(t), { now });
  const heads: number[] = [];
  journal.subscribe((newest) => heads.push(newest));
  await Promise.all(Array.from({ length: 100 }, () => journal.append(purges(2))));
  t.same(heads, [200]);
  await journal.close();
});

test('SQLite syncs its log before a transaction is acknowledged', async (t) => {
  t.testdir();
  const db = openJournalFile(newFile(t), 'synced');
  t.match(db.prepare('PRAGMA journal_mode').get(), { journal_mode: 'wal' });
  t.match(db.prepare('PRAGMA synchronous').get(), { synchronous: 2 });
  db.close();
});

test('a transaction that was cut off is dropped, and all before it is kept', async (t) => {
  t.testdir();
  const file = newFile(t);
  const journal = openEmbeddedJournal(file, { now });
  await journal.append(purges(3));
  await journal.append(purges(50));
  const copy = newFile(t);
  copyFileSync(file, copy);
  copyFileSync(`${file}-wal`, `${copy}-wal`);
  await journal.close();
  truncateSync(`${copy}-wal`, readFileSync(`${copy}-wal`).length - 100);
  const restored = openEmbeddedJournal(copy, { now });
  t.equal(restored.state().newest, 3);
  t.match(await restored.append([aPurge()]), { first: 4, last: 4 });
  await restored.close();
});

test('garbage after the log is not read as a record', async (t) => {
  t.testdir();
  const file = newFile(t);
  const journal = openEmbeddedJournal(file, { now });
  await journal.append(purges(3));
  const copy = newFile(t);
  copyFileSync(file, copy);
  copyFileSync(`${file}-wal`, `${copy}-wal`);
  await journal.close();
  appendFileSync(`${copy}-wal`, Buffer.alloc(10_000, 0x5a));
  const restored = openEmbeddedJournal(copy, { now });
  t.equal(restored.state().newest, 3);
  await restored.close();
});

test('the first append and its term are written together, or neither', async (t) => {
  t.testdir();
  const file = await madeFile(t, 3);
  const journal = openEmbeddedJournal(file, { now });
  await journal.append(purges(1));
  const [, , term] = journal.state().terms;
  const copy = newFile(t);
  copyFile(file, copy);
  await journal.close();
  const whole = openEmbeddedJournal(copy, { now });
  t.match(whole.state(), { newest: 4, terms: [{ after: -1 }, { after: 0 }, term, { after: 4 }] });
  await whole.close();
});

test('a purge fails whole on a full disk, and later ones succeed when there is room', async (t) => {
  t.testdir();
  const db = openJournalFile(newFile(t), 'full');
  const journal = new EmbeddedJournal(db, { now });
  await journal.append(purges(2));
  db.exec('PRAGMA max_page_count = 8');
  const big = purges(20).map((purge) => ({ ...purge, selector: purge.selector.padEnd(4_000, 'x') }));
  const heads: number[] = [];
  journal.subscribe((newest) => heads.push(newest));
  await t.rejects(journal.append(big), { code: 'journal_not_written' });
  t.equal(journal.state().newest, 2);
  t.same(heads, []);
  db.exec('PRAGMA max_page_count = 100000');
  t.match(await journal.append(big), { first: 3, last: 22 });
  t.same(heads, [22]);
  await journal.close();
});

/** A journal of two records on a disk that fails with SQLite's `errcode` while it is told to. */
async function onFailingDisk(
  t: Test,
  errcode: number,
): Promise<{ journal: EmbeddedJournal; disk: { fails: boolean } }> {
  t.testdir();
  const db = openJournalFile(newFile(t), 'failing');
  const disk = { fails: false };
  const failing = new Proxy(db, {
    get(target, name) {
      const value = Reflect.get(target, name, target);
      if (name !== 'exec') return typeof value === 'function' ? value.bind(target) : value;
      return (sql: string) => {
        if (disk.fails && sql === 'COMMIT') throw Object.assign(new Error('no'), { errcode });
        target.exec(sql);
      };
    },
  });
  const journal = new EmbeddedJournal(failing, { now });
  await journal.append(purges(2));
  t.equal(journal.isWritable, true);
  return { journal, disk };
}

const SQLITE_FULL = 13;
const SQLITE_IOERR_FSYNC = 1_034;

test('after a disk error appends are refused, and acknowledged records stay readable', async (t) => {
  const { journal, disk } = await onFailingDisk(t, SQLITE_IOERR_FSYNC);
  disk.fails = true;
  await t.rejects(journal.append(purges(1)), { code: 'journal_broken' });
  disk.fails = false;
  await t.rejects(journal.append(purges(1)), { code: 'journal_broken' });
  await t.rejects(journal.compact(0), { code: 'journal_broken' });
  t.equal(journal.isWritable, false);
  t.equal((await journal.read(0, 10)).length, 2);
  await journal.close();
});

test('a journal that cannot be written reports it until it can, which a compaction notices', async (t) => {
  const { journal, disk } = await onFailingDisk(t, SQLITE_FULL);
  const before = journal.state();
  disk.fails = true;
  await t.rejects(journal.append(purges(1)), { code: 'journal_not_written' });
  t.equal(journal.isWritable, false);
  await t.rejects(journal.compact(0), { code: 'journal_not_written' });
  t.equal(journal.isWritable, false);
  disk.fails = false;
  await journal.compact(0);
  t.equal(journal.isWritable, true);
  t.same(journal.state(), before);
  t.match(await journal.append(purges(1)), { first: 3, last: 3 });
  await journal.close();
});

test('appends succeed during the compaction of many records', async (t) => {
  t.testdir();
  let time: number = now();
  const file = newFile(t);
  const journal = openEmbeddedJournal(file, { now: () => epochMs(time) });
  await journal.append(purges(12_000));
  time += 1_000;
  const compacted = journal.compact(time);
  const appended = journal.append(purges(1));
  t.equal(journal.state().floor, 12_000);
  t.match(await appended, { first: 12_001, last: 12_001 });
  await compacted;
  await journal.close();
  const again = openEmbeddedJournal(file, { now });
  t.same([again.state().floor, again.state().newest], [12_000, 12_001]);
  await again.close();
});

test('a journal that is closed during a compaction is intact', async (t) => {
  t.testdir();
  const file = newFile(t);
  const journal = openEmbeddedJournal(file, { now });
  await journal.append(purges(12_000));
  const compacted = journal.compact(now() + 1);
  await journal.close();
  await compacted;
  const again = openEmbeddedJournal(file, { now });
  t.same([again.state().floor, again.state().newest], [12_000, 12_000]);
  t.match(await again.append(purges(1)), { first: 12_001, last: 12_001 });
  await again.close();
});

const MAX_KILLS = 40;
const MIN_KILLS = 5;
/** After this there are no more than the fewest kills. */
const KILLING_MS = 8_000;

test('after repeated kill -9 acknowledged records are there, in order, once', { timeout: 120_000 }, async (t) => {
  t.testdir();
  const file = newFile(t);
  /** Number → selector, as the children said. */
  const acknowledged = new Map<number, string>();
  const start = performance.now();
  for (let kill = 0; kill < MAX_KILLS; kill += 1) {
    if (kill >= MIN_KILLS && performance.now() - start > KILLING_MS) break;
    const child = spawn(process.execPath, [join(import.meta.dirname, 'append-child.ts'), file], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const before = acknowledged.size;
    // Where the child is when the signal comes depends on nothing that it does: the lines were on their way.
    await killAfter(child, Math.floor(Math.random() * 100), acknowledged);
    t.ok(acknowledged.size >= before);
    const journal = openEmbeddedJournal(file, { now: wallNow });
    const records = await journal.read(0, Number.MAX_SAFE_INTEGER);
    await journal.close();
    t.same(
      records.find(({ seq }, index) => seq !== index + 1),
      undefined,
      'contiguous',
    );
    t.equal(new Set(records.map(({ selector }) => selector)).size, records.length, 'each once');
    const lost = [...acknowledged].filter(([seq, selector]) => records[seq - 1]?.selector !== selector);
    t.same(lost, [], `${acknowledged.size} acknowledged, ${records.length} there`);
    checkWhole(
      t,
      records.map(({ selector }) => selector),
    );
  }
  t.ok(acknowledged.size > MIN_KILLS);
  t.ok(existsSync(file));
});

/** Reads so many lines, kills, and reads what is left. */
async function killAfter(child: ChildProcess, lines: number, acknowledged: Map<number, string>): Promise<void> {
  const exited = once(child, 'exit');
  let seen = 0;
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    const [seq, selector] = line.split(' ') as [string, string];
    acknowledged.set(Number(seq), selector);
    seen += 1;
    if (seen === lines + 1) child.kill('SIGKILL');
  }
  await exited;
}

/** The records of one append are there all, one after the other, or not at all. */
function checkWhole(t: Test, selectors: readonly string[]): void {
  const torn: string[] = [];
  for (let at = 0; at < selectors.length; ) {
    const [pid, writer, round] = (selectors[at] as string).split('/');
    const size = 1 + (Number(round) % 4);
    for (let index = 0; index < size; index += 1) {
      const expected = `${pid}/${writer}/${round}/${index}`;
      if (selectors[at + index] !== expected) torn.push(expected);
    }
    at += size;
  }
  t.same(torn, [], 'appends are whole');
}

for (const [what, lose] of [
  ['deleted', (file: string) => rmSync(file)],
  ['moved away', (file: string) => renameSync(file, `${file}.elsewhere`)],
  [
    'replaced by another one',
    (file: string) => {
      renameSync(file, `${file}.elsewhere`);
      writeFileSync(file, '');
    },
  ],
] as const) {
  test(`a journal whose file is ${what} beneath it acknowledges nothing more, and says so before it is asked`, async (t) => {
    if (!existsSync(t.testdirName)) t.testdir();
    const file = newFile(t);
    const journal = openEmbeddedJournal(file, { now });
    t.teardown(() => journal.close());
    await journal.append(purges(1));
    t.equal(journal.isWritable, true);
    lose(file);
    t.equal(journal.isWritable, false);
    await t.rejects(journal.append(purges(1)), { code: 'journal_broken', message: /is gone/ });
    await t.rejects(journal.append(purges(1)), { code: 'journal_broken' });
  });
}
