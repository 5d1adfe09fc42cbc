/**
 * Nodes as the region files of a control node name them, for those that show a certificate.
 * @module
 */
import type { RegionConfig } from '../config/schema.ts';
import type { NodeIdentity, Role } from '../trust/identity.ts';
import type { PeerRefusal } from '../trust/refusals.ts';
import type { Members } from './members.ts';

/** @returns Why a node is not known; `undefined`: the files of a control node name it, or it is none. */
export function refusalOf(
  regions: readonly RegionConfig[],
  members: Pick<Members, 'isKnown'>,
  identity: NodeIdentity,
): PeerRefusal | undefined {
  const { name, role, region } = identity;
  if (role === 'admin') return undefined;
  if (role === 'edge' || role === 'shield') return members.isKnown({ name, role, region }) ? undefined : 'peer_unknown';
  return regionOf(regions, identity) === undefined ? 'peer_unknown' : undefined;
}

/** @returns Names of the sites that the region of a node serves. */
export function sitesOf(regions: readonly RegionConfig[], identity: NodeIdentity): ReadonlySet<string> {
  return new Set(regionOf(regions, identity)?.sites.map(({ name }) => name));
}

/** Region whose file names the node in this role; where its certificate names a region, that one only. */
function regionOf(
  regions: readonly RegionConfig[],
  { role, name, region: named }: NodeIdentity,
): RegionConfig | undefined {
  return regions.find((region) => {
    if (named !== undefined && region.region !== named) return false;
    return NODES_OF[role](region).some((node) => node.name === name);
  });
}

const NODES_OF: Readonly<Record<Role, (region: RegionConfig) => readonly { readonly name: string }[]>> = {
  edge: ({ edges }) => edges,
  shield: ({ shields }) => shields,
  control: ({ control }) => (control ? [control] : []),
  dns: ({ dns }) => (dns ? [dns] : []),
  admin: () => [],
};
