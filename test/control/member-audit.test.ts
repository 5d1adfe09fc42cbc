/** Changes of what a node runs, in the audit log. */
import tap, { test } from 'tap';
import type { ControlConfig } from '../../control/data-folder.ts';
import { openStore } from '../../control/store/open-store.ts';
import { startEtcd } from '../support/etcd.ts';
import { scriptedNode } from './control.ts';
import { startReplicated } from './replicated.ts';

const cluster = await startEtcd(1);
tap.teardown(() => cluster.stop());
const { endpoints } = cluster;

test('another config, version, certificate or revocation list of a node is in the audit log, once for all control nodes', async (t) => {
  const network = await startReplicated(t, { endpoints, count: 2 });
  const urls = network.nodes.map(({ url }) => url);
  const about = { version: '1.0.0', config: 'one', since: '2026-01-01T00:00:00.000Z' };
  const revocations = 'ab'.repeat(32);
  const changes = [
    about,
    { ...about, config: 'two' },
    { ...about, config: 'two', version: '1.1.0' },
    { ...about, config: 'two', version: '1.1.0', certificate_expires: '2027-01-01T00:00:00.000Z' },
    { ...about, config: 'one', version: '1.1.0', certificate_expires: '2027-01-01T00:00:00.000Z' },
    { ...about, config: 'one', version: '1.1.0', certificate_expires: '2027-01-01T00:00:00.000Z', revocations },
  ];
  const nodes = await Promise.all(urls.map((url) => scriptedNode(url, 'eu-1')));
  t.teardown(() => nodes.map((node) => node.leave()));
  const token = await network.token();
  const store = await openStore(network.region, network.region.control as ControlConfig);
  t.teardown(() => store.close());
  const isStored = async (config: string): Promise<boolean> => {
    await store.members.refresh();
    return store.members.all.get('eu-1')?.about?.config === config;
  };
  const entries = async () => {
    const response = await fetch(`${urls[0]}/v1/audit`, { headers: { authorization: `Bearer ${token}` } });
    const { entries: all } = (await response.json()) as { entries: { action: string }[] };
    return all.filter(({ action }) => / of node$/.test(action));
  };
  for (const [index, change] of changes.entries()) {
    await Promise.all(nodes.map((node) => node.applied(0, node.identity, undefined, change)));
    while ((await entries()).length < index) await new Promise(setImmediate);
    while (!(await isStored(change.config))) await new Promise(setImmediate);
  }
  t.match(await entries(), [
    { action: 'revocation list of node', member: 'eu-1', revocations, before: null },
    { action: 'config of node', member: 'eu-1', config: 'one', before: 'two' },
    { action: 'certificate of node', certificate: '2027-01-01T00:00:00.000Z', before: null },
    { action: 'version of node', version: '1.1.0', before: '1.0.0' },
    { action: 'config of node', config: 'two', before: 'one' },
  ]);
  t.equal((await entries()).length, 5);
});
