/**
 * The nodes that the region files name, and which of them answer right now.
 * @module
 */
import type { RegionConfig } from '../config/schema.ts';
import type { NodeProgress } from './progress.ts';

/** `unknown`: the node has no control listener that could be asked. */
export type NodeState = 'up' | 'down' | 'unknown';

/** Description of a node, as it has reported it to the control nodes. */
export interface ReportedEntry {
  /** True while it follows the journal. */
  readonly connected: boolean;
  /** Number of the newest purge that it has applied. */
  readonly applied: number;
  /** Purges that it has yet to apply. */
  readonly lag: number;
  /** Version of Seawall; null where it has not said. */
  readonly version: string | null;
  /** `same`: it runs the config of this control node's files; null where that is not known. */
  readonly config: 'same' | 'other' | null;
  /** Time of its start; null where it has not said. */
  readonly since: string | null;
}

export interface NodeEntry extends ReportedEntry {
  readonly name: string;
  readonly role: 'edge' | 'shield';
  readonly listen?: string;
  readonly tier: string;
  readonly control?: string;
  readonly state: NodeState;
}

export interface RegionEntry {
  readonly region: string;
  readonly nodes: readonly NodeEntry[];
}

export interface NodeList {
  /** Asks all nodes at once; those who read meanwhile get the same answer. */
  read(): Promise<readonly RegionEntry[]>;
}

export interface NodeListSources {
  readonly progress: () => readonly NodeProgress[];
  /** Highest number in the journal. */
  readonly newest: () => number;
}

/** @param isUp - Whether the control listener at HOST:PORT answers. */
export function createNodeList(
  regions: readonly RegionConfig[],
  isUp: (address: string) => Promise<boolean>,
  { progress, newest }: NodeListSources,
): NodeList {
  function reportedBy({ fingerprint }: RegionConfig, node: string): ReportedEntry {
    const { connected = false, seq = 0, about } = progress().find(({ name }) => name === node) ?? {};
    return {
      connected,
      applied: seq,
      lag: Math.max(0, newest() - seq),
      version: about?.version ?? null,
      config: about?.config && fingerprint ? (about.config === fingerprint ? 'same' : 'other') : null,
      since: about?.since ?? null,
    };
  }

  let reading: Promise<readonly RegionEntry[]> | undefined;

  async function stateOf(control: string | undefined): Promise<NodeState> {
    // At port 0 the node took a port that no file tells.
    if (control === undefined || control.endsWith(':0')) return 'unknown';
    return (await isUp(control)) ? 'up' : 'down';
  }

  async function ask(): Promise<readonly RegionEntry[]> {
    return Promise.all(
      regions.map(async (config) => {
        const { region, edges, shields } = config;
        return {
          region,
          // One by one by name: a region also holds the tiers' secret.
          nodes: await Promise.all([
            ...edges.map(async ({ name, listen, tier, control }) => ({
              name,
              role: 'edge' as const,
              listen,
              tier,
              ...(control !== undefined && { control }),
              state: await stateOf(control),
              ...reportedBy(config, name),
            })),
            ...shields.map(async ({ name, tier, control }) => ({
              name,
              role: 'shield' as const,
              tier,
              ...(control !== undefined && { control }),
              state: await stateOf(control),
              ...reportedBy(config, name),
            })),
          ]),
        };
      }),
    );
  }

  return {
    read() {
      reading ??= ask().finally(() => {
        reading = undefined;
      });
      return reading;
    },
  };
}
