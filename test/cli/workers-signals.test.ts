/** Edge of several threads: signals, and failures to start. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { test } from 'tap';
import { pauseBeforeRestart } from '../../cli/workers/worker-thread.ts';
import { startOrigin, text } from '../support/origin.ts';
import { ask, region, SEAWALL, startEdge } from './edge-workers.ts';
import { runCommand } from './process.ts';

test('SIGHUP reaches all workers; a changed number of workers is refused by its key', async (t) => {
  const origin = await startOrigin(text('hello'));
  t.teardown(() => origin.close());
  const { file, address, kill, logLine } = await startEdge(t, origin.url);
  writeFileSync(file, region(origin.url, { mark: 'second', workers: 3 }));
  kill('SIGHUP');
  t.match(
    await logLine(/workers: /),
    /eu\.yaml:9:\d+ edges\[0\]\.workers: eu-1 runs as 2 workers.*Fix: Write `workers: 2`, or restart eu-1/,
  );
  await logLine(/new config rejected/);
  t.ok((await Promise.all(Array.from({ length: 8 }, () => ask(address, '/')))).every(({ mark }) => mark === 'first'));

  writeFileSync(file, region(origin.url, { mark: 'second' }));
  kill('SIGHUP');
  await logLine(/the config was read again/);
  // Both have been told; a worker takes it up when it gets to it.
  let marks: (string | undefined)[] = [];
  do marks = (await Promise.all(Array.from({ length: 16 }, () => ask(address, '/')))).map(({ mark }) => mark);
  while (marks.includes('first'));
  t.ok(marks.every((mark) => mark === 'second'));
});

test('SIGTERM lets all workers finish; a second one ends them at once', async (t) => {
  const held = Promise.withResolvers<void>();
  const origin = await startOrigin((_request, response) => {
    response.write('begun, ');
    void held.promise.then(() => response.end('done'));
  });
  t.teardown(() => origin.close());
  const first = await startEdge(t, origin.url);
  const slow = Promise.all(Array.from({ length: 8 }, (_, i) => ask(first.address, `/${i}`)));
  while (origin.requests.length < 8) await origin.next();
  first.kill('SIGTERM');
  await first.logLine(/"name":"eu-1#1".*stopping/);
  await first.logLine(/"name":"eu-1#2".*stopping/);
  await t.rejects(ask(first.address, '/new'));
  held.resolve();
  t.ok((await slow).every((answer) => answer.text === 'begun, done'));
  t.equal(await first.exitCode, 0);

  origin.script = () => undefined;
  const second = await startEdge(t, origin.url, { mark: 'again' });
  const lost = ask(second.address, '/never').catch((error: Error) => error);
  await origin.next();
  second.kill('SIGTERM');
  await second.logLine(/"name":"eu-1#2".*stopping/);
  // Two signals within 300 ms are one (npm hands a Ctrl-C on a second time).
  let last: string | undefined;
  while (last === undefined) {
    second.kill('SIGTERM');
    last = await Promise.race([second.logLine(/stopping at once/), wait(50, undefined)]);
  }
  t.equal(await second.exitCode, 1);
  t.ok((await lost) instanceof Error);
});

test('an address in use is refused, although workers could share it', async (t) => {
  const origin = await startOrigin(text('hello'));
  const taken = createServer().listen({ port: 0, host: '127.0.0.1', reusePort: true });
  await once(taken, 'listening');
  t.teardown(() => Promise.all([origin.close(), taken.close()]));
  const { port } = taken.address() as { port: number };
  const file = join(t.testdir({ 'eu.yaml': region(origin.url, { listen: `127.0.0.1:${port}` }) }), 'eu.yaml');
  const { code, stderrLines } = await runCommand(SEAWALL, ['start', file, '--node', 'eu-1']);
  t.equal(code, 1);
  t.match(stderrLines, [/eu\.yaml:6:\d+ edges\[0\]\.listen: 127\.0\.0\.1:\d+ is taken by another program/]);
});

test('with one worker there is no second thread', async (t) => {
  const origin = await startOrigin(text('hello'));
  t.teardown(() => origin.close());
  const { ready, control } = await startEdge(t, origin.url, { workers: 1 });
  t.equal(ready.nodes[0]?.workers, undefined);
  t.strictSame(await (await fetch(`http://${control}/healthz`)).json(), { node: 'eu-1', status: 'ok' });
});

test('a worker that ends right after its start is restarted after growing pauses', async (t) => {
  t.strictSame([1, 2, 3, 4, 8, 100].map(pauseBeforeRestart), [0, 250, 500, 1_000, 10_000, 10_000]);
});
