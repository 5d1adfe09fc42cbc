/** SIGUSR2: a new process takes the place of a running one and loses no request; one that fails does no harm. */
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type Test, test } from 'tap';
import type { ReadyLine } from '../../cli/ready.ts';
import { startOrigin } from '../support/origin.ts';
import { freeAddress } from '../support/ports.ts';
import { startCommand } from './process.ts';

const CLIENTS = 12;

interface Load {
  readonly answered: number;
  readonly failures: readonly string[];
  stop(): Promise<void>;
}

/** Requests without a pause: half of the clients keep their connections, the others open one for each request. */
function load(address: string, host = 'www.example.com'): Load {
  let answered = 0;
  let isStopping = false;
  const failures: string[] = [];
  const clients = Array.from({ length: CLIENTS }, async (_, number) => {
    const agent = new Agent({ keepAlive: number % 2 === 0, maxSockets: 1 });
    while (!isStopping) {
      try {
        await ask(address, agent, host);
        answered += 1;
      } catch (error) {
        failures.push((error as Error).message);
        await wait(20); // not a flood of the same failure
      }
    }
    agent.destroy();
  });
  return {
    get answered() {
      return answered;
    },
    failures,
    async stop() {
      isStopping = true;
      await Promise.all(clients);
    },
  };
}

async function ask(address: string, agent: Agent, host: string): Promise<void> {
  const request = get(`http://${address}/page`, { agent, headers: { host } });
  const [response] = await once(request, 'response');
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString();
  if (response.statusCode !== 200 || body !== BODY) throw new Error(`${response.statusCode} ${body.slice(0, 80)}`);
}

const BODY = 'x'.repeat(20_000);

async function origin(t: Test): Promise<string> {
  const { url, close } = await startOrigin((_, response) => {
    response.setHeader('Cache-Control', 'max-age=60');
    response.end(BODY);
  });
  t.teardown(close);
  return url;
}

/** Number of answers after which something has happened in the middle of others. */
const SOME = 200;

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await wait(5);
}

type Running = Awaited<ReturnType<typeof startCommand<ReadyLine>>>;

/** Has a new process take over, and returns its pid. It is ended with the test. */
async function replaced(t: Test, { kill, logLine, exitCode }: Running): Promise<number> {
  kill('SIGUSR2');
  const { pid } = JSON.parse(await logLine(/serves in place of this one/)) as { pid: number };
  t.teardown(() => process.kill(pid, 'SIGKILL'));
  t.equal(await exitCode, 0, 'the old process has finished what was in flight');
  return pid;
}

for (const { what, args } of [
  { what: 'one thread', args: ['--workers', '1'] },
  { what: 'three threads', args: ['--workers', '3'] },
]) {
  test(`serve with ${what}: no request is lost when a new process takes over`, async (t) => {
    const listen = await freeAddress();
    const control = await freeAddress();
    const running = await startCommand<ReadyLine>(t, 'cli/seawall', [
      ...['serve', '--origin', await origin(t), '--listen', listen, '--control', control],
      ...args,
    ]);
    const requests = load(listen);
    await until(() => requests.answered > SOME);
    const pid = await replaced(t, running);
    t.not(pid, running.ready.pid);
    const before = requests.answered;
    await until(() => requests.answered > before + SOME);
    await requests.stop();
    t.same(requests.failures, []);
    t.comment(`${requests.answered} requests, ${requests.failures.length} lost`);
    t.equal((await fetch(`http://${control}/healthz`)).status, 200);
  });
}

/** A region with each kind of node: what only one process may use is handed on as well. */
async function region(t: Test, folder: string) {
  const [listen, tier, other, shield, control] = await Promise.all(Array.from({ length: 5 }, freeAddress));
  const file = join(folder, 'eu.yaml');
  writeFileSync(
    file,
    `region: eu
tier_secret: 0123456789abcdef
memory: 64MiB
control: { name: control, listen: '${control}' }
edges:
  - { name: eu-1, listen: '${listen}', tier: '${tier}', workers: 2, disk: { path: disk, size: 256MiB } }
  - { name: eu-2, listen: '127.0.0.1:0', tier: '${other}', workers: 1, disk: { path: disk-2, size: 256MiB } }
shields:
  - { name: shield, tier: '${shield}', disk: { path: disk-3, size: 256MiB } }
sites:
  - { name: shop, hosts: [www.example.com], origin: { servers: [{ url: '${await origin(t)}' }] } }
`,
  );
  return { file, listen: listen as string, control: control as string };
}

test('a region with control node, shield and disks: no request is lost, and each disk and the journal is in use again', async (t) => {
  const { file, listen, control } = await region(t, t.testdir({}));
  const running = await startCommand<ReadyLine>(t, 'cli/seawall', ['start', file]);
  const requests = load(listen);
  await until(() => requests.answered > SOME);
  await replaced(t, running);
  const before = requests.answered;
  await until(() => requests.answered > before + SOME);
  await requests.stop();
  t.same(requests.failures, []);
  t.comment(`${requests.answered} requests, ${requests.failures.length} lost`);
  t.match(await (await fetch(`http://${control}/v1/nodes`)).text(), 'eu-1');
  t.ok(existsSync(join(file, '../disk/1-of-1/identity')));
});

test('a new process that cannot start leaves the old one as it was', async (t) => {
  const { file, listen } = await region(t, t.testdir({}));
  const running = await startCommand<ReadyLine>(t, 'cli/seawall', ['start', file]);
  const requests = load(listen);
  writeFileSync(file, 'region: eu\nmemory: lots\n');
  running.kill('SIGUSR2');
  await running.logLine(/upgrade failed: this process goes on/);
  const before = requests.answered;
  await until(() => requests.answered > before + SOME);
  await requests.stop();
  t.same(requests.failures, []);
  running.kill('SIGTERM');
  t.equal(await running.exitCode, 0);
});

test('SIGTERM while the new process starts ends both', async (t) => {
  const listen = await freeAddress();
  const args = ['serve', '--origin', await origin(t), '--listen', listen, '--workers', '1'];
  const running = await startCommand<ReadyLine>(t, 'cli/seawall', args);
  running.kill('SIGUSR2');
  running.kill('SIGTERM');
  t.equal(await running.exitCode, 0);
  await running.outputEnd; // both have it
  await t.rejects(fetch(`http://${listen}/page`));
});

test('fewer threads cannot take over from more: their sockets would get connections', async (t) => {
  const { file, listen } = await region(t, t.testdir({}));
  const running = await startCommand<ReadyLine>(t, 'cli/seawall', ['start', file]);
  writeFileSync(file, readFileSync(file, 'utf8').replace('workers: 2', 'workers: 1'));
  running.kill('SIGUSR2');
  await running.logLine(/edges\[0\]\.workers: the process that runs has 2 threads for eu-1, and 1 cannot take over/);
  await running.logLine(/upgrade failed: this process goes on/);
  const agent = new Agent();
  await ask(listen, agent, 'www.example.com');
  running.kill('SIGTERM');
  t.equal(await running.exitCode, 0);
});
