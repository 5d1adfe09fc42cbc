/**
 * `seawall start` and `seawall serve` as processes: getting ready, reading
 * their config again, and stopping.
 */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type Test, test } from 'tap';
import type { ReadyLine } from '../../cli/ready.ts';
import { mmdb } from '../geo/mmdb.ts';
import { type Origin, startOrigin } from '../support/origin.ts';
import { type Started, startCommand } from './process.ts';

const SEAWALL = 'cli/seawall.ts';

async function originThat(t: Test, script: Parameters<typeof startOrigin>[0]): Promise<Origin> {
  const origin = await startOrigin(script);
  t.teardown(() => origin.close());
  return origin;
}

interface RegionParts {
  readonly edges?: readonly string[];
  /** Text that the edge adds to every answer. */
  readonly mark?: string;
  readonly extra?: string;
}

function regionYaml(origin: Origin, { edges = ['eu-1'], mark = 'first', extra = '' }: RegionParts = {}): string {
  return [
    'region: eu',
    'tier_secret: a-secret-of-the-tests',
    'limits: { drain_timeout: 30s }',
    'edges:',
    ...edges.map(
      (name) => `  - { name: ${name}, listen: '127.0.0.1:0', tier: '127.0.0.1:0', control: '127.0.0.1:0', workers: 1 }`,
    ),
    'control: { listen: "127.0.0.1:0" }',
    'sites:',
    '  - name: site',
    '    hosts: ["*"]',
    `    origin: { servers: [{ url: '${origin.url}' }] }`,
    `    response_headers: { set: { X-Mark: ${mark} } }`,
    extra,
  ].join('\n');
}

/** Writes the region file and starts its nodes. */
async function startRegion(t: Test, origin: Origin, args: readonly string[] = [], parts: RegionParts = {}) {
  const file = join(t.testdir({ 'eu.yaml': regionYaml(origin, parts) }), 'eu.yaml');
  const started = await startCommand<ReadyLine>(t, SEAWALL, ['start', file, ...args]);
  return { file, ...started };
}

function entrance({ nodes }: ReadyLine, name: string): string {
  const node = nodes.find((candidate) => candidate.name === name);
  return `http://${node?.listen}`;
}

async function markOf(url: string): Promise<string | null> {
  const response = await fetch(url);
  await response.text();
  return response.headers.get('x-mark');
}

test('the ready line names every node with its addresses', async (t) => {
  const origin = await originThat(t, (_request, response) => response.end('hello'));
  const { ready, kill, exitCode } = await startRegion(t, origin);
  t.match(ready, {
    ready: true,
    pid: Number,
    nodes: [
      { name: 'control', role: 'control', control: /^127\.0\.0\.1:[1-9]/ },
      { name: 'eu-1', role: 'edge', listen: /^127\.0\.0\.1:[1-9]/, tier: /:[1-9]/, control: /:[1-9]/ },
    ],
  });
  t.equal(await (await fetch(entrance(ready, 'eu-1'))).text(), 'hello');
  for (const node of ready.nodes) t.equal((await fetch(`http://${node?.control}/healthz`)).status, 200);
  kill('SIGTERM');
  t.equal(await exitCode, 0);
});

