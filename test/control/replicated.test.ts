/** Several control nodes on one etcd: any of them takes purges and gives receipts, also when others are gone. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import tap, { type Test, test } from 'tap';
import { Ledger } from '../../cache/ledger.ts';
import { startControl } from '../../control/node.ts';
import type { RegionEntry } from '../../control/node-list.ts';
import type { Receipt } from '../../control/schemas.ts';
import { openStore } from '../../control/store/open-store.ts';
import type { StorePart } from '../../control/store/store.ts';
import { StoreMonitor } from '../../control/store/store-monitor.ts';
import { VERSION } from '../../lib/version.ts';
import { nodeRegistry } from '../../telemetry/registry.ts';
import { followPurges, type Purging } from '../../tier/purges.ts';
import { newPrefix } from '../journal/etcd.ts';
import { startEtcd } from '../support/etcd.ts';
import { log, type Refusal, regionOf, rejectionOf } from './control.ts';
import { type Replicated, startReplicated } from './replicated.ts';

const cluster = await startEtcd(3);
tap.teardown(() => cluster.stop());
const { endpoints } = cluster;

const URL_OF_SHOP = 'https://www.example.com/';

interface Answered<Body> {
  readonly status: number;
  readonly body: Body;
}

async function send<Body = Receipt>(
  url: string,
  token: string,
  body: object | undefined,
  path = '/v1/purges',
  headers: Record<string, string> = {},
): Promise<Answered<Body>> {
  const response = await fetch(`${url}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Body };
}

/** Follows as a node does, and tries the control nodes in this order. */
function follow(
  t: Test,
  { region }: Replicated,
  member: string,
  urls: readonly string[],
  fingerprint: string | undefined = region.fingerprint,
): { purging: Purging; ledger: Ledger } {
  const ledger = new Ledger({ leaseMs: 60_000 });
  const purges = { ...region.purges, journal: [...urls] };
  const own = { ...region, control: undefined, purges, ...(fingerprint !== undefined && { fingerprint }) };
  const purging = followPurges({ member, ledger, log }, own);
  t.teardown(() => purging.close());
  return { purging, ledger };
}

test('a purge at any control node is applied by nodes that follow others, and every control node has the receipt', async (t) => {
  const network = await startReplicated(t, { endpoints, count: 3, edges: [undefined, undefined, undefined] });
  const urls = network.nodes.map(({ url }) => url);
  for (const [index] of urls.entries()) {
    follow(t, network, `eu-${index + 1}`, [...urls.slice(index), ...urls.slice(0, index)]);
  }
  const token = await network.token();
  for (const [index, url] of urls.entries()) {
    const { status, body } = await send(url, token, { files: [URL_OF_SHOP], wait: 'applied' });
    t.equal(status, 200, `taken by control node ${index + 1}, and applied by all`);
    t.match(body, { status: 'applied', first: index + 1 });
    t.ok(body.nodes.every(({ connected, applied }) => connected && applied));
    for (const other of urls) {
      const receipt = await send(other, token, undefined, `/v1/purges/${body.id}`);
      t.match(receipt, { status: 200, body: { id: body.id, selectors: [{ kind: 'url' }] } });
    }
  }
});

test('each control node lists all nodes: whether they follow, how far they are, and what they run', async (t) => {
  const network = await startReplicated(t, { endpoints, count: 2, edges: [undefined, undefined, undefined] });
  const urls = network.nodes.map(({ url }) => url) as [string, string];
  const same = follow(t, network, 'eu-1', urls);
  follow(t, network, 'eu-2', [urls[1], urls[0]], 'another config');
  await same.purging.purge([{ site: 'shop', kind: 'tag', selector: 'a', soft: false, who: 'origin', why: '' }]);
  const list = async (url: string) => {
    const { regions } = (await (await fetch(`${url}/v1/nodes`)).json()) as { regions: RegionEntry[] };
    return regions.flatMap(({ nodes }) => nodes);
  };
  for (const url of urls) {
    let members = await list(url);
    while (members.filter(({ applied }) => applied === 1).length < 2) members = await list(url);
    t.match(members, [
      { name: 'eu-1', connected: true, lag: 0, version: VERSION, config: 'same', since: /^20/ },
      { name: 'eu-2', connected: true, lag: 0, version: VERSION, config: 'other' },
      { name: 'eu-3', connected: false, lag: 1, version: null, config: null },
    ]);
  }
});

