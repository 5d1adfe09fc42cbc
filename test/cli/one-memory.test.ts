/** The threads of an edge have one store: what one of them has fetched is fetched by no other. */
import { writeFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { join } from 'node:path';
import { test } from 'tap';
import type { ReadyLine } from '../../cli/ready.ts';
import { startOrigin, text } from '../support/origin.ts';
import { seededRandom } from '../support/random.ts';
import { ask, healthOf, KEPT, region, SEAWALL, startEdge, whenReplaced } from './edge-workers.ts';
import { startCommand } from './process.ts';

const PATHS = Array.from({ length: 20 }, (_, i) => `/${i}`);

/** Over as many connections as make it likely that each thread takes some. */
function askAll(address: string, paths: readonly string[]) {
  return Promise.all(paths.flatMap((path) => Array.from({ length: 4 }, () => ask(address, path))));
}

test('what was stored is there when the thread that stored it has ended', async (t) => {
  const origin = await startOrigin(text('hello', KEPT));
  t.teardown(() => origin.close());
  const { address, control, cause } = await startEdge(t, origin.url, { workers: 3 });
  await askAll(address, PATHS);
  for (let i = 0; i < 3; i++) {
    const { list } = (await healthOf(control)).workers;
    const { thread } = list[i] as { thread?: number };
    await cause(thread as number, 'terminate');
    await whenReplaced(control, thread);
    const answers = await askAll(address, PATHS);
    t.ok(answers.every(({ status, tiers }) => status === 200 && /^"eu-1";\s?hit/.test(tiers[0] ?? '')));
  }
  for (const path of PATHS) t.equal(origin.count(path), 1, path);
});

test('what was stored is there when the number of threads changes, with a disk and without', async (t) => {
  for (const disk of [false, true]) {
    const origin = await startOrigin(text('hello', KEPT));
    t.teardown(() => origin.close());
    const folder = t.testdir({});
    const file = join(folder, 'eu.yaml');
    const write = (workers: number): void => {
      const key = disk ? `    disk: { path: ${join(folder, 'cache')}, size: 256MiB }\n` : '';
      const edge = `    workers: ${workers}\n`;
      writeFileSync(file, region(origin.url, { workers }).replace(edge, edge + key));
    };
    write(2);
    const { ready, kill } = await startCommand<ReadyLine>(t, SEAWALL, ['start', file, '--node', 'eu-1']);
    const { listen = '', control = '' } = ready.nodes[0] ?? {};
    await askAll(listen, PATHS);
    for (const workers of [4, 1, 3]) {
      write(workers);
      kill('SIGHUP');
      for (let health = await healthOf(control); ; health = await healthOf(control)) {
        if (health.workers.of === workers && health.workers.serving === workers) break;
      }
      // The system resets connections that a leaving worker has not accepted yet (docs/operating.md).
      await Promise.allSettled(PATHS.map((path) => ask(listen, path)));
    }
    for (const path of PATHS) t.equal(origin.count(path), 1, path);
  }
});

test('variants are fetched once each after a purge, though only one thread has fetched them before', async (t) => {
  const origin = await startOrigin((request, response) => {
    const language = String(request.headers['accept-language']);
    setTimeout(() => response.writeHead(200, { ...KEPT, Vary: 'Accept-Language' }).end(language), 50);
  });
  t.teardown(() => origin.close());
  const file = join(t.testdir({ 'site.yaml': 'purge_method: { from: [127.0.0.1] }' }), 'site.yaml');
  const { ready } = await startCommand<ReadyLine>(t, SEAWALL, [
    ...['serve', '--origin', origin.url, '--listen', '127.0.0.1:0', '--site', file, '--workers', '3'],
  ]);
  const address = ready.nodes[0]?.listen ?? '';
  await askIn(address, '/a', 'de');
  await askIn(address, '/a', 'en');
  t.equal((await ask(address, '/a', 'PURGE')).status, 200);
  const languages = Array.from({ length: 24 }, (_, i) => (i % 2 === 0 ? 'de' : 'en'));
  const answers = await Promise.all(languages.map((language) => askIn(address, '/a', language)));
  t.strictSame(answers.map(String), languages);
  t.equal(origin.count('/a'), 4, 'two before, two after');
});

const LARGE_BYTES = 24 * 2 ** 20;
const CHUNK_BYTES = 2 ** 20;

test('visitors at random places of a large object cause far less than twice the traffic of its bytes', async (t) => {
  const body = Buffer.alloc(LARGE_BYTES);
  for (let at = 0; at < LARGE_BYTES; at += 4) body.writeInt32LE(at, at);
  let sent = 0;
  const origin = await startOrigin((request, response) => {
    const range = /^bytes=(\d+)-(\d*)$/.exec(String(request.headers.range));
    const start = Number(range?.[1] ?? 0);
    const end = Math.min(range?.[2] ? Number(range[2]) + 1 : LARGE_BYTES, LARGE_BYTES);
    response.writeHead(range === null ? 200 : 206, {
      ...KEPT,
      ETag: '"1"',
      'Accept-Ranges': 'bytes',
      'Content-Length': end - start,
      ...(range && { 'Content-Range': `bytes ${start}-${end - 1}/${LARGE_BYTES}` }),
    });
    const { socket } = request;
    const before = socket.bytesWritten;
    response.end(body.subarray(start, end));
    response.once('close', () => {
      sent += socket.bytesWritten - before - socket.writableLength;
    });
  });
  t.teardown(() => origin.close());
  const { address } = await startEdge(t, origin.url, { workers: 3 });
  const random = seededRandom(16);
  const places = Array.from({ length: 32 }, () => Math.floor(random() * (LARGE_BYTES - 3 * CHUNK_BYTES)));
  await fetchRange(address, '/large', 0, 1); // the head is known from here on
  const answers = await Promise.all(
    places.map((start) => fetchRange(address, '/large', start, start + 3 * CHUNK_BYTES)),
  );
  for (const [i, bytes] of answers.entries()) {
    const start = places[i] as number;
    t.ok(bytes.equals(body.subarray(start, start + 3 * CHUNK_BYTES)), `right bytes from ${start} on`);
  }
  t.ok(sent <= 1.75 * LARGE_BYTES, `${(sent / LARGE_BYTES).toFixed(2)} times its bytes`);
});

function fetchRange(address: string, path: string, start: number, end: number): Promise<Buffer> {
  return fetchWith(address, path, { Range: `bytes=${start}-${end - 1}` });
}

function askIn(address: string, path: string, language: string): Promise<Buffer> {
  return fetchWith(address, path, { 'Accept-Language': language });
}

function fetchWith(address: string, path: string, headers: Readonly<Record<string, string>>): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  get(`http://${address}${path}`, { headers, agent: new Agent({ keepAlive: false }) }, (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.once('error', reject);
    response.once('end', () => resolve(Buffer.concat(chunks)));
  }).once('error', reject);
  return promise;
}