test('--node runs one node of a file', async (t) => {
  const origin = await originThat(t, (_request, response) => response.end());
  const { ready } = await startRegion(t, origin, ['--node', 'control']);
  t.strictSame(
    ready.nodes.map(({ name }) => name),
    ['control'],
  );
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} during a slow answer: it is finished, no new request is accepted, exit code 0`, async (t) => {
    const arrived = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const origin = await originThat(t, (_request, response) => {
      response.write('begun, ');
      arrived.resolve();
      void release.promise.then(() => response.end('done'));
    });
    const { ready, kill, logLine, exitCode } = await startRegion(t, origin);
    const url = entrance(ready, 'eu-1');
    const response = await fetch(url);
    await arrived.promise;

    kill(signal);
    await logLine(/"msg":"stopping/);
    await t.rejects(fetch(`${url}/new`));
    release.resolve();
    t.equal(await response.text(), 'begun, done');
    t.equal(await exitCode, 0);
  });
}

test('SIGHUP: a bad file is refused and reported, a good one takes effect, nodes are started and stopped', async (t) => {
  const origin = await originThat(t, (_request, response) => response.end('hello'));
  const { file, ready, kill, logLine } = await startRegion(t, origin);
  const url = entrance(ready, 'eu-1');
  t.equal(await markOf(url), 'first');

  writeFileSync(file, regionYaml(origin, { mark: 'second', extra: 'wrong_key: 1' }));
  kill('SIGHUP');
  t.match(await logLine(/wrong_key/), /eu\.yaml:12:\d+ wrong_key: .*Fix: /);
  await logLine(/new config rejected/);
  t.equal(await markOf(url), 'first');

  writeFileSync(file, regionYaml(origin, { mark: 'second', edges: ['eu-1', 'eu-2'] }));
  kill('SIGHUP');
  t.match(await logLine(/new in the config/), '"name":"eu-2"');
  await logLine(/the config was read again/);
  t.equal(await markOf(url), 'second');

  writeFileSync(file, regionYaml(origin, { mark: 'third', edges: ['eu-2'] }));
  kill('SIGHUP');
  t.match(await logLine(/it stops/), '"name":"eu-1"');
  await logLine(/the config was read again.*/);
  await t.rejects(fetch(url));
});

test('SIGHUP: a file without the one node that runs is refused', async (t) => {
  const origin = await originThat(t, (_request, response) => response.end());
  const { file, ready, kill, logLine } = await startRegion(t, origin, ['--node', 'eu-1'], { edges: ['eu-1', 'eu-2'] });
  writeFileSync(file, regionYaml(origin, { edges: ['eu-2'] }));
  kill('SIGHUP');
  await logLine(/eu-1, which runs here, is not named any more/);
  t.equal((await fetch(entrance(ready, 'eu-1'))).status, 200);
});

test('SIGHUP: a database that cannot be read refuses the whole file, and is used once it can be', async (t) => {
  const origin = await originThat(t, (request, response) => response.end(request.headers['cdn-visitor-country']));
  const geo = (name: string) => `geo: { databases: [${name}] }`;
  const located = '    geo: { headers: { country: true } }';
  const { file, ready, kill, logLine } = await startRegion(t, origin, [], { extra: located });
  const folder = dirname(file);
  const url = entrance(ready, 'eu-1');
  const control = ready.nodes.find(({ role }) => role === 'control')?.control;
  const countryFound = async () => {
    const answer = await fetch(`http://${control}/v1/where?address=9.9.9.9`);
    return ((await answer.json()) as { place: { country: string } }).place.country;
  };
  t.equal(await markOf(url), 'first');

  const second = `${regionYaml(origin, { mark: 'second', extra: located })}\n${geo('new.mmdb')}`;
  writeFileSync(file, second);
  kill('SIGHUP');
  t.match(await logLine(/new\.mmdb/), /eu\.yaml:13:\d+ geo\.databases\[0\]: there is no file .*Fix: /);
  await logLine(/new config rejected/);
  t.equal(await markOf(url), 'first', 'nothing of it counts');

  writeFileSync(join(folder, 'new.mmdb'), mmdb({ networks: [['9.0.0.0/8', { country_code: 'NL' }]] }));
  kill('SIGHUP');
  t.match(await logLine(/the config was read again/), 'geo.databases');
  while ((await markOf(url)) !== 'second') await setImmediate(); // once the database is open there
  while ((await countryFound()) !== 'NL') await setImmediate();
});

test('serve runs an edge in front of an origin, with the rules of a site file', async (t) => {
  const origin = await originThat(t, (_request, response) => response.end('hello'));
  const file = join(t.testdir({ 'site.yaml': 'rules: [{ ttl: 1h }]' }), 'site.yaml');
  const served: Started<ReadyLine> = await startCommand(t, SEAWALL, [
    ...[
      'serve',
      '--origin',
      origin.url,
      '--listen',
      '127.0.0.1:0',
      '--memory',
      '16MiB',
      '--site',
      file,
      '--workers',
      '1',
    ],
  ]);
  const { ready, kill, logLine, exitCode } = served;
  t.match(ready, { ready: true, nodes: [{ name: 'edge', role: 'edge', listen: /^127\.0\.0\.1:/ }] });
  const url = entrance(ready, 'edge');
  for (let i = 0; i < 3; i++) t.equal(await (await fetch(url)).text(), 'hello');
  t.equal(origin.count('/'), 1, 'two hits');

  writeFileSync(file, 'rules: [{ cache: perhaps }]');
  kill('SIGHUP');
  await logLine(/site\.yaml:1:\d+ rules\[0\]\.cache/);
  writeFileSync(file, 'rules: [{ cache: never }]');
  kill('SIGHUP');
  await logLine(/site file reloaded/);
  await (await fetch(url)).text();
  await (await fetch(url)).text();
  t.equal(origin.count('/'), 3, 'nothing is cached any more');

  kill('SIGTERM');
  t.equal(await exitCode, 0);
});

test('serve --control serves metrics and health as an edge of a region file does', async (t) => {
  const origin = await originThat(t, (_request, response) => response.end('hello'));
  const { ready } = await startCommand<ReadyLine>(t, SEAWALL, [
    ...['serve', '--origin', origin.url, '--listen', '127.0.0.1:0', '--control', '127.0.0.1:0', '--workers', '1'],
  ]);
  await (await fetch(entrance(ready, 'edge'))).text();
  const control = `http://${ready.nodes[0]?.control}`;
  t.match(await (await fetch(`${control}/healthz`)).json(), { status: 'ok' });
  t.match(await (await fetch(`${control}/metrics`)).text(), /^seawall_requests_total\{listener="public".* 1$/m);
});

test('serve without a site file has nothing to reload', async (t) => {
  const origin = await originThat(t, (_request, response) => response.end('hello'));
  const { ready, kill, logLine } = await startCommand<ReadyLine>(t, SEAWALL, [
    ...['serve', '--origin', origin.url, '--listen', '127.0.0.1:0', '--workers', '1'],
  ]);
  kill('SIGHUP');
  await logLine(/no site file/);
  t.equal(await (await fetch(entrance(ready, 'edge'))).text(), 'hello');
});
