/**
 * Disks that really fail: a file system that is full, one that is read-only, a limit on the size of files. The store is
 * left out with the system's error, and comes back when it works, without what was removed meanwhile.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Test, test } from 'tap';
import { temporary } from './stores.ts';

const CHILD = join(import.meta.dirname, 'failing-child.ts');

type Line = Record<string, unknown>;

interface Shell {
  /** Runs a command of the shell, or one of the child after `disk`. @returns The next line that has the name. */
  send(command: string, name: string): Promise<Line>;
  next(name: string): Promise<Line>;
}

/** A shell with file systems of its own, where the child runs in the background and reads commands from the shell. */
function shell(t: Test, program: string, args: readonly string[]): Shell {
  const child: ChildProcess = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  t.teardown(async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  const lines: Line[] = [];
  let wake: () => void = () => undefined;
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    lines.push(JSON.parse(line) as Line);
    wake();
  });
  const next = async (name: string): Promise<Line> => {
    for (;;) {
      const index = lines.findIndex((line) => name in line);
      if (index >= 0) return lines.splice(index, 1)[0] as Line;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return {
    next,
    send(command, name) {
      child.stdin?.write(`${command}\n`);
      return next(name);
    },
  };
}

const mayMount = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;
const MOUNTS = { skip: mayMount ? false : 'file systems cannot be mounted here' };

/** A small file system at `path`/small, for a shell that passes `disk …` on to the child. */
function onSmallDisk(t: Test, before: string): Shell {
  const path = temporary(t);
  mkdirSync(join(path, 'small'));
  const script = `
    cd ${path}; mount -t tmpfs -o size=3m tmpfs small; ${before}
    exec 7> >(exec ${process.execPath} ${CHILD} ${join(path, 'small', 'cache')} 16777216)
    while read -r word rest; do
      if [ "$word" = disk ]; then echo "$rest" >&7; else $word $rest && echo '{"done":true}'; fi
    done`;
  return shell(t, 'unshare', ['-rm', 'bash', '-c', script]);
}

test('a full file system: left out, back when there is room, without what was removed meanwhile', MOUNTS, async (t) => {
  const disk = onSmallDisk(t, ':');
  t.match(await disk.next('opened'), { opened: 'empty' });
  await disk.send('disk put kept', 'put');
  await disk.send('disk put gone', 'put');
  t.match(await disk.send('disk fill', 'failed'), { failed: 'ENOSPC' });
  t.match(await disk.next('filled'), {});
  t.match(await disk.send('disk has kept', 'has'), { has: false });
  t.match(await disk.send('disk state', 'failure'), { failure: /ENOSPC/, objects: 0 });
  await disk.send('disk remove gone', 'removed');
  await disk.send('mount -o remount,size=40m small', 'done');
  t.match(await disk.next('opened'), { opened: 'as it was' });
  t.match(await disk.send('disk has kept', 'has'), { has: true, begins: 'kept ' });
  t.match(await disk.send('disk has gone', 'has'), { has: false });
  t.match(await disk.send('disk put new', 'put'), {});
  t.match(await disk.send('disk has new', 'has'), { has: true });
});

test('a read-only file system: left out, in use when it can be written', MOUNTS, async (t) => {
  const disk = onSmallDisk(t, 'mount -o remount,ro small');
  t.match(await disk.next('failed'), { failed: 'EROFS' });
  t.match(await disk.next('ready'), { ready: false });
  t.match(await disk.send('disk put k', 'put'), {});
  t.match(await disk.send('disk has k', 'has'), { has: false });
  await disk.send('mount -o remount,rw small', 'done');
  t.match(await disk.next('opened'), { opened: 'empty' });
  await disk.send('disk put k', 'put');
  t.match(await disk.send('disk has k', 'has'), { has: true });
});

test('a limit on the size of files: left out', async (t) => {
  const path = temporary(t);
  const script = `ulimit -f 2048; unset NODE_OPTIONS; exec ${process.execPath} ${CHILD} ${join(path, 'cache')} 16777216`;
  const disk = shell(t, 'bash', ['-c', script]);
  t.match(await disk.next('failed'), { failed: 'EFBIG' });
  t.match(await disk.send('has k', 'has'), { has: false });
  t.match(await disk.send('end', 'closed'), { closed: true });
});
