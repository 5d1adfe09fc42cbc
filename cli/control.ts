/**
 * `seawall control`: moves what a control node keeps from its data folder into etcd.
 * @module
 */
import { loadRegion } from '../config/load.ts';
import { quote } from '../config/problem.ts';
import { openDataFolder } from '../control/data-folder.ts';
import { migrate } from '../control/store/migrate.ts';
import { etcdOptions } from '../control/store/open-store.ts';
import { JournalError } from '../journal/errors.ts';
import { actionOf } from './action.ts';
import { defineCommand } from './command.ts';
import { Failure, UsageError } from './failure.ts';
import { print } from './output.ts';

const ACTIONS = ['migrate'] as const;

export const control = defineCommand({
  name: 'control',
  summary: 'Move the journal of a control node into etcd.',
  about: `
migrate  moves journal, idempotency keys, audit log, tokens, drains and the registry of
         nodes from the data folder of the control node that a region file names into
         the etcd that the same file names in control.journal. Stop the control node first, run this on
         its machine, and start it again: nodes go on from where they are, and serve
         meanwhile. It can be run again when it was broken off; afterwards the folder
         is refused, so that no purge gets into the old journal.`,
  operands: 'migrate FILE',
  options: {
    json: { type: 'flag', help: 'Print JSON.' },
  },
  examples: ['migrate config/regions/eu.yaml'],

  async run({ json }, [action, file, ...more]) {
    actionOf(ACTIONS, action);
    if (file === undefined) throw new UsageError('no file is named', 'Name the region file: control migrate FILE.');
    if (more[0] !== undefined) throw new UsageError(`${quote(more[0])} is not expected here`, '');
    const { control: node, network } = loadRegion(file);
    if (node === undefined) throw new Failure(`${file} names no control node: name the file that does`);
    if (node.journal === undefined) {
      throw new Failure(`${file} has no control.journal.etcd: write there which etcd to move the journal to`);
    }
    const folder = openDataFolder(file, node);
    const moved = await migrate(folder, etcdOptions(file, network, node.journal.etcd)).catch((error: unknown) => {
      throw error instanceof JournalError ? new Failure(`${error.message} ${FIXES[error.code] ?? ''}`.trim()) : error;
    });
    const { records, keys, notes, tokens, drains } = moved;
    if (json) print(JSON.stringify(moved));
    else {
      print(
        `${records} purges, ${keys} idempotency keys, ${notes} audit entries, ${tokens} tokens and ${drains} drains ` +
          'are in etcd now. Start the control node.',
      );
    }
    return 0;
  },
});

const FIXES: Readonly<Record<string, string>> = {
  journal_in_use: 'Stop the control node first.',
  journal_foreign: 'Write another control.journal.etcd.prefix.',
  journal_unreachable: 'Start etcd, or correct control.journal.etcd.endpoints.',
  journal_refused: 'Correct control.journal.etcd.username, or the password.',
};