test('an idempotency key, a token and a drain hold at all control nodes', async (t) => {
  const network = await startReplicated(t, { endpoints, count: 2 });
  const [one, other] = network.nodes.map(({ url }) => url) as [string, string];
  const token = await network.token();
  const key = { 'idempotency-key': 'k' };
  const first = await send(one, token, { files: [URL_OF_SHOP] }, '/v1/purges', key);
  const again = await send(other, token, { files: [URL_OF_SHOP] }, '/v1/purges', key);
  t.equal(again.body.id, first.body.id);
  const refused = await send<Refusal>(other, token, { tags: ['a'], site: 'shop' }, '/v1/purges', key);
  t.match(refused, { status: 422, body: { code: 'idempotency_conflict' } });

  const operator = await network.token({ kinds: ['drain'] });
  t.match(await send(one, operator, {}, '/v1/regions/eu/drain'), { status: 200, body: { state: 'drained' } });
  t.match(await send(other, operator, {}, '/v1/regions/eu/undrain'), { status: 200, body: { drain: null } });

  const { body: audit } = await send<{ entries: object[]; next: null }>(other, token, undefined, '/v1/audit');
  t.match(audit, {
    next: null,
    entries: [
      { action: 'undrain', node: 'control-2' },
      { action: 'drain', node: 'control-1' },
      { action: 'purge', result: 'idempotency_conflict' },
      { action: 'purge', result: 'ok', repeated: true, id: first.body.id },
      { action: 'purge', result: 'ok', repeated: false, id: first.body.id, who: 'test' },
    ],
  });
  t.equal((await send(one, operator, undefined, '/v1/audit')).status, 200);
  t.equal((await send(one, await network.token({ read: false }), undefined, '/v1/audit')).status, 403);
  t.equal((await send(one, await network.token({ sites: ['shop'] }), undefined, '/v1/audit')).status, 403);
});

test('a node goes to the next control node when the one that it follows has ended', async (t) => {
  const network = await startReplicated(t, { endpoints, count: 2 });
  const [one, other] = network.nodes as [Replicated['nodes'][number], Replicated['nodes'][number]];
  const { purging } = follow(t, network, 'eu-1', [one.url, other.url]);
  const token = await network.token();
  t.match(await send(one.url, token, { files: [URL_OF_SHOP], wait: 'applied' }), { status: 200 });
  await one.close();
  t.match(await send(other.url, token, { files: [URL_OF_SHOP], wait: 'applied' }), { status: 200 });
  await purging.purge([{ site: 'shop', kind: 'tag', selector: 'a', soft: false, who: 'origin', why: '' }]);
  t.match(await send(other.url, token, undefined, '/v1/purges?limit=1'), {
    status: 200,
    body: { purges: [{ who: 'eu-1: origin' }] },
  });
});

test('a purge that does not fit into a transaction is 413', async (t) => {
  const network = await startReplicated(t, { endpoints, count: 1 });
  const [{ url }] = network.nodes as [Replicated['nodes'][number]];
  const files = Array.from({ length: 150 }, (_, index) => `${URL_OF_SHOP}${index}/${'x'.repeat(8_000)}`);
  const { status, body } = await send<Refusal>(url, await network.token(), { files });
  t.match({ status, body }, { status: 413, body: { code: 'journal_too_large' } });
});

test('without a majority calls are 503 and do not deny what may have happened; afterwards a repetition is made once', async (t) => {
  const own = await startEtcd(3);
  t.teardown(() => own.stop());
  const network = await startReplicated(t, { endpoints: own.endpoints, count: 1 });
  const [{ url }] = network.nodes as [Replicated['nodes'][number]];
  const token = await network.token();
  const key = { 'idempotency-key': 'k' };
  t.match(await send(url, token, { files: [URL_OF_SHOP] }), { status: 202 });
  for (const member of own.members.slice(1)) await member.freeze();
  const refused = await send<Refusal>(url, token, { files: [URL_OF_SHOP] }, '/v1/purges', key);
  t.match(refused, { status: 503, body: { code: /^journal_un/ } });
  t.equal((await fetch(`${url}/healthz`)).status, 503);
  for (const member of own.members.slice(1)) member.kill('SIGCONT');
  for (let status = 503; status === 503; ) {
    status = (await send(url, token, { files: [URL_OF_SHOP] }, '/v1/purges', key)).status;
  }
  t.match(await send(url, token, undefined), { status: 200, body: { purges: [{ first: 2 }, { first: 1 }] } });
});

