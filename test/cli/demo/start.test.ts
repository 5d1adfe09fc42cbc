/** `npm start` as a process: the whole demo network, on other ports. */
import { once } from 'node:events';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { type Test, test } from 'tap';
import { prepareNetwork } from '../../../cli/demo/network.ts';
import { takenAddresses } from '../../../cli/demo/ports.ts';
import { plansOf } from '../../../cli/nodes.ts';
import type { ReadyNode } from '../../../cli/ready.ts';
import { startOrigin } from '../../support/origin.ts';
import { runCommand, startCommand } from '../process.ts';

const LAUNCHER = 'cli/demo/start.ts';
const HOST = 'bay.test';

interface DemoReady {
  readonly pid: number;
  readonly origin: string;
  readonly nodes: readonly (ReadyNode & { readonly pid: number; readonly region: string })[];
}

/** An offset at which no port is taken. */
async function freeOffset(): Promise<string> {
  for (let portOffset = 2_000; portOffset < 50_000; portOffset += 1_000) {
    const { regions, originUrl, dispose } = prepareNetwork({
      origin: undefined,
      portOffset,
      env: { SEAWALL_TIER_SECRET: 'a-secret-of-the-tests' },
    });
    dispose();
    const addresses = plansOf(regions).flatMap(({ addresses: { listen, tier, control } }) => [listen, tier, control]);
    const all = [...addresses.filter((address) => address !== undefined), new URL(originUrl).host];
    if ((await takenAddresses(all)).length === 0) return String(portOffset);
  }
  throw new Error('no free ports');
}

async function startDemo(t: Test, args: readonly string[] = []) {
  const offset = await freeOffset();
  return { offset, ...(await startCommand<DemoReady>(t, LAUNCHER, ['--port-offset', offset, ...args])) };
}

interface Answer {
  readonly status: number | undefined;
  readonly age: string | undefined;
  readonly cacheStatus: string;
  readonly body: string;
}

/** Asks an edge for the same host whichever it is: the host is part of the key. */
async function ask(edge: ReadyNode | undefined, path: string): Promise<Answer> {
  const outgoing = request(`http://${edge?.listen}${path}`, { headers: { host: HOST } });
  outgoing.end();
  const [response] = await once(outgoing, 'response');
  const { age, 'cache-status': cacheStatus } = response.headers;
  return { status: response.statusCode, age, cacheStatus: String(cacheStatus), body: await text(response) };
}

async function originRequests(origin: string, path: string): Promise<number> {
  const { byPath } = (await (await fetch(`${origin}/stats`)).json()) as { byPath: Record<string, number> };
  return byPath[path] ?? 0;
}

/** Returns the number of requests that nodes have sent to a second target. */
async function secondRequests(nodes: readonly ReadyNode[]): Promise<number> {
  let count = 0;
  for (const { control, role } of nodes) {
    if (control === undefined || role === 'control') continue;
    const metrics = await (await fetch(`http://${control}/metrics`)).text();
    for (const [, value] of metrics.matchAll(/^seawall_(?:retries|hedges)_total\{[^}]*\} (\d+)$/gm))
      count += Number(value);
  }
  return count;
}

