/**
 * A disk cache through the program itself: what was on disk is served after `kill -9`, checked, and with every purge
 * and every change of the meantime.
 */
import { createHash } from 'node:crypto';
import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type Test, test } from 'tap';
import type { ReadyLine } from '../../cli/ready.ts';
import { ask } from '../cli/edge-workers.ts';
import { runCommand, type Started, startCommand } from '../cli/process.ts';
import { samplesOf } from '../support/network.ts';
import { type Origin, startOrigin } from '../support/origin.ts';
import { freeAddress } from '../support/ports.ts';

const SEAWALL = 'cli/seawall.ts';
const TOKEN = 'let-me-purge';

interface Stage {
  readonly folder: string;
  readonly origin: Origin;
  /** Content of everything, from now on. */
  readonly content: { value: string };
  /** Starts the program at the folder. */
  start(workers: number): Promise<Running>;
}

interface Running {
  readonly program: Started<ReadyLine>;
  readonly address: string;
  /** Value of a metric, over all its labels. */
  metric(name: string): Promise<number>;
  health(): Promise<Record<string, unknown>>;
  /** Ends it at once, with all its processes. */
  kill(): Promise<void>;
}

async function stage(t: Test): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'seawall-disk-'));
  const content = { value: 'first' };
  const origin = await startOrigin((asked, response) => {
    response.writeHead(200, { 'Cache-Control': 'max-age=3600', ETag: `"${content.value}"`, 'Cache-Tag': 'all' });
    response.end(bodyOf(String(asked.url), content.value));
  });
  const address = await freeAddress(); // which is part of the keys
  const site = join(folder, 'site.yaml');
  const hash = createHash('sha256').update(TOKEN).digest('hex');
  writeFileSync(site, `name: site\nhosts: ["*"]\npurge_method: { token_sha256: ["${hash}"] }\n`);
  t.teardown(async () => {
    await origin.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const start = async (workers: number): Promise<Running> => {
    const args = ['serve', '--origin', origin.url, '--listen', address, '--control', '127.0.0.1:0', '--site', site];
    const disk = ['--disk', join(folder, 'cache'), '--disk-size', '256MiB', '--workers', String(workers)];
    const program = await startCommand<ReadyLine>(t, SEAWALL, [...args, ...disk]);
    const [node] = program.ready.nodes as [ReadyLine['nodes'][number]];
    const { listen = '', control = '' } = node;
    return {
      program,
      address: listen,
      async metric(name) {
        const samples = samplesOf(await (await fetch(`http://${control}/metrics`)).text());
        return samples.reduce((sum, sample) => (sample.name === name ? sum + sample.value : sum), 0);
      },
      health: async () => (await (await fetch(`http://${control}/healthz`)).json()) as Record<string, unknown>,
      async kill() {
        program.kill('SIGKILL');
        await program.exitCode;
      },
    };
  };
  return { folder, origin, content, start };
}

/** A body whose every byte depends on path and content; some are larger than a packet. */
function bodyOf(path: string, value: string): string {
  return `${path} ${value} `.repeat(path.endsWith('0') ? 20_000 : 20);
}

const PATHS = Array.from({ length: 30 }, (_, i) => `/page/${i}`);

/** @returns The tiers of each response, from Cache-Status. @throws If a body is not this. */
async function askAll(address: string, value: string, times = 1): Promise<string[]> {
  const statuses: string[] = [];
  for (let i = 0; i < times; i++) {
    for (const path of PATHS) {
      const answer = await ask(address, path);
      if (answer.text !== bodyOf(path, value)) throw new Error(`${path}: ${answer.text.slice(0, 60)}`);
      statuses.push(answer.tiers.join(', '));
    }
  }
  return statuses;
}

/** Asks for everything until all of it is on disk. */
async function stored(running: Running): Promise<void> {
  while ((await running.metric('seawall_disk_objects')) < PATHS.length) await askAll(running.address, 'first');
}

async function send(
  method: string,
  address: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const sent = request(`http://${address}${path}`, { method, headers, agent: false }, (response) => {
    text(response).then(() => resolve(response.statusCode ?? 0), reject);
  });
  sent.once('error', reject);
  sent.end();
  return promise;
}

for (const workers of [1, 2]) {
  const processes = workers === 1 ? 'one worker' : `${workers} workers`;

  test(`${processes}, ended: the next serves all of it from disk, and asks the origin for nothing`, async (t) => {
    const { origin, start } = await stage(t);
    const first = await start(workers);
    await stored(first);
    first.program.kill('SIGTERM');
    await first.program.exitCode;
    const before = origin.requests.length;
    const second = await start(workers);
    const statuses = await askAll(second.address, 'first');
    t.same(
      statuses.filter((status) => !status.includes('detail=disk')),
      [],
    );
    t.equal(origin.requests.length, before);
    t.ok(
      (await askAll(second.address, 'first')).every((status) => !status.includes('disk')),
      'then from memory',
    );
    await second.kill();
    const third = await start(workers);
    await askAll(third.address, 'first');
    t.equal(origin.requests.length, before, 'also after kill -9');
    await third.kill();
  });

  test(`${processes}: what is purged stays so, whatever ends when`, async (t) => {
    const { content, start } = await stage(t);
    const first = await start(workers);
    await stored(first);
    first.program.kill('SIGTERM');
    await first.program.exitCode;
    const second = await start(workers);
    content.value = 'second';
    t.equal(await send('PURGE', second.address, '/page/.*', { Authorization: `Bearer ${TOKEN}` }), 200);
    await second.kill();
    const third = await start(workers);
    await askAll(third.address, 'second');
    await third.kill();
  });

  test(`${processes}: what is soft-purged, before or after a restart, stands in while it is revalidated`, async (t) => {
    const { content, start } = await stage(t);
    const soft = { Authorization: `Bearer ${TOKEN}`, 'Fastly-Soft-Purge': '1' };
    const first = await start(workers);
    await stored(first);
    t.equal(await send('PURGE', first.address, '/page/1', soft), 200);
    first.program.kill('SIGTERM');
    await first.program.exitCode;
    content.value = 'second';
    const second = await start(workers);
    t.equal(await send('PURGE', second.address, '/page/2', soft), 200);
    for (const path of ['/page/1', '/page/2']) {
      const answer = await ask(second.address, path);
      t.equal(answer.text, bodyOf(path, 'first'), path);
      t.match(answer.tiers.join(), /stale-while-revalidate/, path);
    }
    await second.kill();
  });

  test(`${processes}: what an unsafe request has invalidated is not served again`, async (t) => {
    const { content, start } = await stage(t);
    const first = await start(workers);
    await stored(first);
    content.value = 'second';
    for (const path of PATHS) t.equal(await send('POST', first.address, path), 200);
    first.program.kill('SIGTERM');
    await first.program.exitCode;
    const second = await start(workers);
    await askAll(second.address, 'second');
    await second.kill();
  });

  test(`${processes}: a journal that was put back from before a purge does not bring back what was purged`, async (t) => {
    const { folder, content, start } = await stage(t);
    const journal = join(folder, 'cache', 'journal');
    const first = await start(workers);
    await stored(first);
    first.program.kill('SIGTERM');
    await first.program.exitCode;
    copyFileSync(journal, join(folder, 'copy'));
    const second = await start(workers);
    content.value = 'second';
    t.equal(await send('PURGE', second.address, '/page/.*', { Authorization: `Bearer ${TOKEN}` }), 200);
    second.program.kill('SIGTERM');
    await second.program.exitCode;
    for (const end of ['-wal', '-shm']) rmSync(`${journal}${end}`, { force: true });
    copyFileSync(join(folder, 'copy'), journal);
    const third = await start(workers);
    await askAll(third.address, 'second');
    await third.program.logLine(/the journal is older than the purges/);
    await third.kill();
  });
}

test('the disk stays in use with another number of threads', async (t) => {
  const { folder, origin, content, start } = await stage(t);
  const first = await start(2);
  await stored(first);
  first.program.kill('SIGTERM');
  await first.program.exitCode;
  const before = origin.requests.length;
  const second = await start(1);
  t.same(
    readdirSync(join(folder, 'cache')).filter((name) => name.includes('-of-')),
    ['1-of-1'],
  );
  await askAll(second.address, 'first');
  t.equal(origin.requests.length, before, 'all of it is there');
  content.value = 'second';
  for (const path of PATHS) t.equal(await send('POST', second.address, path), 200);
  await second.kill();
  const third = await start(2);
  await askAll(third.address, 'second');
  await third.kill();
});

test('a second program at the same folder is refused, and says so', async (t) => {
  for (const workers of [1, 2]) {
    const { folder, origin, start } = await stage(t);
    const first = await start(workers);
    for (const others of ['1', '2']) {
      const args = ['serve', '--origin', origin.url, '--listen', '127.0.0.1:0', '--workers', others];
      const { code, stderrLines } = await runCommand(SEAWALL, [...args, '--disk', join(folder, 'cache')]);
      t.equal(code, 1);
      t.match(stderrLines.join('\n'), /is used by another process/);
      t.match(stderrLines.join('\n'), /folder of its own/);
    }
    t.equal((await ask(first.address, '/page/1')).status, 200);
    await first.kill();
  }
});

test('a folder that cannot be used is left out: in log, metric and health; the node serves', async (t) => {
  const { folder, start } = await stage(t);
  writeFileSync(join(folder, 'cache'), 'a file, where a folder should be');
  const running = await start(1);
  await askAll(running.address, 'first', 2);
  t.match(await running.program.logLine(/disk cache left out/), /memory only/);
  t.equal(await running.metric('seawall_disk_up'), 0);
  t.match(await running.health(), { status: 'ok', disk: { status: 'left out' } });
  t.equal(await send('PURGE', running.address, '/page/1', { Authorization: `Bearer ${TOKEN}` }), 503, 'none is lost');
  rmSync(join(folder, 'cache'));
  await running.program.logLine(/the disk cache is new/);
  t.equal(await running.metric('seawall_disk_up'), 1);
  await running.kill();
});
