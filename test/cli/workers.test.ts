/**
 * An edge of several threads, on one port.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import type { ReadyLine } from '../../cli/ready.ts';
import { storeBytes } from '../../tier/process-memory.ts';
import { startOrigin, text } from '../support/origin.ts';
import { freePort } from '../support/ports.ts';
import { ask, healthOf, KEPT, metric, region, SEAWALL, startEdge, whenReplaced } from './edge-workers.ts';
import { runCommand, startCommand } from './process.ts';

test('two workers answer at one port, and a key is fetched once, whichever is asked', async (t) => {
  const origin = await startOrigin(text('hello', KEPT));
  t.teardown(() => origin.close());
  const { address, control, threads, ready } = await startEdge(t, origin.url);
  t.equal(new Set(threads).size, 2);
  t.match(ready.nodes[0]?.workers, [{ name: 'eu-1#1' }, { name: 'eu-1#2' }]);

  const paths = Array.from({ length: 12 }, (_, i) => `/key-${i}`);
  const asked = paths.flatMap((path) => Array.from({ length: 8 }, () => path));
  const cold = await Promise.all(asked.map((path) => ask(address, path)));
  t.ok(cold.every((answer) => answer.status === 200 && answer.text === 'hello'));
  for (const path of paths) t.equal(origin.count(path), 1, path);

  const warm = await Promise.all(asked.map((path) => ask(address, path)));
  t.ok(
    warm.every(({ tiers }) => tiers.length === 1 && /^"eu-1";\s?hit/.test(tiers[0] ?? '')),
    'each of them has what either has stored',
  );

  const all = asked.length * 2;
  t.equal(await metric(control, 'seawall_requests_total', { listener: 'public', node: 'eu-1' }), all, 'they add up');
  t.equal(await metric(control, 'seawall_fills_total'), paths.length);
  t.equal(await metric(control, 'seawall_requests_total', { listener: 'tier' }), 0, 'no thread asks another one');
  const store = storeBytes(256 * 2 ** 20, { workers: 2, isSupervised: true, hasDisk: false });
  t.equal(await metric(control, 'seawall_cache_limit_bytes'), store, 'the memory counts once');
  t.equal(await metric(control, 'seawall_cache_keys'), paths.length);
  t.match(await healthOf(control), { status: 'ok', workers: { serving: 2, of: 2 } });
});

/** Faults of a thread, and the end in the log: while its heap fills up it may stand still for too long. */
const FAULTS = [
  ['terminate', /exit code 1/],
  ['throw', /a fault that a test asked for/],
  ['heap', /ERR_WORKER_OUT_OF_MEMORY|exit code 1/],
  ['hang', /exit code 1/],
] as const;

for (const [fault, how] of FAULTS) {
  test(`a worker that ends by ${fault} under load breaks only its own connections, and is replaced`, async (t) => {
    const origin = await startOrigin(text('hello', KEPT));
    t.teardown(() => origin.close());
    const { address, control, threads, cause, logLine } = await startEdge(t, origin.url);
    for (let i = 0; i < 8; i++) await ask(address, `/${i}`);
    const counted = await metric(control, 'seawall_requests_total', { listener: 'public' });
    t.equal(counted, 8);

    let endedAt = Number.POSITIVE_INFINITY;
    let isOver = false;
    const failedAfter: unknown[] = [];
    let answered = 0;
    const visitor = async (): Promise<void> => {
      for (let i = 0; !isOver; i++) {
        const beganAt = performance.now();
        try {
          const { status } = await ask(address, `/${i % 8}`);
          if (status !== 200) failedAfter.push(status);
          answered++;
        } catch (error) {
          if (beganAt > endedAt) failedAfter.push(error);
        }
      }
    };
    const visitors = Array.from({ length: 8 }, visitor);
    const [ended, other] = threads;
    await cause(ended, fault);
    if (fault === 'hang') await logLine(/worker does not respond/);
    t.match(await logLine(/worker exited/), how); // its sockets are closed by then
    endedAt = performance.now();
    const { status, workers } = await whenReplaced(control, ended);
    t.equal(status, 'ok');
    t.equal(workers.list[1]?.thread, other, 'the other one goes on');
    for (const before = answered; answered < before + 50; ) await ask(address, '/0');
    isOver = true;
    await Promise.all(visitors);
    t.strictSame(failedAfter, []);
    t.ok((await metric(control, 'seawall_requests_total', { listener: 'public' })) >= counted, 'no count falls');
    t.equal(await metric(control, 'seawall_worker_restarts_total'), 1);
  });
}

