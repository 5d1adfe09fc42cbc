/** Data folder of a control node: closed to other users, and refused by its key where it cannot be used. */

import { chmodSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import type { ConfigError } from '../../config/problem.ts';
import { openDataFolder } from '../../control/data-folder.ts';
import { startControl } from '../../control/node.ts';
import { log, regionOf, rejectionOf, startTestControl } from './control.ts';

const FOR_OTHERS = 0o077;

function modes(folder: string): Record<string, number> {
  const names = ['.', ...readdirSync(folder)];
  return Object.fromEntries(names.map((name) => [name, statSync(join(folder, name)).mode & FOR_OTHERS]));
}

test('a data folder that was open to other users is closed, with everything in it', async (t) => {
  const umask = process.umask(0o022);
  t.teardown(() => process.umask(umask));
  const first = await startTestControl(t);
  await first.purge({ site: 'shop', tags: ['a'] });
  const { folder } = first;
  await first.close();
  for (const name of readdirSync(folder)) chmodSync(join(folder, name), 0o644);
  chmodSync(folder, 0o755);
  const second = await first.restart();
  await second.purge({ site: 'shop', tags: ['b'] });
  const found = modes(folder);
  t.ok('journal.sqlite' in found && 'control.sqlite' in found && 'audit.jsonl' in found);
  t.same(
    Object.entries(found).filter(([, mode]) => mode !== 0),
    [],
  );
});

function folderWith(t: Test, mode: number): string {
  const folder = join(t.testdir({}), 'data');
  mkdirSync(folder);
  writeFileSync(join(folder, 'notes.txt'), 'not ours');
  writeFileSync(join(folder, 'journal.sqlite'), '', { mode: 0o644 });
  chmodSync(folder, mode);
  return folder;
}

test('a folder with other files keeps its mode, and the files of the control node are closed', async (t) => {
  const folder = folderWith(t, 0o755);
  openDataFolder(join(folder, '../eu.yaml'), { data: 'data' });
  t.equal(statSync(folder).mode & 0o777, 0o755);
  t.equal(statSync(join(folder, 'notes.txt')).mode & 0o044, 0o044);
  t.equal(statSync(join(folder, 'journal.sqlite')).mode & FOR_OTHERS, 0);
});

test('a folder that other users may write to is refused by its key', async (t) => {
  const folder = folderWith(t, 0o777);
  let problems: unknown;
  try {
    openDataFolder(join(folder, '../eu.yaml'), { data: 'data' });
  } catch (error) {
    problems = (error as ConfigError).problems;
  }
  t.match(problems, [{ key: 'control.data', message: /closed to other users/, fix: /chmod -R go= / }]);
});

for (const { what, make, message } of [
  { what: 'a file in its place', make: (folder: string) => writeFileSync(folder, ''), message: /cannot be made/ },
  {
    what: 'a journal that is none',
    make: (folder: string) => {
      mkdirSync(folder);
      writeFileSync(join(folder, 'journal.sqlite'), 'x'.repeat(5_000));
    },
    message: /not a journal/,
  },
  {
    what: 'a database that is none',
    make: (folder: string) => {
      mkdirSync(folder);
      writeFileSync(join(folder, 'control.sqlite'), 'x'.repeat(5_000));
    },
    message: /not a database/,
  },
]) {
  test(`a data folder that cannot be used (${what}) is a config error`, async (t) => {
    const file = join(t.testdir({}), 'eu.yaml');
    make(join(file, '..', 'seawall-data'));
    const region = regionOf({ file });
    t.match(await rejectionOf(startControl({ region, control: region.control, regions: [region], log })), {
      code: 'config_refused',
      problems: [{ file, key: 'control.data', message }],
    });
  });
}

test('two control nodes do not share a folder', async (t) => {
  const control = await startTestControl(t);
  t.match(await rejectionOf(control.restart()), {
    code: 'config_refused',
    problems: [{ key: 'control.data', fix: 'Stop that process, or name another folder.' }],
  });
});
