/** The audit log in a file: read as it is, and never written. */
import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type Test, test } from 'tap';
import { openAuditLogFile } from '../../../journal/audit/file-log.ts';
import { openEmbeddedJournal } from '../../../journal/embedded.ts';
import { wallNow } from '../../../lib/clock.ts';
import { aPurge } from '../contract.ts';

async function journalFile(t: Test): Promise<string> {
  const file = join(t.testdir(), 'journal.db');
  const journal = openEmbeddedJournal(file, { now: wallNow, defer: setImmediate });
  await journal.append([aPurge()]);
  await journal.close();
  return file;
}

test('a file that is none, is no database, or another program’s is refused by code, and not made or changed', async (t) => {
  const folder = t.testdir();
  const at = (name: string): string => join(folder, name);
  t.throws(() => openAuditLogFile(at('none.db')), { code: 'journal_unopenable' });
  t.notOk(existsSync(at('none.db')));
  writeFileSync(at('text.db'), 'text '.repeat(1_000));
  t.throws(() => openAuditLogFile(at('text.db')), { code: 'journal_foreign' });
  t.equal(readFileSync(at('text.db'), 'utf8'), 'text '.repeat(1_000));
  const other = new DatabaseSync(at('other.db'));
  other.exec('CREATE TABLE t (x)');
  other.close();
  t.throws(() => openAuditLogFile(at('other.db')), { code: 'journal_corrupt' });
  writeFileSync(at('empty.db'), '');
  t.throws(() => openAuditLogFile(at('empty.db')), { code: 'journal_corrupt' });
  t.equal(statSync(at('empty.db')).size, 0);
});

test('a file that was cut off is refused, now or when it is read', async (t) => {
  const file = await journalFile(t);
  truncateSync(file, 4096);
  t.throws(() => openAuditLogFile(file), { code: /^journal_(?:corrupt|foreign)$/ });
});

test('it and a control node do not have the file at the same time', async (t) => {
  const file = await journalFile(t);
  const log = openAuditLogFile(file);
  t.match(await log.auditBounds(), { start: {}, head: {} });
  t.throws(() => openEmbeddedJournal(file, { now: wallNow, defer: setImmediate }), { code: 'journal_in_use' });
  log.close();
  const journal = openEmbeddedJournal(file, { now: wallNow, defer: setImmediate });
  t.throws(() => openAuditLogFile(file), { code: 'journal_in_use' });
  await journal.close();
  openAuditLogFile(file).close();
});
