/**
 * Signals to the process that a person or a supervisor has started, whichever
 * way: docs/operating.md has the table.
 */
import { type Test, test } from 'tap';
import type { ReadyLine } from '../../cli/ready.ts';
import { startOrigin } from '../support/origin.ts';
import { ask, isThere } from './edge-workers.ts';
import { type Script, type Started, startCommand } from './process.ts';

const WAYS: readonly Script[] = ['cli/seawall', 'cli/seawall.ts', 'npm run seawall --'];

interface Scene extends Started<ReadyLine> {
  readonly address: string;
  /** Process of Seawall, not of npm. */
  readonly pid: number;
  /** A request that the origin has begun to answer. */
  readonly slow: ReturnType<typeof ask>;
  /** Lets the origin finish it. */
  release(): void;
}

async function scene(t: Test, way: Script, workers = 1): Promise<Scene> {
  const held = Promise.withResolvers<void>();
  const origin = await startOrigin((_request, response) => {
    response.write('begun, ');
    void held.promise.then(() => response.end('done'));
  });
  t.teardown(() => origin.close());
  const options = ['--origin', origin.url, '--listen', '127.0.0.1:0', '--workers', String(workers)];
  const started = await startCommand<ReadyLine>(t, way, ['serve', ...options]);
  const [node] = started.ready.nodes;
  const { pid } = started.ready;
  t.teardown(() => isThere(pid) && process.kill(pid, 'SIGKILL'));
  const address = node?.listen ?? '';
  const slow = ask(address, '/slow');
  slow.catch(() => undefined); // the test says what it expects
  await origin.next();
  return { ...started, address, pid, slow, release: held.resolve };
}

/** Resolves when this process is no more. */
async function ended(pid: number): Promise<void> {
  while (isThere(pid)) await new Promise((resolve) => void setImmediate(resolve));
}

for (const way of WAYS) {
  test(`SIGTERM to ${way} finishes requests in flight and leaves no process; SIGUSR1 and SIGXFSZ do nothing`, async (t) => {
    const { kill, logLine, slow, release, exitCode, pid } = await scene(t, way, way === 'cli/seawall.ts' ? 1 : 2);
    let hasDebugger = false;
    void logLine(/Debugger listening/).then(() => {
      hasDebugger = true;
    });
    for (const signal of ['SIGUSR1', 'SIGXFSZ'] as const) process.kill(pid, signal);
    kill('SIGTERM');
    await logLine(/stopping: draining/);
    release();
    t.equal((await slow).text, 'begun, done');
    t.equal(await exitCode, 0);
    await ended(pid);
    t.notOk(hasDebugger);
  });
}

test('SIGHUP to cli/seawall reloads the config', async (t) => {
  const { kill, logLine, release, slow } = await scene(t, 'cli/seawall');
  kill('SIGHUP');
  await logLine(/no site file to reload/);
  release();
  t.equal((await slow).text, 'begun, done');
});

test('SIGHUP to npm ends npm; Seawall finishes requests in flight and ends', async (t) => {
  const { kill, logLine, slow, release, exitCode, pid } = await scene(t, 'npm run seawall --', 2);
  kill('SIGHUP');
  t.equal(await exitCode, null, 'by the signal');
  await logLine(/the parent process is gone/);
  release();
  t.equal((await slow).text, 'begun, done');
  await ended(pid);
});
