/**
 * The network in the storm: each node a process of its own that can be killed
 * and started again at the same addresses, with a wire of its own to the
 * control node.
 * @module
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeToken, startNode, temporaryFolder, watch } from '../../test/support/node-processes.ts';
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
  readonly wire: Wire;
  /** Ends the process at once. Resolves when it is gone. */
  kill(): Promise<void>;
  /** Resolves when it answers. */
  start(): Promise<void>;
}

export interface Network {
  readonly members: readonly Member[];
  readonly api: string;
  readonly token: string;
}

export interface NetworkOptions {
  readonly originPort: number;
  /** As in a region file. */
  readonly lease: string;
}

export async function startNetwork({ originPort, lease }: NetworkOptions): Promise<Network> {
  const folder = temporaryFolder();
  const ports = await freePorts(NODES.length * 2 + 1);
  const controlPort = ports.pop() as number;
  const config = regionFiles({ originPort, lease, controlPort, ports });

  const folderOf = (name: string, journalPort: number): string => {
    const own = join(folder, name);
    mkdirSync(own);
    for (const [file, text] of Object.entries(config(journalPort))) writeFileSync(join(own, file), text);
    return own;
  };
  const home = folderOf('control', controlPort);
  const token = makeToken(home);
  await startNode('control', [join(home, 'east.yaml'), join(home, 'west.yaml')]);
  const members = await Promise.all(
    NODES.map(async (node, index): Promise<Member> => {
      const wire = await layWire(controlPort);
      const file = join(folderOf(node.name, wire.port), `${node.region}.yaml`);
      const { listen, tier } = portsOf(ports, index);
      let child = await startNode(node.name, [file]);
      return {
        name: node.name,
        role: node.role,
        url: `http://127.0.0.1:${node.role === 'edge' ? listen : tier}`,
        wire,
        kill: () => child.kill(),
        async start() {
          child = await startNode(node.name, [file]);
        },
      };
    }),
  );
  return { members, api: `http://127.0.0.1:${controlPort}`, token };
}

interface RegionFilesOptions extends NetworkOptions {
  readonly controlPort: number;
  readonly ports: readonly number[];
}

/** @returns What makes the region files for a node, by the port at which it finds the journal. */
function regionFiles({ originPort, lease, controlPort, ports }: RegionFilesOptions) {
  const of = (region: Named['region'], role: Named['role']): object[] =>
    NODES.flatMap((node, index) => {
      if (node.region !== region || node.role !== role) return [];
      const { listen, tier } = portsOf(ports, index);
      const address = (port: number): string => `127.0.0.1:${port}`;
      return [
        { name: node.name, tier: address(tier), ...(role === 'edge' && { listen: address(listen), workers: 1 }) },
      ];
    });
  return (journalPort: number): Record<string, string> => {
    const common = {
      network: 'storm',
      tier_secret: SECRET,
      memory: MEMORY,
      purges: { journal: `http://127.0.0.1:${journalPort}`, lease },
      sites: [{ name: SITE, hosts: [HOST], origin: { servers: [{ url: `http://127.0.0.1:${originPort}` }] } }],
    };
    const east = {
      region: 'east',
      ...common,
      edges: of('east', 'edge'),
      shields: of('east', 'shield'),
      control: { listen: `127.0.0.1:${controlPort}` },
    };
    const west = { region: 'west', ...common, edges: of('west', 'edge'), shields_from: ['east.yaml'] };
    // JSON is YAML.
    return { 'east.yaml': JSON.stringify(east), 'west.yaml': JSON.stringify(west) };
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
