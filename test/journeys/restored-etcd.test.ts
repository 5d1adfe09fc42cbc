/**
 * The store of the control nodes is not the one that nodes have followed: an older snapshot of it, a new one at the
 * same address, another one by mistake. Nodes notice, validate what they stored, and serve nothing stale.
 */
import { join } from 'node:path';
import tap, { type Test, test } from 'tap';
import { regionSchema } from '../../config/schema.ts';
import { type ControlNode, startControl } from '../../control/node.ts';
import { journalClient } from '../../journal/client.ts';
import { createLog } from '../../telemetry/log.ts';
import { type Cluster, startEtcd } from '../support/etcd.ts';
import { filesOfNetwork, type Network, SECRET, startNetwork } from '../support/network.ts';
import { startOrigin } from '../support/origin.ts';
import { freeAddress } from '../support/ports.ts';
import { ask, HOST } from '../support/visitor.ts';

const log = createLog({ name: 'journey', level: 'silent' });
const REGIONS = { eu: 2, us: 2 };
const EDGES = ['eu-1', 'eu-2', 'us-1', 'us-2'];

async function cluster(): Promise<Cluster> {
  const started = await startEtcd(1);
  tap.teardown(() => started.stop());
  return started;
}

/** @returns How to end it. */
async function startOn({ endpoints }: Cluster, listen: string, folder: string): Promise<ControlNode> {
  const parsed = regionSchema.parse({
    region: 'main',
    tier_secret: SECRET,
    control: { listen, data: folder, journal: { etcd: { endpoints } } },
    sites: [{ name: 'site', hosts: [HOST], origin: { servers: [{ url: 'http://127.0.0.1:1' }] } }],
  });
  const file = join(folder, 'region.yaml');
  const region = { ...parsed, file, sites: parsed.sites as never, reachableShields: [] };
  if (region.control === undefined) throw new Error('no control node');
  return startControl({
    region,
    control: region.control,
    regions: [region, ...filesOfNetwork({ regions: REGIONS })],
    log,
  });
}

interface Stage {
  readonly network: Network;
  readonly content: { value: string };
  readonly requests: () => number;
  everywhere(path: string): Promise<string[]>;
}

async function stage(t: Test, journal: readonly string[]): Promise<Stage> {
  const content = { value: 'old' };
  let requests = 0;
  const origin = await startOrigin((_request, response) => {
    requests += 1;
    response.writeHead(200, { 'Cache-Control': 'max-age=3600' }).end(content.value);
  });
  t.teardown(() => origin.close());
  const network = await startNetwork({ origin: origin.url, journal, regions: REGIONS });
  t.teardown(() => network.close());
  const everywhere = async (path: string): Promise<string[]> => {
    const replies = await Promise.all(EDGES.map((name) => ask(network.at(name), path)));
    return replies.map(({ body }) => body.toString());
  };
  return { network, content, requests: () => requests, everywhere };
}

/** Purges a path, as a node does that is configured to; each time another one, if no path is given. */
async function purge(address: string, path?: string): Promise<number> {
  const appender = journalClient({ url: `http://${address}`, secret: SECRET, node: 'eu-1' });
  const selector = path === undefined ? 'nothing' : `//${HOST}${path}`;
  const kind = path === undefined ? 'tag' : 'url';
  const { seq } = await appender.append([{ site: 'site', kind, selector, soft: false, who: 'test', why: '' }]);
  await appender.close();
  return seq;
}

/** Purges nothing until the journal has more numbers than before, and waits until all nodes have applied them. */
async function passes(on: Stage, address: string, beyond: number): Promise<void> {
  let newest = 0;
  while (newest <= beyond) newest = await purge(address);
  await allApplied(on, newest);
}

async function allApplied({ network }: Stage, seq: number): Promise<void> {
  const nodes = [...network.edges, ...network.shields].map(({ name }) => name);
  const read = () => Promise.all(nodes.map((name) => network.metric(name, 'seawall_purges_applied')));
  while (!(await read()).every((applied) => applied >= seq)) {
    await new Promise((resolve) => void setImmediate(resolve)); // the node tells only when asked
  }
}

const all = (value: string): string[] => EDGES.map(() => value);

test('an older snapshot is restored: what nodes stored since is validated, and the purge that was lost does no harm', async (t) => {
  const etcd = await cluster();
  const [member] = etcd.members;
  const folder = t.testdir({});
  const control = await startOn(etcd, '127.0.0.1:0', folder);
  t.teardown(() => control.close());
  const { address } = control;
  const on = await stage(t, [address]);
  await allApplied(on, await purge(address));
  t.same(await on.everywhere('/page'), all('old'));
  member?.save(join(folder, 'snapshot'));

  on.content.value = 'new';
  const lost = await purge(address, '/page');
  await allApplied(on, lost);
  t.same(await on.everywhere('/page'), all('new'));
  const fetched = on.requests();
  t.same(await on.everywhere('/page'), all('new'));
  t.equal(on.requests(), fetched, 'it is stored');

  await member?.end();
  member?.replace(join(folder, 'snapshot'));
  await member?.start();
  on.content.value = 'newest';
  await passes(on, address, lost); // the number of the lost purge is given out once more
  t.same(await on.everywhere('/page'), all('newest'), 'what was stored since the snapshot is validated');
  t.ok(on.requests() > fetched);
  on.content.value = 'last';
  await allApplied(on, await purge(address, '/page'));
  t.same(await on.everywhere('/page'), all('last'), 'and purges go on');
});

test('a new cluster at the same address: everything that nodes stored is validated before it is used', async (t) => {
  const etcd = await cluster();
  const [member] = etcd.members;
  const control = await startOn(etcd, '127.0.0.1:0', t.testdir({}));
  t.teardown(() => control.close());
  const { address } = control;
  const on = await stage(t, [address]);
  await allApplied(on, await purge(address));
  const newest = await purge(address);
  await allApplied(on, newest);
  t.same(await on.everywhere('/page'), all('old'));

  await member?.end();
  member?.replace();
  await member?.start();
  on.content.value = 'new';
  await passes(on, address, newest);
  t.same(await on.everywhere('/page'), all('new'));
  on.content.value = 'last';
  await allApplied(on, await purge(address, '/page'));
  t.same(await on.everywhere('/page'), all('last'));
});

test('two clusters by mistake: a node that goes from one to the other validates, and serves nothing that either has purged', async (t) => {
  const [one, other] = [await cluster(), await cluster()];
  const folder = t.testdir({ one: {}, other: {} });
  const [first, second] = [await freeAddress(), await freeAddress()];
  let control = await startOn(one, first, join(folder, 'one'));
  t.teardown(() => control.close());
  const on = await stage(t, [first, second]);
  let newest = await purge(first);
  await allApplied(on, newest);
  t.same(await on.everywhere('/page'), all('old'));

  const mistaken = await startOn(other, second, join(folder, 'other'));
  t.teardown(() => mistaken.close());
  on.content.value = 'new';
  await purge(second, '/page'); // no node follows it
  await control.close();
  await passes(on, second, newest);
  t.same(await on.everywhere('/page'), all('new'), 'what was stored under the other journal is validated');

  newest = await purge(second);
  await allApplied(on, newest);
  t.same(await on.everywhere('/other'), all('new'));
  on.content.value = 'last';
  control = await startOn(one, first, join(folder, 'one'));
  await purge(first, '/other');
  await mistaken.close();
  await passes(on, first, newest);
  t.same(await on.everywhere('/other'), all('last'));
  t.same(await on.everywhere('/page'), all('last'));
});
