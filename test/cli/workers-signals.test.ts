/** Edge of several threads: signals, and failures to start. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { test } from 'tap';
import type { ReadyLine } from '../../cli/ready.ts';
import { pauseBeforeRestart } from '../../cli/workers/worker-thread.ts';
import { storeBytes } from '../../tier/process-memory.ts';
import { startOrigin, text } from '../support/origin.ts';
import { ask, healthOf, metric, region, SEAWALL, startEdge } from './edge-workers.ts';
import { runCommand, startCommand } from './process.ts';

test('SIGHUP reaches all workers, and their number may change', async (t) => {
  const origin = await startOrigin(text('hello'));
  t.teardown(() => origin.close());
  const { file, address, control, kill, threads } = await startEdge(t, origin.url);
  const change = async (workers: number, mark: string): Promise<void> => {
    writeFileSync(file, region(origin.url, { mark, workers }));
    kill('SIGHUP');
    for (let health = await healthOf(control); ; health = await healthOf(control)) {
      const { serving, of } = health.workers;
      if (serving === workers && of === workers) break;
    }
    // All have been told; a worker takes it up when it gets to it. The system resets connections that one that leaves
    // has not accepted yet (docs/operating.md).
    const marked = async (): Promise<boolean> => {
      const asked = await Promise.allSettled(Array.from({ length: 16 }, () => ask(address, '/')));
      return asked.every((one) => one.status === 'fulfilled' && one.value.mark === mark);
    };
    while (!(await marked()));
  };
  const counted = () => metric(control, 'seawall_requests_total', { listener: 'public' });
  let before = 0;
  for (const [workers, mark] of [
    [2, 'second'],
    [4, 'third'],
    [1, 'fourth'],
    [3, 'fifth'],
  ] as const) {
    await change(workers, mark);
    const { list } = (await healthOf(control)).workers;
    t.strictSame(
      list.map(({ name }) => name),
      Array.from({ length: workers }, (_, i) => `eu-1#${i + 1}`),
    );
    t.equal(list[0]?.thread, threads[0], 'those that stay go on');
    const after = await counted();
    t.ok(after >= before, 'no count falls');
    before = after;
    const store = storeBytes(256 * 2 ** 20, { workers, isSupervised: true, hasDisk: false });
    t.equal(await metric(control, 'seawall_cache_limit_bytes'), store, 'they share what is left for the store');
  }
  t.equal(await metric(control, 'seawall_worker_restarts_total'), 0);
});

test('several workers in place of one are refused by the key', async (t) => {
  const origin = await startOrigin(text('hello'));
  t.teardown(() => origin.close());
  const file = join(t.testdir({ 'eu.yaml': region(origin.url, { workers: 1 }) }), 'eu.yaml');
  const { kill, logLine } = await startCommand<ReadyLine>(t, SEAWALL, ['start', file]);
  writeFileSync(file, region(origin.url, { workers: 3 }));
  kill('SIGHUP');
  const why = /eu\.yaml:9:\d+ edges\[0\]\.workers: eu-1 has one worker.*Fix: Write `workers: 1`, or/;
  t.match(await logLine(/workers: /), why);
  await logLine(/new config rejected/);
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
