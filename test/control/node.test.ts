import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import type { RegionConfig } from '../../config/schema.ts';
import { startControl } from '../../control/node.ts';
import { UNREACHABLE } from '../support/origin.ts';
import { log, regionOf, SECRET } from './control.ts';

/** A region in a folder of the test, with an edge whose control listener is at each of `controls`. */
function regionWith(t: Test, controls: readonly (string | undefined)[], listen = '127.0.0.1:0'): RegionConfig {
  return regionOf({ edges: controls, sites: [], control: { listen }, file: join(t.testdir({}), 'eu.yaml') });
}

async function nodeThatAnswers(status: number): Promise<{ address: string; server: Server }> {
  const server = createServer((request, response) => {
    response.writeHead(request.url === '/healthz' ? status : 404).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

async function startFor(region: RegionConfig) {
  if (!region.control) throw new Error('the region has no control node');
  return startControl({ region, control: region.control, regions: [region], log });
}

test('the control node reports its own health', async (t) => {
  const node = await startFor(regionWith(t, []));
  t.teardown(() => node.close());
  const response = await fetch(`http://${node.address}/healthz`);
  t.equal(response.status, 200);
  t.strictSame(await response.json(), { ok: true, journal: { writable: true, newest: 0 } });
  t.match(node.address, /^127\.0\.0\.1:\d+$/);
});

test('the control node reports which nodes answer, without the secret', async (t) => {
  const healthy = await nodeThatAnswers(200);
  const unhealthy = await nodeThatAnswers(503);
  const unreachable = new URL(UNREACHABLE).host;
  t.teardown(() => {
    healthy.server.close();
    unhealthy.server.close();
  });

  const node = await startFor(
    regionWith(t, [healthy.address, unhealthy.address, unreachable, undefined, '127.0.0.1:0']),
  );
  t.teardown(() => node.close());
  const response = await fetch(`http://${node.address}/v1/nodes`);
  const text = await response.text();

  t.notMatch(text, SECRET);
  const { regions } = JSON.parse(text) as { regions: { region: string; nodes: { name: string; state: string }[] }[] };
  t.strictSame(
    regions.map(({ region, nodes }) => [region, ...nodes.map(({ name, state }) => `${name} ${state}`)]),
    [['eu', 'eu-1 up', 'eu-2 down', 'eu-3 down', 'eu-4 unknown', 'eu-5 unknown']],
  );
  t.strictSame(regions[0]?.nodes[0], {
    name: 'eu-1',
    role: 'edge',
    listen: '127.0.0.1:0',
    tier: '127.0.0.1:1',
    control: healthy.address,
    state: 'up',
    presence: 'never_seen',
    named: true,
    doubled: false,
    connected: false,
    applied: 0,
    lag: 0,
    lease_ms: 60_000,
    version: null,
    since: null,
    workers: null,
    memory: null,
    disk: null,
    certificate_expires: null,
    config: null,
    seen: null,
  });
});

test('a reload adds the new nodes', async (t) => {
  const node = await startFor(regionWith(t, []));
  t.teardown(() => node.close());
  node.reload([regionWith(t, [undefined])]);
  const { regions } = (await (await fetch(`http://${node.address}/v1/nodes`)).json()) as {
    regions: { nodes: { name: string }[] }[];
  };
  t.strictSame(
    regions.flatMap(({ nodes }) => nodes.map(({ name }) => name)),
    ['eu-1'],
  );
});

for (const { what, path, init, status } of [
  { what: 'an unknown path', path: '/v1/nothing', init: {}, status: 404 },
  { what: 'a broken body', path: '/v1/nodes', init: { method: 'POST', body: '{' }, status: 404 },
  {
    what: 'a body over the limit',
    path: '/v1/nodes',
    init: { method: 'POST', headers: { 'content-type': 'application/json' }, body: 'x'.repeat(70_000) },
    status: 413,
  },
  { what: 'a malformed path', path: '/%zz', init: {}, status: 400 },
]) {
  test(`${what} is refused in JSON, without a stack`, async (t) => {
    const node = await startFor(regionWith(t, []));
    t.teardown(() => node.close());
    const response = await fetch(`http://${node.address}${path}`, init);
    const text = await response.text();
    t.equal(response.status, status);
    t.match(response.headers.get('content-type'), 'application/problem+json');
    t.match(JSON.parse(text), { status, code: String, type: /^urn:seawall:problem:/ });
    t.notMatch(text, /node_modules|\.ts:\d/);
  });
}

test('a port in use fails by code', async (t) => {
  const { address, server } = await nodeThatAnswers(200);
  t.teardown(() => server.close());
  const region = regionWith(t, [], address);
  await t.rejects(startFor(region), { code: 'EADDRINUSE' });
});
