/**
 * An edge of several processes: real ones, on one port.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import type { ReadyLine } from '../../cli/ready.ts';
import { startOrigin, text } from '../support/origin.ts';
import { freePort } from '../support/ports.ts';
import { ask, healthOf, KEPT, killAll, metric, region, SEAWALL, startEdge } from './edge-workers.ts';
import { runCommand, startCommand } from './process.ts';

test('two workers answer at one port, and a key is fetched once, whichever is asked', async (t) => {
  const origin = await startOrigin(text('hello', KEPT));
  t.teardown(() => origin.close());
  const { address, control, pids, ready } = await startEdge(t, origin.url);
  t.equal(pids.length, 2);
  t.match(ready.nodes[0]?.workers, [{ name: 'eu-1#1' }, { name: 'eu-1#2' }]);

  const paths = Array.from({ length: 12 }, (_, i) => `/key-${i}`);
  const asked = paths.flatMap((path) => Array.from({ length: 8 }, () => path));
  const cold = await Promise.all(asked.map((path) => ask(address, path)));
  t.ok(cold.every((answer) => answer.status === 200 && answer.text === 'hello'));
  for (const path of paths) t.equal(origin.count(path), 1, path);

  const warm = await Promise.all(asked.map((path) => ask(address, path)));
  t.ok(
    warm.some(({ tiers }) => tiers.length === 1),
    'some connections reach the owner',
  );
  t.ok(
    warm.some(({ tiers }) => tiers.length === 2),
    'some reach the other one, which asks the owner',
  );
  t.ok(
    warm.every(({ tiers }) => /^"eu-1";\s?hit/.test(tiers[0] ?? '')),
    'and the owner has it',
  );

  const all = asked.length * 2;
  t.equal(await metric(control, 'seawall_requests_total', { listener: 'public', node: 'eu-1' }), all, 'they add up');
  t.equal(
    (await metric(control, 'seawall_fills_total')) -
      (await metric(control, 'seawall_requests_total', { listener: 'tier' })),
    paths.length,
  );
  t.equal(await metric(control, 'seawall_cache_limit_bytes'), 256 * 2 ** 20, 'half of the memory each');
  t.match(await healthOf(control), { status: 'ok', workers: { serving: 2, of: 2 } });
});

test('kill -9 of a worker under load breaks only its own connections, and it is replaced', async (t) => {
  const origin = await startOrigin(text('hello', KEPT));
  t.teardown(() => origin.close());
  const { address, control, pids, logLine } = await startEdge(t, origin.url);
  for (let i = 0; i < 8; i++) await ask(address, `/${i}`);
  const counted = await metric(control, 'seawall_requests_total', { listener: 'public' });
  t.equal(counted, 8);

  let killedAt = Number.POSITIVE_INFINITY;
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
        if (beganAt > killedAt) failedAfter.push(error);
      }
    }
  };
  const visitors = Array.from({ length: 8 }, visitor);
  process.kill(pids[0] as number, 'SIGKILL');
  await logLine(/worker exited/); // its sockets are gone by then
  killedAt = performance.now();
  for (let health = await healthOf(control); ; health = await healthOf(control)) {
    t.equal(health.status, 'ok', 'one still serves');
    if (health.workers.serving === 2) {
      t.not(health.workers.list[0]?.pid, pids[0], 'another process');
      t.teardown(() => killAll(health.workers.list.map(({ pid }) => pid)));
      break;
    }
  }
  for (const before = answered; answered < before + 50; ) await ask(address, '/0');
  isOver = true;
  await Promise.all(visitors);
  t.strictSame(failedAfter, []);
  t.ok((await metric(control, 'seawall_requests_total', { listener: 'public' })) >= counted, 'no count falls');
  t.equal(await metric(control, 'seawall_worker_restarts_total'), 1);
});

test('a worker that hangs is replaced, and messages to it are not lost', async (t) => {
  const origin = await startOrigin(text('hello', KEPT));
  t.teardown(() => origin.close());
  const { address, control, pids, logLine } = await startEdge(t, origin.url);
  process.kill(pids[1] as number, 'SIGSTOP');
  await logLine(/worker does not respond/);
  await logLine(/worker exited/);
  for (let health = await healthOf(control); ; health = await healthOf(control)) {
    if (health.workers.serving < 2) continue;
    t.teardown(() => killAll(health.workers.list.map(({ pid }) => pid)));
    t.equal(health.workers.list[0]?.pid, pids[0], 'the other one goes on');
    t.not(health.workers.list[1]?.pid, pids[1]);
    break;
  }
  const answers = await Promise.all(Array.from({ length: 16 }, (_, i) => ask(address, `/${i}`)));
  t.ok(answers.every(({ status }) => status === 200));
  t.equal(await metric(control, 'seawall_worker_restarts_total'), 1);
});

test('a worker that ends while metrics are collected counts once', async (t) => {
  const origin = await startOrigin(text('hello', KEPT));
  t.teardown(() => origin.close());
  const { address, control, pids, logLine } = await startEdge(t, origin.url);
  await Promise.all(Array.from({ length: 16 }, (_, i) => ask(address, `/${i}`)));
  const counted = () => metric(control, 'seawall_requests_total', { listener: 'public' });
  t.equal(await counted(), 16);

  process.kill(pids[1] as number, 'SIGSTOP'); // its answer is waited for
  const during = counted();
  for (let i = 0; i < 20; i++) await healthOf(control); // the other one has answered by then
  process.kill(pids[0] as number, 'SIGKILL');
  await logLine(/worker exited/);
  t.equal(await during, 16);
  t.teardown(async () => killAll((await healthOf(control)).workers.list.map(({ pid }) => pid)));
});

test('a receipt names every worker', async (t) => {
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
  t.teardown(() => killAll((edge?.workers ?? []).map(({ pid }) => pid)));
  const address = edge?.listen ?? '';
  await Promise.all(Array.from({ length: 8 }, () => ask(address, '/a')));
  t.equal(origin.count('/a'), 1);

  const purged = await runCommand(SEAWALL, ['purge', '--url', `http://${address}/a`, '--json', '--token', token], {
    SEAWALL_CONTROL: `http://127.0.0.1:${port}`,
  });
  t.equal(purged.code, 0, purged.stderrLines.join('\n'));
  t.match(JSON.parse(purged.stdout), {
    nodes: [
      { name: 'eu-1#1', role: 'edge', applied: true },
      { name: 'eu-1#2', role: 'edge', applied: true },
    ],
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
