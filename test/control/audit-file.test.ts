/** Copy of the audit log in files: bounded, and whole where it cannot rotate. */
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { AuditFile } from '../../control/audit-file.ts';

test('the audit log is bounded', async (t) => {
  const file = join(t.testdir({}), 'audit.jsonl');
  const log = new AuditFile(file, { maxBytes: 300, files: 3 });
  for (let i = 0; i < 20; i += 1) log.write({ address: '127.0.0.1', action: `a${i}`, result: 'ok' });
  log.close();
  const texts = ['.2', '.1', ''].map((end) => readFileSync(`${file}${end}`, 'utf8'));
  t.strictSame(readdirSync(join(file, '..')).sort(), ['audit.jsonl', 'audit.jsonl.1', 'audit.jsonl.2']);
  t.ok(texts.every((text) => text.length <= 300));
  const actions = texts
    .join('')
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { action: string }).action);
  t.strictSame(
    actions,
    Array.from({ length: actions.length }, (_, i) => `a${20 - actions.length + i}`),
  );
});

test('an audit log that cannot rotate leaves files of other owners alone', async (t) => {
  const folder = join(t.testdir({ data: {} }), 'data');
  const away = `${folder}-away`;
  const log = new AuditFile(join(folder, 'audit.jsonl'), { maxBytes: 1, files: 3 });
  t.teardown(() => log.close());
  const entry = { address: '127.0.0.1', action: 'a', result: 'ok' };
  log.write(entry);
  renameSync(folder, away);
  t.throws(() => log.write(entry), { code: 'ENOENT' });
  const other = openSync(`${away}/other`, 'w'); // the number that was free is taken
  t.teardown(() => closeSync(other));
  t.throws(() => log.write(entry), { code: 'ENOENT' });
  writeSync(other, 'of another');
  t.equal(readFileSync(`${away}/other`, 'utf8'), 'of another');
  renameSync(away, folder);
  log.write(entry);
  t.match(readFileSync(join(folder, 'audit.jsonl'), 'utf8'), /"action":"a"/, 'it goes on when it can');
});

test('an audit log that cannot rotate removes none of the old files', async (t) => {
  const folder = t.testdir({});
  const file = join(folder, 'audit.jsonl');
  const log = new AuditFile(file, { maxBytes: 1, files: 3 });
  t.teardown(() => log.close());
  const entry = (action: string) => ({ address: '127.0.0.1', action, result: 'ok' });
  for (const action of ['a', 'b', 'c']) log.write(entry(action));
  const texts = (): string[] => ['.2', '.1', ''].map((end) => readFileSync(`${file}${end}`, 'utf8'));
  const before = texts();
  mkdirSync(`${file}.next`);
  for (let i = 0; i < 3; i++) t.throws(() => log.write(entry('d')), { code: 'EISDIR' });
  t.strictSame(texts(), before);
  rmdirSync(`${file}.next`);
  log.write(entry('d'));
  t.match(texts(), [/"b"/, /"c"/, /"d"/]);
  t.strictSame(readdirSync(folder).sort(), ['audit.jsonl', 'audit.jsonl.1', 'audit.jsonl.2']);
});

test('a lower number of files holds from the next rotation on', async (t) => {
  const folder = t.testdir({});
  const log = new AuditFile(join(folder, 'audit.jsonl'), { maxBytes: 1, files: 5 });
  t.teardown(() => log.close());
  const write = (action: string): void => log.write({ address: '127.0.0.1', action, result: 'ok' });
  for (const action of ['a', 'b', 'c', 'd', 'e']) write(action);
  t.equal(readdirSync(folder).length, 5);
  for (const files of [3, 1]) {
    log.update({ maxBytes: 1, files });
    write(`${files}`);
    t.equal(readdirSync(folder).length, files);
  }
  t.match(readFileSync(join(folder, 'audit.jsonl'), 'utf8'), /"action":"1"/, 'the newest entry is kept');
});