test('a worker that ends while metrics are collected counts once', async (t) => {
  const origin = await startOrigin(text('hello', KEPT));
  t.teardown(() => origin.close());
  const { address, control, threads, cause, logLine } = await startEdge(t, origin.url);
  await Promise.all(Array.from({ length: 16 }, (_, i) => ask(address, `/${i}`)));
  const counted = () => metric(control, 'seawall_requests_total', { listener: 'public' });
  t.equal(await counted(), 16);

  await cause(threads[1], 'hang'); // its answer is waited for
  const during = counted();
  for (let i = 0; i < 20; i++) await healthOf(control); // the other one has answered by then
  await cause(threads[0], 'terminate');
  await logLine(/worker exited/);
  t.equal(await during, 16);
});

test('metrics of the process are counted once, those of an event loop for each worker', async (t) => {
  const origin = await startOrigin(text('hello', KEPT));
  t.teardown(() => origin.close());
  const { control, ready } = await startEdge(t, origin.url);
  const rss = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${ready.pid}/status`, 'utf8'))?.[1]) * 1024;
  const shown = await metric(control, 'process_resident_memory_bytes');
  t.ok(shown < rss * 1.4 && shown > rss / 1.4, `${shown} beside ${rss}`);
  t.ok((await metric(control, 'nodejs_heap_size_used_bytes')) > 0);
  t.ok((await metric(control, 'process_cpu_seconds_total')) > 0);
});

test('a purge is applied by an edge when all its workers have applied it', async (t) => {
  const origin = await startOrigin(text('hello', KEPT));
  t.teardown(() => origin.close());
  const file = join(t.testdir({ 'eu.yaml': region(origin.url, { control: true }) }), 'eu.yaml');
  const made = await runCommand(SEAWALL, [
    'token',
    'create',
    file,
    '--name',
    'test',
    '--site',
    'site',
    '--kind',
    'url',
    '--kind',
    'tag',
  ]);
  t.equal(made.code, 0, made.stderrLines.join('\n'));
  const token = made.stdout.trim();
  const port = await freePort();
  writeFileSync(
    file,
    region(origin.url, { control: true }).replace(
      'control: { listen: "127.0.0.1:0" }',
      `control: { listen: "127.0.0.1:${port}" }`,
    ),
  );
  const { ready } = await startCommand<ReadyLine>(t, SEAWALL, ['start', file]);
  const edge = ready.nodes.find(({ name }) => name === 'eu-1');
  const address = edge?.listen ?? '';
  await Promise.all(Array.from({ length: 8 }, () => ask(address, '/a')));
  t.equal(origin.count('/a'), 1);

  const purged = await runCommand(SEAWALL, ['purge', '--url', `http://${address}/a`, '--json', '--token', token], {
    SEAWALL_CONTROL: `http://127.0.0.1:${port}`,
  });
  t.equal(purged.code, 0, purged.stderrLines.join('\n'));
  t.match(JSON.parse(purged.stdout), {
    nodes: [{ name: 'eu-1', role: 'edge', applied: true }],
  });
  await Promise.all(Array.from({ length: 8 }, () => ask(address, '/a')));
  t.equal(origin.count('/a'), 2, 'fetched once more, by one of them');
});

test('serve: a PURGE at one worker takes effect at all', async (t) => {
  const origin = await startOrigin(text('hello', KEPT));
  t.teardown(() => origin.close());
  const file = join(t.testdir({ 'site.yaml': 'purge_method: { from: [127.0.0.1] }' }), 'site.yaml');
  const { ready, kill, exitCode } = await startCommand<ReadyLine>(t, SEAWALL, [
    ...['serve', '--origin', origin.url, '--listen', '127.0.0.1:0', '--site', file, '--workers', '2'],
  ]);
  const address = ready.nodes[0]?.listen ?? '';
  t.equal(ready.nodes[0]?.workers?.length, 2);
  const askAll = (path: string) => Promise.all(Array.from({ length: 8 }, () => ask(address, path)));
  for (let round = 1; round <= 5; round++) {
    await askAll('/a');
    t.equal(origin.count('/a'), round);
    t.equal((await ask(address, '/a', 'PURGE')).status, 200);
  }
  kill('SIGTERM');
  t.equal(await exitCode, 0);
});
