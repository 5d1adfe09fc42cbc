/** The queue of jobs on the table of a data folder. */
import { join } from 'node:path';
import { openControlDatabase } from '../../../control/data-folder.ts';
import { SqliteJobs } from '../../../control/store/sqlite-jobs.ts';
import { queueContract } from './queue-contract.ts';

queueContract(
  'data folder',
  (t) => {
    const db = openControlDatabase(join(t.testdir({}), 'control.sqlite'));
    t.teardown(() => db.close());
    return new SqliteJobs(db);
  },
  40,
);