test('the demo network starts and serves', async (t) => {
  const { ready, offset, kill, logLine, exitCode } = await startDemo(t);
  const edges = ready.nodes.filter(({ role }) => role === 'edge');
  const [eu1, eu2] = edges;
  t.strictSame(
    ready.nodes.map(({ name, region }) => `${region} ${name}`),
    ['eu control', 'eu shield-1', 'eu eu-1', 'eu eu-2', 'us us-1', 'us us-2'],
  );

  const cold = await ask(eu1, '/images/dusk.jpg');
  t.equal(cold.age, undefined);
  t.match((await ask(eu1, '/images/dusk.jpg')).cacheStatus, /;hit/);

  const crowd = await Promise.all(edges.flatMap((edge) => Array.from({ length: 10 }, () => ask(edge, '/slow'))));
  t.ok(crowd.every(({ status }) => status === 200));
  // Where a node was late with a heartbeat, requests that waited for it went to another one as well, and say so.
  const most = 1 + (await secondRequests(ready.nodes));
  const copies = new Set(crowd.map(({ body }) => body)).size;
  t.ok(copies <= most, `forty visitors have ${copies} copies, with ${most - 1} second requests`);
  const fetched = await originRequests(ready.origin, '/slow');
  t.ok(fetched >= 1 && fetched <= most, `of ${fetched} requests`);

  t.not((await ask(eu1, '/api/me')).body, (await ask(eu1, '/api/me')).body);

  const control = ready.nodes.find(({ role }) => role === 'control');
  const { regions } = (await (await fetch(`http://${control?.control}/v1/nodes`)).json()) as {
    regions: { nodes: { state: string }[] }[];
  };
  t.strictSame(
    regions.map(({ nodes }) => nodes.map(({ state }) => state).join(' ')),
    ['up up up', 'up up'],
  );

  process.kill(eu2?.pid ?? 0, 'SIGKILL');
  t.match(await logLine(/has ended/), /^eu-2 \(pid \d+\) has ended: SIGKILL\. The others go on\.$/);
  for (let i = 0; i < 6; i++) t.equal((await ask(eu1, `/pictures?page=${i}`)).status, 200);

  kill('SIGINT');
  t.equal(await exitCode, 0);
  for (const { pid, name } of ready.nodes) t.throws(() => process.kill(pid, 0), { code: 'ESRCH' }, `${name} is gone`);
  await logLine(/^Stopping/);

  const blocker = createServer().listen(8_083 + Number(offset), '127.0.0.1');
  await once(blocker, 'listening');
  t.teardown(() => blocker.close());
  const refused = await runCommand(LAUNCHER, ['--port-offset', offset]);
  t.equal(refused.code, 1);
  t.strictSame(refused.stderrLines, [
    `npm start: taken by another program: 127.0.0.1:${8_083 + Number(offset)} (us-1). Fix: stop that program, or move every port with npm start -- --port-offset 1000.`,
  ]);
});

test('a replicated demo network purges while a control node and a member of etcd are gone, and ends with its launcher', async (t) => {
  const { ready, kill, exitCode } = await startDemo(t, ['--replicated']);
  const { nodes, etcd, files } = ready as DemoReady & { etcd: { pid: number }[]; files: string[] };
  const [one, other] = nodes.filter(({ role }) => role === 'control');
  const env = { SEAWALL_TIER_SECRET: 'not-used-by-this-one' };
  const create = ['token', 'create', files[0] ?? '', '--name', 'me', '--all-sites', '--read'];
  const token = (await runCommand('cli/seawall.ts', create, env)).stdout.trim();
  process.kill(one?.pid ?? 0, 'SIGKILL');
  process.kill(etcd[0]?.pid ?? 0, 'SIGKILL');
  const purge = ['purge', '--control', `http://${other?.control}`, '--everything', '--json', '--timeout', '30s'];
  const { stdout, code } = await runCommand('cli/seawall.ts', purge, { ...env, SEAWALL_TOKEN: token });
  t.match(JSON.parse(stdout), { status: 'applied', first: 1 });
  t.equal(code, 0);
  kill('SIGKILL');
  await exitCode;
  for (const { pid } of etcd.slice(1)) {
    while (isAlive(pid)) await new Promise((resolve) => setImmediate(resolve));
  }
});

test('a replicated demo network without etcd says what to install', async (t) => {
  const { stderrLines, code } = await runCommand(LAUNCHER, ['--replicated'], { PATH: t.testdir({}) });
  t.equal(code, 1);
  t.match(stderrLines.join(), /there is no program `etcd`\. Fix: install it, .*apt-get install etcd-server/);
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test('the demo network runs in front of another site, and its nodes end with a launcher that is killed', async (t) => {
  const origin = await startOrigin((_request, response) => response.end('my own site'));
  t.teardown(() => origin.close());
  const { ready, kill, exitCode } = await startDemo(t, ['--origin', origin.url]);
  t.equal(ready.origin, origin.url);
  const edge = ready.nodes.find(({ role }) => role === 'edge');
  t.equal((await ask(edge, '/')).body, 'my own site');

  const closings = ready.nodes.map(({ control }) => closedConnection(control ?? ''));
  const watching = await Promise.all(closings);
  kill('SIGKILL');
  await exitCode;
  await Promise.all(watching.map(({ closed }) => closed));
  t.pass('every node has closed its listeners');
});

/** A connection to a node: it is closed when the node is gone. */
async function closedConnection(address: string): Promise<{ closed: Promise<unknown> }> {
  const outgoing = request(`http://${address}/healthz`, { agent: false, headers: { connection: 'keep-alive' } });
  outgoing.end();
  const [response] = await once(outgoing, 'response');
  const closed = once(response.socket, 'close');
  await text(response);
  return { closed };
}
