import { test } from 'tap';
import { Child } from './child.ts';

const PROMPT_MS = 30_000;
const IMPATIENT_MS = 50;
const STAYS = 'setInterval(() => {}, 1e6); console.log("ready")';

const isReady = (line: string): true | undefined => (line === 'ready' ? true : undefined);

function run(script: string): Child {
  return new Child('it', ['-e', script]);
}

test('a child stops on request', async (t) => {
  const child = run(`process.on('SIGTERM', () => process.exit(0)); ${STAYS}`);
  await child.firstLine(isReady, PROMPT_MS);
  t.strictSame(await child.stop(PROMPT_MS), { how: 'exit code 0', killed: false });
});

test('a child that does not stop is killed', async (t) => {
  const child = run(`process.on('SIGTERM', () => {}); ${STAYS}`);
  await child.firstLine(isReady, PROMPT_MS);
  t.strictSame(await child.stop(IMPATIENT_MS), { how: 'signal SIGKILL', killed: true });
});

test('a child ends with its own children', async (t) => {
  const child = run(`
    const { spawn } = require('node:child_process');
    const grandchild = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], { stdio: 'inherit' });
    grandchild.once('spawn', () => console.log('ready'));
    process.on('SIGTERM', () => process.exit(0));`);
  await child.firstLine(isReady, PROMPT_MS);
  // It has ended once nobody holds its pipes any more: the grandchild would hold them for ever.
  t.strictSame(await child.stop(PROMPT_MS), { how: 'exit code 0', killed: false });
});

test('a child that ends before it is ready reports its exit and its output', async (t) => {
  const child = run('console.error("no such option"); process.exitCode = 3');
  await t.rejects(
    child.firstLine(isReady, PROMPT_MS),
    /it ended \(exit code 3\) before it was ready; .*\nno such option/s,
  );
  t.equal(await child.died, 'exit code 3');
});

test('waiting for a child is bounded', async (t) => {
  const child = run('setInterval(() => {}, 1e6)');
  await t.rejects(child.firstLine(isReady, IMPATIENT_MS), /it was not ready within 50 ms/);
  t.equal(await child.ended, 'signal SIGTERM');
});

for (const { wrote, script, isBroken } of [
  { wrote: 'an unhandled rejection', script: 'Promise.reject(new Error("lost"))', isBroken: true },
  {
    wrote: 'a rejection that it noted and lived on with',
    script:
      'process.on("unhandledRejection", (error) => console.error("unhandledRejection", error)); Promise.reject(1)',
    isBroken: true,
  },
  { wrote: 'an uncaught exception', script: 'setTimeout(() => { throw new Error("lost") })', isBroken: true },
  { wrote: 'a refusal', script: 'console.error("origin refused the connection")', isBroken: false },
]) {
  test(`output of a child: ${wrote}`, async (t) => {
    const child = run(script);
    const how = await child.ended;
    t.equal(child.broken.length > 0 || how !== 'exit code 0', isBroken);
  });
}
