/**
 * Addresses of the control nodes, for nodes that follow the journal and the state of the network.
 * @module
 */
import type { RegionConfig } from './schema.ts';

/** @returns They are tried in this order; none in a network without a control node. */
export function controlUrls({ purges, control }: Pick<RegionConfig, 'purges' | 'control'>): readonly string[] {
  if (purges.journal.length > 0) return purges.journal;
  return control === undefined ? [] : [`http://${control.listen}`];
}
