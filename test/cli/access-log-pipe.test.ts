/** `--access-log -` with what people put behind it: a pipe, a slow reader, one that leaves. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Test, test } from 'tap';
import { startOrigin, text } from '../support/origin.ts';
import { freePort } from '../support/ports.ts';
import { ask } from './edge-workers.ts';
import { ROOT } from './process.ts';

interface Scene {
  readonly child: ChildProcess;
  readonly address: string;
  readonly errors: string[];
}

/** Its standard output is not read yet. */
async function serve(t: Test, workers: number, more: readonly string[] = []): Promise<Scene> {
  const origin = await startOrigin(text('hello', { 'Cache-Control': 'max-age=60' }));
  t.teardown(() => origin.close());
  const address = `127.0.0.1:${await freePort()}`;
  const args = ['--origin', origin.url, '--listen', address, '--workers', String(workers), '--access-log', '-'];
  const child = spawn(join(ROOT, 'cli/seawall'), ['serve', ...args, ...more], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.teardown(() => child.kill('SIGKILL'));
  const errors: string[] = [];
  const lines = createInterface({ input: child.stderr as NodeJS.ReadableStream });
  lines.on('line', (line) => errors.push(line));
  const ended = once(child, 'exit');
  while (!errors.some((line) => /is ready/.test(line))) {
    await Promise.race([once(lines, 'line'), ended]);
    if (child.exitCode !== null) throw new Error(errors.join('\n'));
  }
  return { child, address, errors };
}

function linesOf(child: ChildProcess): Promise<string[]> {
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  reader.on('line', (line) => lines.push(line));
  return once(reader, 'close').then(() => lines);
}

for (const workers of [1, 2]) {
  test(`each answer of ${workers} worker(s) is one whole line, and the pipe has nothing else`, async (t) => {
    const { child, address } = await serve(t, workers);
    const written = linesOf(child);
    // Long lines: those of two processes must not run into each other.
    const paths = Array.from({ length: 400 }, (_, i) => `/${i}?${'x'.repeat(5_000)}`);
    for (let i = 0; i < paths.length; i += 40)
      await Promise.all(paths.slice(i, i + 40).map((path) => ask(address, path)));
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    t.equal(code, 0);
    const targets = (await written).map((line) => (JSON.parse(line) as { target: string }).target);
    t.same(targets.sort(), paths.toSorted());
  });

  test(`a reader that does not read delays no answer of ${workers} worker(s)`, async (t) => {
    const { child, address } = await serve(t, workers);
    const path = `/?${'x'.repeat(7_000)}`; // 400 of them are more than a pipe holds, many times over
    for (let i = 0; i < 400; i += 40) {
      const answers = await Promise.all(Array.from({ length: 40 }, () => ask(address, path)));
      t.ok(
        answers.every(({ status }) => status === 200),
        `${answers.map(({ status }) => status)}`,
      );
    }
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    t.equal(code, 0, 'nor the end');
  });
}

test('a reader that closes the pipe is logged once, and requests are served', async (t) => {
  const { child, address, errors } = await serve(t, 1);
  child.stdout?.destroy();
  await ask(address, '/');
  const warnings = () => errors.filter((line) => /standard output is closed/.test(line));
  // The log is written every half a second.
  for (const from = Date.now(); warnings().length === 0 && Date.now() - from < 20_000; ) await ask(address, '/more');
  for (let i = 0; i < 5; i++) t.equal((await ask(address, `/${i}`)).status, 200);
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit');
  t.equal(code, 0);
  t.equal(warnings().length, 1);
});
