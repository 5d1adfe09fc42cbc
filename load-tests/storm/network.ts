/**
 * The network in the storm: each node a process of its own that can be killed
 * and started again at the same addresses, with a wire of its own to each
 * control node.
 * @module
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Cluster, startEtcd } from '../../test/support/etcd.ts';
import { makeStoredToken, makeToken, startNode, temporaryFolder, watch } from '../../test/support/node-processes.ts';
import { freePorts } from '../../test/support/ports.ts';
import { type FromSite, HOST, SITE, type SiteReport, type ToSite } from './messages.ts';
import { layWire, type Wire } from './wire.ts';

export const SECRET = 'only-for-the-storm-of-this-machine';
const MEMORY = '64MiB';

const NODES = [
  { name: 'east-1', region: 'east', role: 'edge' },
  { name: 'east-2', region: 'east', role: 'edge' },
  { name: 'west-1', region: 'west', role: 'edge' },
  { name: 'west-2', region: 'west', role: 'edge' },
  { name: 'shield-1', region: 'east', role: 'shield' },
  { name: 'shield-2', region: 'east', role: 'shield' },
] as const;

type Named = (typeof NODES)[number];

export interface Member {
  readonly name: string;
  readonly role: 'edge' | 'shield';
  /** Address for requests: of visitors to an edge, of nodes to a shield. */
  readonly url: string;
  /** One to each control node. */
  readonly wires: readonly Wire[];
  /** Ends the process at once. Resolves when it is gone. */
  kill(): Promise<void>;
  /** Resolves when it answers. */
  start(): Promise<void>;
}

/** A control node, or a member of etcd. */
export interface Keeper {
  readonly name: string;
  kill(): Promise<void>;
  /** Resolves when it answers. */
  start(): Promise<void>;
  /** Stops it, or lets it go on (SIGSTOP, SIGCONT). */
  signal(signal: NodeJS.Signals): void;
}

export interface EtcdMember extends Keeper {
  /** Returns whether it is the leader; false when it does not say. */
  isLeader(): Promise<boolean>;
}

export interface Network {
  readonly members: readonly Member[];
  readonly apis: readonly string[];
  readonly controls: readonly Keeper[];
  readonly etcd: readonly EtcdMember[];
  readonly token: string;
}

export interface NetworkOptions {
  readonly originPort: number;
  /** As in a region file. */
  readonly lease: string;
  /** True: three control nodes, on an etcd of three members. */
  readonly etcd: boolean;
}

const CONTROLS = ['control', 'control-2', 'control-3'] as const;
/** Regions that the control nodes are of. */
const HOMES = ['east', 'west', 'south'] as const;

export async function startNetwork(options: NetworkOptions): Promise<Network> {
  const folder = temporaryFolder();
  const cluster = options.etcd ? await startEtcd(3) : undefined;
  if (cluster !== undefined) endWithCommand(cluster);
  const names = options.etcd ? CONTROLS : CONTROLS.slice(0, 1);
  const free = await freePorts(NODES.length * 2 + names.length);
  const controlPorts = free.slice(0, names.length);
  const ports = free.slice(names.length);
  const config = regionFiles({ ...options, endpoints: cluster?.endpoints, controlPorts, ports });

  const folderOf = (name: string, journalPorts: readonly number[]): string => {
    const own = join(folder, name);
    mkdirSync(own);
    for (const [file, text] of Object.entries(config(journalPorts))) writeFileSync(join(own, file), text);
    return own;
  };
  const homes = names.map((name) => folderOf(name, controlPorts));
  const [home = ''] = homes;
  const filesOf = (index: number): string[] => {
    const own = HOMES[index] as string;
    const others = HOMES.filter((name) => name !== own && (options.etcd || name !== 'south'));
    return [own, ...others].map((name) => join(homes[index] as string, `${name}.yaml`));
  };
  const token = options.etcd ? await makeStoredToken(join(home, 'east.yaml')) : makeToken(home);
  const controls = await Promise.all(
    names.map(async (name, index): Promise<Keeper> => {
      let child = await startNode(name, filesOf(index));
      return {
        name,
        kill: () => child.kill(),
        signal: (signal) => child.signal(signal),
        async start() {
          child = await startNode(name, filesOf(index));
        },
      };
    }),
  );
  const members = await Promise.all(
    NODES.map(async (node, index): Promise<Member> => {
      const wires = await Promise.all(controlPorts.map(layWire));
      // Half of the nodes begin with another control node.
      const first = index % wires.length;
      const order = [...wires.slice(first), ...wires.slice(0, first)].map(({ port }) => port);
      const file = join(folderOf(node.name, order), `${node.region}.yaml`);
      const { listen, tier } = portsOf(ports, index);
      let child = await startNode(node.name, [file]);
      return {
        name: node.name,
        role: node.role,
        url: `http://127.0.0.1:${node.role === 'edge' ? listen : tier}`,
        wires,
        kill: () => child.kill(),
        async start() {
          child = await startNode(node.name, [file]);
        },
      };
    }),
  );
  return {
    members,
    apis: controlPorts.map((port) => `http://127.0.0.1:${port}`),
    controls,
    etcd: (cluster?.members ?? []).map((member, index) => ({
      name: `etcd-${index + 1}`,
      kill: () => member.end(),
      start: () => member.start(),
      signal: (signal) => member.kill(signal),
      isLeader: () => leads(member.url),
    })),
    token,
  };
}

