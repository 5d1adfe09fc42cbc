/** The pool of libuv has room for all threads. */
import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { test } from 'tap';
import { ROOT } from './process.ts';

const COUNT = `
import { readdirSync } from 'node:fs';
import { pbkdf2 } from 'node:crypto';
const before = readdirSync('/proc/self/task').length;
const used = () => new Promise((resolve) => pbkdf2('a', 'b', 1, 32, 'sha256', resolve));
await Promise.all(Array.from({ length: 200 }, used));
console.log(readdirSync('/proc/self/task').length - before);
`;

function poolOf(env: NodeJS.ProcessEnv): number {
  const args = ['--input-type=module', '--import=./cli/thread-pool.ts', '-e', COUNT];
  return Number(execFileSync(process.execPath, args, { cwd: ROOT, env: { ...process.env, ...env }, encoding: 'utf8' }));
}

test('four threads for each core, unless the environment says otherwise', async (t) => {
  t.equal(poolOf({}), Math.min(128, 4 * availableParallelism()));
  t.equal(poolOf({ UV_THREADPOOL_SIZE: '3' }), 3);
});
