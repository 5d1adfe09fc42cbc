import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { type Test, test } from 'tap';
import { openControlDatabase } from '../../../control/data-folder.ts';
import { SqliteJobs } from '../../../control/store/sqlite-jobs.ts';

function fileOf(t: Test): string {
  return join(t.testdir({}), 'control.sqlite');
}

for (const version of [1, 2]) {
  test(`a database of version ${version} has a place for jobs once it is opened`, async (t) => {
    const file = fileOf(t);
    const old = openControlDatabase(file);
    old.exec('DROP TABLE member; DROP TABLE job_row');
    if (version === 1) old.exec('DROP TABLE audit_waiting');
    old.exec(`PRAGMA user_version = ${version}`);
    old.close();
    const db = openControlDatabase(file);
    t.teardown(() => db.close());
    t.equal(await new SqliteJobs(db).commit({ put: [{ key: 'job/a', value: 1 }] }), true);
    t.match(db.prepare('PRAGMA user_version').get(), { user_version: 4 });
  });
}

test('a change that fails changes nothing', async (t) => {
  const file = fileOf(t);
  const db = openControlDatabase(file);
  t.teardown(() => db.close());
  const jobs = new SqliteJobs(db);
  const circle: { self?: unknown } = {};
  circle.self = circle;
  const put = [
    { key: 'a/1', value: 1 },
    { key: 'a/2', value: circle },
  ];
  await t.rejects(jobs.commit({ put }));
  t.same(await jobs.list('a/', { limit: 10 }), []);
  t.equal(await jobs.commit({ put: put.slice(0, 1) }), true, 'the next one is made');
});

test('a version stays unique after the database was opened again', async (t) => {
  const file = fileOf(t);
  const first = openControlDatabase(file);
  const write = (db: DatabaseSync) => new SqliteJobs(db).commit({ put: [{ key: 'a', value: 1 }] });
  const versionIn = async (db: DatabaseSync) => (await new SqliteJobs(db).get('a'))?.version;
  await write(first);
  const before = await versionIn(first);
  await new SqliteJobs(first).commit({ remove: ['a'] });
  first.close();
  const second = openControlDatabase(file);
  t.teardown(() => second.close());
  await write(second);
  t.not(await versionIn(second), before);
});
