/** Access to a control node's files and pages: other users of the machine, pages in an operator's browser. */
import { chmodSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import type { ConfigError } from '../../config/problem.ts';
import { openDataFolder } from '../../control/data-folder.ts';
import { startNetwork } from '../support/network.ts';
import { UNREACHABLE } from '../support/origin.ts';
import { startTestControl } from './control.ts';

const FOR_OTHERS = 0o077;

function modes(folder: string): Record<string, number> {
  const names = ['.', ...readdirSync(folder)];
  return Object.fromEntries(names.map((name) => [name, statSync(join(folder, name)).mode & FOR_OTHERS]));
}

function status(address: string, path: string, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get(`http://${address}${path}`, { headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).once('error', reject);
  });
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

for (const path of ['/metrics', '/healthz', '/v1/nodes']) {
  test(`the control node shows ${path} under its own names only`, async (t) => {
    const { address } = await startTestControl(t);
    t.equal(await status(address, path, address), 200);
    t.equal(await status(address, path, 'localhost'), 200);
    t.equal(await status(address, path, 'rebound.example'), 421);
  });
}

test('nodes show /metrics and /healthz under their own names only', async (t) => {
  const network = await startNetwork({ origin: UNREACHABLE });
  t.teardown(() => network.close());
  for (const { addresses } of [...network.edges, ...network.shields]) {
    for (const path of ['/metrics', '/healthz']) {
      t.equal(await status(addresses.control ?? '', path, '127.0.0.1'), 200);
      t.equal(await status(addresses.control ?? '', path, 'rebound.example:8200'), 421);
    }
  }
});