test('the size of each member is a metric; at the quota purges are refused, and the log says what to do', async (t) => {
  const own = await startEtcd(1, undefined, { 'quota-backend-bytes': '1000000' });
  t.teardown(() => own.stop());
  const network = await startReplicated(t, { endpoints: own.endpoints, count: 1 });
  const [{ url }] = network.nodes as [Replicated['nodes'][number]];
  const [endpoint = ''] = own.endpoints;
  const member = new URL(endpoint).host;
  const read = async (): Promise<string> => (await fetch(`${url}/metrics`)).text();
  for (let text = ''; !text.includes(`seawall_store_up{store="${member}"`); ) text = await read();
  t.match(await read(), new RegExp(`seawall_store_bytes{store="${member}",[^}]*} [1-9]`));
  t.match(await read(), /seawall_store_quota_bytes{[^}]*} 2147483648/);

  const token = await network.token();
  const files = Array.from({ length: 40 }, (_, index) => `${URL_OF_SHOP}${index}/${'x'.repeat(8_000)}`);
  let answered: Answered<Refusal>;
  do answered = await send<Refusal>(url, token, { files });
  while (answered.status === 202);
  t.match(answered, { status: 503, body: { code: 'journal_unavailable', title: /nothing was purged/ } });
  const store = await openStore(network.region, network.region.control as ReturnType<typeof regionOf>['control']);
  t.teardown(() => store.close());
  t.match(await store.measure(), [{ name: member, isFull: true }]);
});

test('the log warns before the quota, when it is reached, and when there is room again', async (t) => {
  const lines: string[] = [];
  const say = (level: string) => (_: unknown, text?: string) => void lines.push(`${level}: ${text?.split(':')[0]}`);
  const registry = nodeRegistry('control', 'control');
  let part: StorePart = { name: 'a', bytes: 79, isFull: false };
  const monitor = new StoreMonitor({
    store: { measure: async () => [part, { name: 'b', bytes: undefined, isFull: false }] },
    quota: () => 100,
    registry,
    log: { warn: say('warn'), error: say('error'), info: say('info') } as unknown as typeof log,
  });
  t.teardown(() => monitor.close());
  for (const next of [{ bytes: 80 }, { bytes: 81 }, { isFull: true }, { bytes: 10, isFull: false }]) {
    await monitor.measure();
    part = { ...part, ...next };
    await monitor.measure();
  }
  t.same(lines, [
    'warn: the store is near its quota',
    'error: etcd takes no more writes, as its quota is reached',
    'info: the store is well below its quota again',
  ]);
  t.match(await registry.metrics(), /seawall_store_up{store="b",[^}]*} 0/);
});

for (const { wrong, etcd, key, message } of [
  {
    wrong: 'nothing listens there',
    etcd: { endpoints: ['http://127.0.0.1:1'] },
    key: 'control.journal.etcd.endpoints',
    message: /no member of etcd can be used .*ECONNREFUSED/,
  },
  {
    wrong: 'TLS where there is none',
    etcd: { endpoints: endpoints.map((url) => url.replace('http:', 'https:')) },
    key: 'control.journal.etcd.endpoints',
    message: /do not trust each other/,
  },
  {
    wrong: 'a user where etcd has no authentication',
    etcd: { endpoints: [...endpoints], username: 'a', password: 'b' },
    key: 'control.journal.etcd.username',
    message: /does not admit the user a/,
  },
  {
    wrong: 'a password file that is not there',
    etcd: { endpoints: [...endpoints], username: 'a', password_file: 'none' },
    key: 'control.journal.etcd.password_file',
    message: /none cannot be read/,
  },
]) {
  test(`a store that cannot be used is a config error (${wrong})`, async (t) => {
    const file = join(t.testdir({}), 'eu.yaml');
    const region = regionOf({ file, control: { journal: { etcd: { prefix: newPrefix(), ...etcd } } } });
    const error = await rejectionOf(startControl({ region, control: region.control, regions: [region], log }));
    t.match(error, { code: 'config_refused', problems: [{ file, key, message }] });
  });
}

test('a store of another network, and something else than etcd, are config errors', async (t) => {
  const network = await startReplicated(t, { endpoints, count: 1 });
  const { control } = network.region as ReturnType<typeof regionOf>;
  const foreign = { ...network.region, network: 'another' };
  t.match(await rejectionOf(startControl({ region: foreign, control, regions: [foreign], log })), {
    problems: [{ key: 'control.journal.etcd.prefix', message: /of the network seawall, not another/ }],
  });
  const server = createServer((_, response) => response.end('<!doctype html>'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as { port: number };
  const other = regionOf({ control: { journal: { etcd: { endpoints: [`http://127.0.0.1:${port}`] } } } });
  t.match(await rejectionOf(startControl({ region: other, control: other.control, regions: [other], log })), {
    problems: [{ key: 'control.journal.etcd.endpoints', message: /not one of the JSON gateway of etcd/ }],
  });
});
