/** Addresses of regions in the API: where visitors go, drains, and their description. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { SECRET } from './control.ts';
import { AMERICAN, EUROPEAN, startWorld } from './region-world.ts';

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