/** A member of etcd that a killed command left behind would go on. */
function endWithCommand({ members }: Cluster): void {
  process.on('exit', () => {
    for (const member of members) member.kill('SIGKILL');
  });
}

async function leads(url: string): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(1_000);
    const response = await fetch(`${url}/v3/maintenance/status`, { method: 'POST', body: '{}', signal });
    const { header, leader } = (await response.json()) as { header: { member_id: string }; leader: string };
    return header.member_id === leader;
  } catch {
    return false;
  }
}

interface RegionFilesOptions extends NetworkOptions {
  /** Addresses of the members of etcd. */
  readonly endpoints: readonly string[] | undefined;
  readonly controlPorts: readonly number[];
  readonly ports: readonly number[];
}

/** @returns What makes the region files for a node, by the ports at which it finds the control nodes. */
function regionFiles({ originPort, lease, endpoints, controlPorts, ports }: RegionFilesOptions) {
  const of = (region: Named['region'], role: Named['role']): object[] =>
    NODES.flatMap((node, index) => {
      if (node.region !== region || node.role !== role) return [];
      const { listen, tier } = portsOf(ports, index);
      const address = (port: number): string => `127.0.0.1:${port}`;
      return [
        { name: node.name, tier: address(tier), ...(role === 'edge' && { listen: address(listen), workers: 1 }) },
      ];
    });
  const control = (index: number): object => {
    const port = controlPorts[index];
    if (port === undefined) return {};
    const journal = endpoints && { journal: { etcd: { endpoints, prefix: '/storm/' } } };
    return { control: { name: CONTROLS[index], listen: `127.0.0.1:${port}`, ...journal } };
  };
  return (journalPorts: readonly number[]): Record<string, string> => {
    const common = {
      network: 'storm',
      tier_secret: SECRET,
      memory: MEMORY,
      purges: { journal: journalPorts.map((port) => `http://127.0.0.1:${port}`), lease },
      sites: [{ name: SITE, hosts: [HOST], origin: { servers: [{ url: `http://127.0.0.1:${originPort}` }] } }],
    };
    const east = {
      region: 'east',
      ...common,
      edges: of('east', 'edge'),
      shields: of('east', 'shield'),
      ...control(0),
    };
    const west = {
      region: 'west',
      ...common,
      edges: of('west', 'edge'),
      shields_from: ['east.yaml'],
      ...control(1),
    };
    const south = { region: 'south', ...common, ...control(2) };
    // JSON is YAML.
    const files = { 'east.yaml': east, 'west.yaml': west, 'south.yaml': south };
    return Object.fromEntries(Object.entries(files).map(([name, file]) => [name, JSON.stringify(file)]));
  };
}

function portsOf(ports: readonly number[], index: number): { listen: number; tier: number } {
  return { listen: ports[index * 2] as number, tier: ports[index * 2 + 1] as number };
}

export interface SiteProcess {
  readonly port: number;
  tell(message: ToSite): void;
  /** Resolves when it has asked for everything once more. */
  finish(): Promise<SiteReport>;
}

export async function startSite(): Promise<SiteProcess> {
  const child = fork(join(import.meta.dirname, 'site.ts'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  watch(child, 'the site');
  const hear = async (): Promise<FromSite> => (await once(child, 'message'))[0] as FromSite;
  const tell = (message: ToSite): void => void child.send(message);
  const first = await hear();
  if (first.kind !== 'listening') throw new Error('the site does not listen');
  return {
    port: first.port,
    tell,
    async finish() {
      tell({ kind: 'finish' });
      const message = await hear();
      if (message.kind !== 'report') throw new Error('the site does not report');
      return message.report;
    },
  };
}
