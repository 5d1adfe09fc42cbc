/**
 * Every kind of node starts its components before its listeners, closes what
 * had started when one fails, and passes a new config to all of them.
 */

import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { type Test, test } from 'tap';
import { loadRegion } from '../../config/load.ts';
import type { RegionConfig } from '../../config/schema.ts';
import { startControl } from '../../control/node.ts';
import { startEdge } from '../../edge/node.ts';
import { startDns } from '../../geo/dns/node.ts';
import { DIRECT_WRITES } from '../../http/node-internals/direct-writes.ts';
import type { ComponentEvents } from '../../lib/components.ts';
import { startShield } from '../../origin-shield/node.ts';
import { OriginPools } from '../../origin-shield/origin-pool.ts';
import { createLog } from '../../telemetry/log.ts';
import { makeCertificate } from '../support/certificate.ts';
import { freeAddress } from '../support/ports.ts';

const log = createLog({ name: 'components', level: 'silent' });

interface Node {
  reload(): void;
  close(): Promise<void>;
}

interface Kind {
  /** Components that are listeners. */
  readonly listeners: readonly string[];
  readonly ports: (region: RegionConfig) => readonly string[];
  start(region: RegionConfig, componentEvents: ComponentEvents): Promise<Node>;
}

const KINDS: Readonly<Record<string, Kind>> = {
  edge: {
    listeners: ['control', 'visitors', 'encrypted', 'tier'],
    ports: ({ edges: [edge] }) => [edge?.listen, edge?.listen_tls, edge?.tier, edge?.control] as string[],
    async start(region, componentEvents) {
      const origin = new OriginPools(region.network, region.sites);
      const [edge] = region.edges as [RegionConfig['edges'][number]];
      const node = await startEdge({ region, edge, origin, log, componentEvents });
      return { reload: () => node.reload(region), close: () => node.close() };
    },
  },
  shield: {
    listeners: ['control', 'tier'],
    ports: ({ shields: [shield] }) => [shield?.tier, shield?.control] as string[],
    async start(region, componentEvents) {
      const [shield] = region.shields as [RegionConfig['shields'][number]];
      const node = await startShield({ region, shield, log, componentEvents });
      return { reload: () => node.reload(region), close: () => node.close() };
    },
  },
  control: {
    listeners: ['listener'],
    ports: ({ control }) => [control?.listen] as string[],
    async start(region, componentEvents) {
      const control = region.control as NonNullable<RegionConfig['control']>;
      const node = await startControl({ region, control, regions: [region], log, componentEvents });
      return { reload: () => node.reload([region]), close: () => node.close() };
    },
  },
  dns: {
    listeners: ['control', 'listen 0'],
    ports: ({ dns }) => [...(dns?.listen ?? []), dns?.control] as string[],
    async start(region, componentEvents) {
      const dns = region.dns as NonNullable<RegionConfig['dns']>;
      const node = await startDns({ region, dns, regions: [region], log, componentEvents });
      return { reload: () => node.reload(region, [region]), close: () => node.close() };
    },
  },
};

async function regionIn(t: Test): Promise<RegionConfig> {
  const ports = await Promise.all(Array.from({ length: 9 }, freeAddress));
  const directory = t.testdir({
    'eu.yaml': `
region: eu
tier_secret: a-secret-of-the-tests
access_log: access.log
edges:
  - { name: edge, listen: '${ports[0]}', listen_tls: '${ports[1]}', tier: '${ports[2]}', control: '${ports[3]}' }
shields: [{ name: shield, tier: '${ports[4]}', control: '${ports[5]}' }]
control: { name: control, listen: '${ports[6]}' }
dns:
  name: dns
  listen: ['${ports[7]}']
  control: '${ports[8]}'
  zones:
    - name: example.com
      nameservers: [{ name: ns1.example.com, addresses: [192.0.2.53] }]
      hostmaster: dns@example.com
      serial: 1
sites:
  - name: site
    hosts: [www.example.com]
    origin: { servers: [{ url: 'http://127.0.0.1:1' }] }
    tls: { cert_file: site.pem, key_file: site.key }
`,
  });
  makeCertificate(directory, 'site', ['www.example.com']);
  return loadRegion(`${directory}/eu.yaml`, {});
}

