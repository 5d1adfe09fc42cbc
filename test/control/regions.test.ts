/** State of regions: health, drains by a call, and its distribution to the nodes that steer. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { type RegionConfig, regionSchema } from '../../config/schema.ts';
import { openControlDatabase } from '../../control/data-folder.ts';
import { startControl } from '../../control/node.ts';
import { Overload, publicRequests } from '../../control/overload.ts';
import { SqliteTokens } from '../../control/store/sqlite-tokens.ts';
import { newToken, type TokenScope } from '../../control/tokens.ts';
import { openSteering } from '../../geo/open-steering.ts';
import type { WhereAnswer } from '../../geo/where.ts';
import { monotonicNow, wallNow } from '../../lib/clock.ts';
import { log, SECRET, SITES } from './control.ts';

/** A region’s death has to be seen within this time. */
const SEEN_MS = 3_000;
/** In North America, and in Europe, by every database. */
const AMERICAN = '8.8.8.8';
const EUROPEAN = '81.2.69.142';

/** Fake control listener of an edge: it answers /healthz, hangs, or is gone. */
class FakeEdge {
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  #hangs = false;
  port = 0;
  /** Number of health probes so far. */
  probes = 0;

  constructor() {
    this.#server = createServer((request, response) => {
      if (this.#hangs) return;
      if (request.url === '/healthz') this.probes++;
      response.end(request.url === '/metrics' ? 'seawall_requests_total{listener="public"} 5\n' : '{}');
    });
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  async start(): Promise<void> {
    this.#server.listen(this.port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.port = (this.#server.address() as AddressInfo).port;
    this.#hangs = false;
  }

  hang(): void {
    this.#hangs = true;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, 'close');
  }
}

interface World {
  readonly url: string;
  readonly folder: string;
  readonly edges: Readonly<Record<'eu' | 'us', FakeEdge>>;
  readonly regions: readonly RegionConfig[];
  token(scope?: Partial<TokenScope>): string;
  post(
    path: string,
    token: string | undefined,
    body?: object,
  ): Promise<{ status: number; body: Record<string, unknown> }>;
  where(address: string): Promise<WhereAnswer>;
  state(region: string): Promise<string>;
  stopControl(): Promise<void>;
}

