/** The registry of nodes of a single control node. */

import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'tap';
import { openControlDatabase } from '../../../control/data-folder.ts';
import { SqliteMembers } from '../../../control/store/sqlite-members.ts';
import { memberContract, type OpenedMembers } from '../member-contract.ts';

memberContract('files', async (t) => {
  const file = join(t.testdir({}), 'control.sqlite');
  const open = async (): Promise<OpenedMembers> => {
    const database = openControlDatabase(file);
    return {
      members: new SqliteMembers(database),
      async again() {
        database.close();
        return open();
      },
    };
  };
  return open();
});

for (const version of [1, 2, 3]) {
  test(`a database of version ${version} gets the registry, and keeps its tokens`, async (t) => {
    const file = join(t.testdir({}), 'control.sqlite');
    const made = openControlDatabase(file);
    made.exec('DROP TABLE member');
    if (version < 3) made.exec('DROP TABLE job_row');
    if (version === 1) made.exec('DROP TABLE audit_waiting');
    made.exec(`PRAGMA user_version = ${version}`);
    made.close();
    const opened = openControlDatabase(file);
    t.same(new SqliteMembers(opened).all.size, 0);
    t.same(opened.prepare('SELECT * FROM audit_waiting').all(), []);
    opened.close();
    const again = new DatabaseSync(file);
    t.match(again.prepare('PRAGMA user_version').get(), { user_version: 4 });
    again.close();
  });
}
