/**
 * Addresses of the control nodes, for nodes that follow the journal and the state of the network.
 * @module
 */
import type { RegionConfig } from './schema.ts';

/** @returns They are tried in this order; none in a network without a control node. */
export function controlUrls({
  purges,
  control,
  tier_tls: tls,
}: Pick<RegionConfig, 'purges' | 'control' | 'tier_tls'>): readonly string[] {
  if (purges.journal.length > 0) return purges.journal;
  if (control === undefined) return [];
  return [tls === undefined ? `http://${control.listen}` : `https://${control.tier ?? control.listen}`];
}
