/**
 * The nodes that the region files name, and which of them answer right now.
 * @module
 */
import type { RegionConfig } from '../config/schema.ts';

/** `unknown`: the node has no control listener that could be asked. */
export type NodeState = 'up' | 'down' | 'unknown';

export interface NodeEntry {
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

/** @param isUp - Whether the control listener at HOST:PORT answers. */
export function createNodeList(
  regions: readonly RegionConfig[],
  isUp: (address: string) => Promise<boolean>,
): NodeList {
  let reading: Promise<readonly RegionEntry[]> | undefined;

  async function stateOf(control: string | undefined): Promise<NodeState> {
    // At port 0 the node took a port that no file tells.
    if (control === undefined || control.endsWith(':0')) return 'unknown';
    return (await isUp(control)) ? 'up' : 'down';
  }

  async function ask(): Promise<readonly RegionEntry[]> {
    return Promise.all(
      regions.map(async ({ region, edges, shields }) => ({
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
          })),
          ...shields.map(async ({ name, tier, control }) => ({
            name,
            role: 'shield' as const,
            tier,
            ...(control !== undefined && { control }),
            state: await stateOf(control),
          })),
        ]),
      })),
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