async function startWorld(t: Test, geo: object = {}, before?: World): Promise<World> {
  const folder = before?.folder ?? t.testdir({});
  const edges = before?.edges ?? { eu: new FakeEdge(), us: new FakeEdge() };
  const regions: RegionConfig[] = [];
  for (const [region, coordinates] of [
    ['eu', [50.11, 8.68]],
    ['us', [39.04, -77.49]],
  ] as const) {
    const edge = edges[region];
    if (!before) {
      await edge.start();
      t.teardown(() => edge.stop());
    }
    const address = `127.0.0.1:${edge.port}`;
    const parsed = regionSchema.parse({
      region,
      coordinates,
      tier_secret: SECRET,
      geo: { recovery: '500ms', ...geo },
      edges: [{ name: `${region}-1`, listen: address, tier: address, control: address }],
      ...(region === 'eu' && { control: { listen: '127.0.0.1:0' } }),
      sites: [{ include: 'unused.yaml' }],
    });
    regions.push({ ...parsed, file: join(folder, `${region}.yaml`), sites: SITES, reachableShields: [] });
  }
  const [region] = regions as [RegionConfig];
  const control = region.control as NonNullable<RegionConfig['control']>;
  const node = await startControl({ region, control, regions, log });
  let isOpen = true;
  const stopControl = async (): Promise<void> => {
    if (isOpen) await node.close();
    isOpen = false;
  };
  t.teardown(stopControl);
  const url = `http://${node.address}`;
  const read = async <T>(path: string): Promise<T> => (await (await fetch(`${url}${path}`)).json()) as T;
  return {
    url,
    folder,
    edges,
    regions,
    stopControl,
    token(scope = {}) {
      const database = openControlDatabase(join(folder, control.data, 'control.sqlite'));
      try {
        const all: TokenScope = { sites: ['*'], kinds: ['drain'], read: false, ...scope };
        const { stored, text } = newToken({ name: 'ops', ...all }, wallNow());
        void new SqliteTokens(database).add(stored); // written when it returns
        return text;
      } finally {
        database.close();
      }
    },
    async post(path, token, body) {
      const response = await fetch(`${url}${path}`, {
        method: 'POST',
        headers: {
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    },
    where: (address) => read(`/v1/where?address=${encodeURIComponent(address)}`),
    async state(name) {
      const { regions: list } = await read<{ regions: { name: string; state: string }[] }>('/v1/regions');
      return list.find((one) => one.name === name)?.state ?? '';
    },
  };
}

/** @returns After how many milliseconds it was so. */
async function until(isSo: () => Promise<boolean> | boolean): Promise<number> {
  const startedAt = performance.now();
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 10));
  return performance.now() - startedAt;
}

test('where answers with the region and the reason', async (t) => {
  const world = await startWorld(t);
  t.match(await world.where(EUROPEAN), {
    address: EUROPEAN,
    kind: 'public',
    place: { country: 'GB', continent: 'EU' },
    region: 'eu',
    reason: 'nearest',
    because: 'eu is the nearest region.',
    order: [
      { region: 'eu', state: 'healthy', edges_up: 1, edges: 1, addresses: ['127.0.0.1'] },
      { region: 'us', state: 'healthy' },
    ],
    sources: [/DB-IP/],
  });
  t.match(await world.where(AMERICAN), { region: 'us', reason: 'nearest' });
  t.match(await world.where('10.0.0.1'), {
    region: 'eu',
    reason: 'default',
    because: /a private address/,
    place: null,
  });
  t.match(await world.where('::ffff:8.8.8.8'), { address: '8.8.8.8', region: 'us' });
  for (const address of ['', '1', 'www.example.com', '8.8.8.8/24', 'x'.repeat(1_000)]) {
    t.match(await world.where(address), { status: 400, code: 'invalid_request', errors: [{ parameter: 'address' }] });
  }
  const text = await (await fetch(`${world.url}/v1/regions`)).text();
  t.notMatch(text, SECRET);
});

test('a region that dies, hangs or returns is noticed', async (t) => {
  const world = await startWorld(t);
  const { us } = world.edges;
  const goes = async (region: string) => (await world.where(AMERICAN)).region === region;
  await until(() => us.probes > 1); // the first answer has been heard

  await us.stop();
  const dead = await until(() => goes('eu'));
  t.match(await world.where(AMERICAN), { reason: 'fallback', because: 'eu comes next: us is down.' });
  await us.start();
  await until(async () => (await world.state('us')) === 'recovering');
  t.ok(await goes('eu'), 'not yet');
  const back = await until(() => goes('us'));
  t.ok(back >= 300, `it waited ${back.toFixed(0)} ms`);

  us.hang();
  const hung = await until(() => goes('eu'));
  t.comment(`refused: seen after ${dead.toFixed(0)} ms; hanging: after ${hung.toFixed(0)} ms`);
  t.ok(dead < SEEN_MS && hung < SEEN_MS);

  await world.edges.eu.stop();
  await until(async () => (await world.where(AMERICAN)).reason === 'none-healthy');
  t.match(await world.where(AMERICAN), { region: 'us', because: /^No region is healthy: us is down; eu is down\.$/ });
  const metrics = await (await fetch(`${world.url}/metrics`)).text();
  t.match(metrics, /seawall_region_state\{region="us",state="down",.*\} 1\n/);
  t.match(metrics, /seawall_region_edges_up\{region="us",.*\} 0\n/);
});

test('a region is drained by a call, across a restart, and restored by another', async (t) => {
  const world = await startWorld(t);
  const token = world.token();
  for (const [text, status, code] of [
    [undefined, 401, 'unauthorised'],
    ['swt_0123456789abcdef_nonsense', 401, 'unauthorised'],
    [world.token({ kinds: ['everything'] }), 403, 'forbidden'],
    [world.token({ sites: ['shop'] }), 403, 'forbidden'],
  ] as const) {
    t.match(await world.post('/v1/regions/us/drain', text, {}), { status, body: { code } });
  }
  t.match(await world.post('/v1/regions/nowhere/drain', token), { status: 404, body: { code: 'not_found' } });
  t.match(await world.post('/v1/regions/us/drain', token, { reasons: 'x' }), {
    status: 400,
    body: { code: 'invalid_request' },
  });
  t.equal((await world.where(AMERICAN)).region, 'us', 'nothing of that did anything');

  t.match(await world.post('/v1/regions/us/drain', token, { reason: 'new disks' }), {
    status: 200,
    body: { name: 'us', state: 'drained', drain: { source: 'api', by: /^ops \(/, reason: 'new disks' } },
  });
  t.match(await world.where(AMERICAN), { region: 'eu', reason: 'fallback', because: 'eu comes next: us is drained.' });
  t.match(await world.post('/v1/regions/us/drain', token), { status: 200 }, 'twice does no harm');

  await world.stopControl();
  const again = await startWorld(t, {}, world);
  t.match(await again.where(AMERICAN), { region: 'eu', reason: 'fallback' });
  t.match(await again.post('/v1/regions/us/undrain', token), { status: 200, body: { state: 'healthy', drain: null } });
  t.match(await again.where(AMERICAN), { region: 'us', reason: 'nearest' });
  const lines = readFileSync(join(world.folder, 'seawall-data', 'audit.jsonl'), 'utf8')
    .trim()
    .split('\n');
  t.match(
    lines.map((line) => JSON.parse(line)).filter(({ action }) => action === 'drain' || action === 'undrain'),
    [
      { action: 'drain', result: 'forbidden', region: 'us' },
      { action: 'drain', result: 'forbidden' },
      { action: 'drain', result: 'not_found', region: 'nowhere' },
      { action: 'drain', result: 'invalid_request' },
      { action: 'drain', result: 'ok', who: 'ops' },
      { action: 'drain', result: 'ok' },
      { action: 'undrain', result: 'ok' },
    ],
  );
});

test('a region is drained by its file', async (t) => {
  const world = await startWorld(t, { drained: true });
  t.match(await world.where(AMERICAN), { region: 'us', reason: 'none-healthy' }, 'drained is better than nothing');
  const { regions } = (await (await fetch(`${world.url}/v1/regions`)).json()) as { regions: object[] };
  t.match(regions, [{ drain: { source: 'config' } }, { drain: { source: 'config' } }]);
});

test('nodes that steer get changes at once, and check regions themselves when the control node is gone', async (t) => {
  const world = await startWorld(t);
  const [eu] = world.regions as [RegionConfig];
  const region = { ...eu, control: undefined, purges: { ...eu.purges, journal: [world.url] } };
  const steering = await openSteering({ region, regions: [eu], node: 'dns-1', log });
  t.teardown(() => steering.close());
  const where = () => steering.where(AMERICAN, monotonicNow());
  t.match(where(), { chosen: { name: 'eu' } }, 'it begins with what its own file says');
  await until(() => where().chosen?.name === 'us');

  const token = world.token();
  await world.post('/v1/regions/us/drain', token, {});
  const drained = await until(() => where().chosen?.name === 'eu');
  await world.post('/v1/regions/us/undrain', token, {});
  await until(() => where().chosen?.name === 'us');
  await world.edges.us.stop();
  const dead = await until(() => where().chosen?.name === 'eu');
  await world.edges.us.start();
  await until(() => where().chosen?.name === 'us');

  // The worst: the control node and a region go together.
  await Promise.all([world.stopControl(), world.edges.us.stop()]);
  const both = await until(() => where().chosen?.name === 'eu');
  t.comment(
    `drained: ${drained.toFixed(0)} ms, dead: ${dead.toFixed(0)} ms, dead with the control node: ${both.toFixed(0)} ms`,
  );
  t.ok(drained < 1_000 && dead < SEEN_MS && both < SEEN_MS);
  await world.edges.us.start();
  await until(() => where().chosen?.name === 'us');
  t.equal(steering.network.regions.length, 2, 'what it was told of stays known');
});

test('the network is sent to nodes only', async (t) => {
  const world = await startWorld(t);
  for (const headers of [{}, { 'seawall-tier': 'secret="wrong-wrong-wrong", from="x"' }]) {
    const response = await fetch(`${world.url}/v1/network`, { headers: headers as Record<string, string> });
    t.equal(response.status, 403);
    t.notMatch(await response.text(), /regions/);
  }
});

test('the OpenAPI document describes the routes of regions', async (t) => {
  const world = await startWorld(t);
  const { paths } = (await (await fetch(`${world.url}/openapi.json`)).json()) as { paths: Record<string, unknown> };
  t.match(paths, {
    '/v1/regions': { get: {} },
    '/v1/where': { get: { parameters: [{ name: 'address', in: 'query' }] } },
    '/v1/regions/{name}/drain': { post: { requestBody: { required: false }, security: [{ token: [] }] } },
    '/v1/regions/{name}/undrain': { post: {} },
  });
});

test('a region above its capacity gives visitors away until it is below, and takes them back slowly', async (t) => {
  const overload = new Overload(1_000);
  const demand = 2_000;
  // Whoever is given away is gone at the next measurement.
  for (let i = 0; i < 60; i += 1) overload.observe(demand * (1 - overload.shed));
  t.ok(
    Math.abs(demand * (1 - overload.shed) - 950) < 100,
    `${demand * (1 - overload.shed)} requests a second are left`,
  );
  let changes = 0;
  for (let i = 0; i < 30; i += 1) {
    const before = overload.shed;
    overload.observe(demand * (1 - before));
    if (overload.shed !== before) changes += 1;
  }
  t.ok(changes <= 2, `it does not swing: ${changes} changes`);
  for (let i = 0; i < 60; i += 1) overload.observe(100 * (1 - overload.shed));
  t.equal(overload.shed, 0);
  t.equal(
    publicRequests(
      'seawall_requests_total{listener="public",site="a",result="hit"} 5\nseawall_requests_total{listener="tier"} 7\nseawall_requests_total{site="a",listener="public"} 1e3\nother{listener="public"} 9\n',
    ),
    1_005,
  );
});
