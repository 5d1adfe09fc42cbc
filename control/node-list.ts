/**
 * The network as a control node sees it: nodes that the region files name or that have registered, control nodes, and
 * nodes that were refused.
 * @module
 */
import type { RegionConfig } from '../config/schema.ts';
import type { DiskState, NodeAbout, Space } from '../journal/wire.ts';
import type { Member, Members, Presence } from './members.ts';
import type { RefusedNode } from './node-refusals.ts';
import type { NodeProgress } from './progress.ts';

/** `unknown`: the node has no control listener that could be asked. */
export type NodeState = 'up' | 'down' | 'unknown';

/** Description of a node by itself; null where it has not said. */
export interface AboutEntry {
  /** Version of Seawall. */
  readonly version: string | null;
  /** Time of its start. */
  readonly since: string | null;
  readonly workers: number | null;
  readonly memory: Space | null;
  readonly disk: DiskState | null;
  readonly certificate_expires: string | null;
}

/** Description of a node, as it has reported it to the control nodes. */
export interface ReportedEntry extends AboutEntry {
  readonly presence: Presence;
  /** True if a region file of this control node names it. */
  readonly named: boolean;
  /** True if two processes follow the journal under its name. */
  readonly doubled: boolean;
  /** True while it follows the journal. */
  readonly connected: boolean;
  /** Number of the newest purge that it has applied. */
  readonly applied: number;
  /** Purges that it has yet to apply. */
  readonly lag: number;
  /** Lease that receipts go by. */
  readonly lease_ms: number | null;
  /** `same`: it runs the config of this control node's files; null where that is not known. */
  readonly config: 'same' | 'other' | null;
  /** Time at which a control node has noted last that it is there, by the clock of that one. */
  readonly seen: string | null;
}

export interface NodeEntry extends ReportedEntry {
  readonly name: string;
  readonly role: 'edge' | 'shield';
  readonly listen?: string;
  /** Absent where no file of this control node names it. */
  readonly tier?: string;
  readonly control?: string;
  readonly state: NodeState;
}

export interface RegionEntry {
  readonly region: string;
  readonly nodes: readonly NodeEntry[];
}

export interface ControlEntry extends AboutEntry {
  readonly name: string;
  readonly region: string;
  readonly presence: Presence;
  /** `same`: it was started with the config of this one's region files. */
  readonly config: 'same' | 'other' | null;
  readonly seen: string;
}

/** The network at a glance: answer to `GET /v1/nodes`. */
export interface NetworkEntry {
  readonly regions: readonly RegionEntry[];
  readonly control: readonly ControlEntry[];
  /** By this control node, lately. */
  readonly refused: readonly RefusedNode[];
}

export interface NodeList {
  /** Asks all nodes at once; those who read meanwhile get the same answer. */
  read(): Promise<NetworkEntry>;
}

export interface NodeListSources {
  readonly progress: () => readonly NodeProgress[];
  /** Highest number in the journal. */
  readonly newest: () => number;
  readonly members: () => Pick<Members, 'presence' | 'row' | 'isNamed' | 'isDoubled' | 'others'>;
  readonly refused: () => readonly RefusedNode[];
  /** Fingerprint of the files of this control node. */
  readonly config: () => string;
}

/** @param isUp - Whether the control listener at HOST:PORT answers. */
export function createNodeList(
  regions: readonly RegionConfig[],
  isUp: (address: string) => Promise<boolean>,
  sources: NodeListSources,
): NodeList {
  const { progress, newest, members } = sources;

  function reportedBy(fingerprint: string | undefined, node: string): ReportedEntry {
    const ownReport = reports.get(node);
    const { connected = false, seq = 0, leaseMs = null } = ownReport ?? {};
    const row = members().row(node);
    const about = ownReport?.about ?? row?.about ?? undefined;
    return {
      presence: members().presence(node),
      named: members().isNamed(node),
      doubled: members().isDoubled(node),
      connected,
      applied: seq,
      lag: Math.max(0, newest() - seq),
      lease_ms: leaseMs,
      ...aboutEntry(about),
      config: about?.config && fingerprint ? (about.config === fingerprint ? 'same' : 'other') : null,
      seen: row?.seen ?? null,
    };
  }

  let reading: Promise<NetworkEntry> | undefined;
  /** Reports of nodes, as of the reading. */
  let reports: ReadonlyMap<string, NodeProgress> = new Map();

  async function stateOf(control: string | undefined): Promise<NodeState> {
    // At port 0 the node took a port that no file tells.
    if (control === undefined || control.endsWith(':0')) return 'unknown';
    return (await isUp(control)) ? 'up' : 'down';
  }

  function entryOf({ name, role }: Member): NodeEntry {
    return { name, role: role as NodeEntry['role'], state: 'unknown', ...reportedBy(undefined, name) };
  }

  async function ask(): Promise<NetworkEntry> {
    const others = members().others();
    const unnamed = others.filter(({ role }) => role !== 'control');
    const named = await Promise.all(
      regions.map(async (config) => {
        const { region, fingerprint, edges, shields } = config;
        return {
          region,
          // One by one by name: a region also holds the tiers' secret.
          nodes: [
            ...(await Promise.all([
              ...edges.map(async ({ name, listen, tier, control }) => ({
                name,
                role: 'edge' as const,
                listen,
                tier,
                ...(control !== undefined && { control }),
                state: await stateOf(control),
                ...reportedBy(fingerprint, name),
              })),
              ...shields.map(async ({ name, tier, control }) => ({
                name,
                role: 'shield' as const,
                tier,
                ...(control !== undefined && { control }),
                state: await stateOf(control),
                ...reportedBy(fingerprint, name),
              })),
            ])),
            ...unnamed.filter((one) => one.region === region).map(entryOf),
          ],
        };
      }),
    );
    const known = new Set(regions.map(({ region }) => region));
    const elsewhere = Object.groupBy(
      unnamed.filter(({ region }) => !known.has(region)),
      ({ region }) => region,
    );
    return {
      regions: [
        ...named,
        ...Object.entries(elsewhere).map(([region, nodes = []]) => ({ region, nodes: nodes.map(entryOf) })),
      ],
      control: others.filter(({ role }) => role === 'control').map(controlEntry),
      refused: sources.refused(),
    };
  }

  function controlEntry({ name, region, about, seen }: Member): ControlEntry {
    return {
      name,
      region,
      presence: members().presence(`control/${name}`),
      ...aboutEntry(about ?? undefined),
      config: about === null ? null : about.config === sources.config() ? 'same' : 'other',
      seen,
    };
  }

  return {
    read() {
      reports = new Map(progress().map((report) => [report.name, report]));
      reading ??= ask().finally(() => {
        reading = undefined;
      });
      return reading;
    },
  };
}

function aboutEntry(about: NodeAbout | undefined): AboutEntry {
  const { version = null, since = null, workers = null, memory = null, disk = null } = about ?? {};
  return { version, since, workers, memory, disk, certificate_expires: about?.certificate_expires ?? null };
}
