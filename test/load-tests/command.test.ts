/** The command itself, as a process: what it leaves behind when it is stopped. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'tap';
import { familyPids } from '../../load-tests/bench/proc.ts';

const COMMAND = join(import.meta.dirname, '../../load-tests/bench.ts');
const PATIENCE_MS = 10_000;

const hasWrk = spawnSync('wrk', ['-v']).error === undefined;
const skip = (process.platform !== 'linux' && 'needs /proc') || (!hasWrk && 'apt-get install wrk');

test('--help names the scenarios', async (t) => {
  const { status, stdout } = spawnSync(process.execPath, [COMMAND, '--help'], { encoding: 'utf8' });
  t.equal(status, 0);
  t.match(stdout, 'hit-browser');
});

test('a wrong option is refused in one line', async (t) => {
  const { status, stderr } = spawnSync(process.execPath, [COMMAND, '--rounds', 'many'], { encoding: 'utf8' });
  t.equal(status, 2);
  t.match(stderr, /^bench: --rounds needs .*\n$/);
});

test('Ctrl-C ends every process and removes every folder', { skip }, async (t) => {
  const args = ['--only', 'hit-bare', '--peers', 'floor', '--seconds', '30'];
  const bench = spawn(process.execPath, [COMMAND, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  t.teardown(() => bench.kill('SIGKILL'));
  const { promise, resolve } = Promise.withResolvers<void>();
  let output = '';
  bench.stderr.on('data', (text: Buffer) => {
    output += text.toString();
    if (output.includes('filling')) resolve();
  });
  await promise;
  const { pid = 0 } = bench;
  let started: number[] = [];
  const deadline = performance.now() + PATIENCE_MS;
  // Origin, server and load generator: there is no event for another process's children.
  while (!started.some((one) => commandLine(one).startsWith('wrk'))) {
    if (performance.now() > deadline) throw new Error(`no load: ${output}`);
    started = familyPids(pid).slice(1);
    await sleep(10);
  }
  const folders = started.flatMap((one) => commandLine(one).match(/\/\S*seawall-bench-[^/\s]+/g) ?? []);
  bench.kill('SIGINT');
  t.same(await once(bench, 'exit'), [130, null]);
  while (started.some(isAlive) && performance.now() < deadline) await sleep(10);
  t.same(started.filter(isAlive).map(commandLine), []);
  t.ok(folders.length > 0);
  t.same(folders.filter(existsSync), []);
});

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

/** One that has ended has no command line, even while nobody has taken note of its end. */
function isAlive(pid: number): boolean {
  return commandLine(pid) !== '';
}
