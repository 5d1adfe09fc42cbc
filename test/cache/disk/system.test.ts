/** Files of a disk cache: for their owner only, and for one process. */
import { spawn, spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { openFolder } from '../../../cache/disk/folder.ts';
import { DISK_SYSTEM, DiskInUseError } from '../../../cache/disk/system.ts';
import { contentOf, openStore, SEGMENT_BYTES, temporary } from './stores.ts';

test('files are for their owner only', async (t) => {
  const path = join(temporary(t), 'cache');
  const { close, store } = await openStore(path);
  store.append(contentOf('k', 1, 10));
  await store.flush();
  t.equal(statSync(path).mode & 0o777, 0o700);
  for (const name of ['lock', 'identity', 'segments']) t.equal(statSync(join(path, name)).mode & 0o777, 0o600, name);
  await close();
});

test('a folder has one user: a second one is refused, in this process and in another', async (t) => {
  const path = temporary(t);
  const first = await openFolder(path, SEGMENT_BYTES);
  await t.rejects(openFolder(path, SEGMENT_BYTES), new DiskInUseError(path));
  first.release();
  const program = `
    import { openFolder } from ${JSON.stringify(join(import.meta.dirname, '../../../cache/disk/folder.ts'))};
    await openFolder(${JSON.stringify(path)}, ${SEGMENT_BYTES});
    console.log('open');
    setInterval(() => undefined, 1e6);`;
  const other = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const _line of other.stdout) {
    await t.rejects(openFolder(path, SEGMENT_BYTES), new DiskInUseError(path));
    other.kill('SIGKILL');
  }
  (await openFolder(path, SEGMENT_BYTES)).release();
  t.pass('a process that was killed leaves no lock');
});

test('a refused second use of this process leaves the lock to the first: a third process is refused, too', async (t) => {
  const path = temporary(t);
  const first = await openFolder(path, SEGMENT_BYTES);
  await t.rejects(openFolder(path, SEGMENT_BYTES), new DiskInUseError(path));
  const program = `
    import { openFolder } from ${JSON.stringify(join(import.meta.dirname, '../../../cache/disk/folder.ts'))};
    await openFolder(${JSON.stringify(path)}, ${SEGMENT_BYTES}).catch((error) => console.log(error.constructor.name));`;
  const other = spawnSync(process.execPath, ['--input-type=module', '--eval', program], { encoding: 'utf8' });
  t.equal(other.stdout.trim(), 'DiskInUseError');
  first.release();
});

test('a file that takes the place of another has a mark of its own, which it can name', async (t) => {
  const file = join(temporary(t), 'identity');
  const marks: string[] = [];
  for (const text of ['first', 'second']) {
    await DISK_SYSTEM.replace(file, (mark) => {
      marks.push(mark);
      return `${text} ${mark}`;
    });
    t.equal(await DISK_SYSTEM.read(file), `${text} ${marks.at(-1)}`);
    t.equal(await DISK_SYSTEM.markOf(file), marks.at(-1));
  }
  t.not(marks[0], marks[1]);
  await t.rejects(DISK_SYSTEM.read(`${file}.none`), { code: 'ENOENT' });
  await t.rejects(DISK_SYSTEM.markOf(`${file}.none`), { code: 'ENOENT' });
});