async function isListening(address: string): Promise<boolean> {
  const [host, port] = address.split(':') as [string, string];
  const socket = connect({ host, port: Number(port) });
  const answered = await Promise.race([
    once(socket, 'connect').then(() => true),
    once(socket, 'error').then(() => false),
  ]).catch(() => false);
  socket.destroy();
  return answered;
}

async function listening(addresses: readonly string[]): Promise<string[]> {
  const answers = await Promise.all(addresses.map(isListening));
  return addresses.filter((_, index) => answers[index]);
}

for (const [role, kind] of Object.entries(KINDS)) {
  test(`${role}: listeners start last, a reload reaches every component, all are closed`, async (t) => {
    const region = await regionIn(t);
    const started: string[] = [];
    const updated: string[] = [];
    const closed: string[] = [];
    const node = await kind.start(region, {
      starting: (name) => void started.push(name),
      updated: (name) => void updated.push(name),
      closed: (name) => void closed.push(name),
    });
    t.strictSame(started.slice(started.length - kind.listeners.length), kind.listeners);
    t.strictSame(await listening(kind.ports(region)), kind.ports(region));
    node.reload();
    t.strictSame(updated, started, 'a reload reaches every component, in the order of their start');
    await node.close();
    t.strictSame(closed.toSorted(), started.toSorted(), 'each is closed');
    t.strictSame(await listening(kind.ports(region)), [], 'nothing listens');
  });

  test(`${role}: when a component fails at start, those before it are closed and nothing listens`, async (t) => {
    const region = await regionIn(t);
    const names: string[] = [];
    await (await kind.start(region, { starting: (name) => void names.push(name) })).close();
    t.ok(names.length > kind.listeners.length, names.join(', '));
    for (const [index, failing] of names.entries()) {
      const before = process.getActiveResourcesInfo().toSorted();
      const closed: string[] = [];
      const events: ComponentEvents = {
        starting: (name) => {
          if (name === failing) throw new Error(`${name} fails`);
        },
        closed: (name) => void closed.push(name),
      };
      await t.rejects(kind.start(region, events), { message: `${failing} fails` });
      t.strictSame(closed.toSorted(), names.slice(0, index).toSorted(), `what had started before ${failing} is closed`);
      t.strictSame(await listening(kind.ports(region)), [], `nothing listens after ${failing} has failed`);
      const timers = (list: readonly string[]) => list.filter((name) => name === 'Timeout').length;
      t.ok(timers(process.getActiveResourcesInfo()) <= timers(before), `no timer is left after ${failing} has failed`);
    }
  });

  test(`${role}: when an address is in use, nothing else listens afterwards`, async (t) => {
    const region = await regionIn(t);
    for (const taken of kind.ports(region)) {
      const [host, port] = taken.split(':') as [string, string];
      const other = createServer((socket) => socket.destroy()).listen(Number(port), host);
      await once(other, 'listening');
      await t.rejects(kind.start(region, {}), { code: 'EADDRINUSE' });
      t.strictSame(await listening(kind.ports(region)), [taken]);
      await new Promise((resolve) => other.close(resolve));
    }
  });

  test(`${role}: what this version of Node lacks is logged at the start`, async (t) => {
    const region = await regionIn(t);
    const warnings = t.capture(log, 'warn', () => undefined);
    DIRECT_WRITES.isOff = true;
    t.teardown(() => {
      DIRECT_WRITES.isOff = false;
    });
    await (await kind.start(region, {})).close();
    t.match(
      warnings().map(({ args }) => args),
      [[{ feature: DIRECT_WRITES.name }, DIRECT_WRITES.without]],
    );
  });
}
