/** The network as control nodes show it. */
import type { NetworkEntry, NodeEntry } from '../../control/node-list.ts';

/** @returns The network as a control node shows it. */
export async function networkOf(url: string): Promise<NetworkEntry> {
  return (await (await fetch(`${url}/v1/nodes`)).json()) as NetworkEntry;
}

/** @returns A node of it. */
export async function nodeOf(url: string, name: string): Promise<NodeEntry | undefined> {
  const { regions } = await networkOf(url);
  return regions.flatMap(({ nodes }) => nodes).find((node) => node.name === name);
}
