/**
 * Decision of an edge or a shield which nodes it answers.
 * @module
 */
import type { RegionConfig } from '../config/schema.ts';
import { byCertificate, bySecret } from '../trust/authentication.ts';
import type { NodeIdentity } from '../trust/identity.ts';
import { nodeListening } from '../trust/listening.ts';
import type { Permission } from '../trust/permissions.ts';
import type { PeerRefusal } from '../trust/refusals.ts';
import type { TierListenerOptions } from './listener.ts';
import type { NodeCore } from './node-core.ts';

/** Options of the listener for nodes: by certificates where the network has them, else by its secret. */
export function tierTrust(
  { certificates }: NodeCore,
  region: () => RegionConfig,
): Pick<TierListenerOptions, 'authentication' | 'secure'> {
  if (certificates === undefined) return { authentication: bySecret(() => region().tier_secret) };
  const authentication = byCertificate(certificates, (identity, permission) =>
    refusalOf(region(), identity, permission),
  );
  return { authentication, secure: nodeListening(certificates) };
}

/**
 * Returns why a node is not known here. A region file names the nodes of its own region only: of others the authority
 * says who they are.
 */
function refusalOf(
  { region, edges }: RegionConfig,
  identity: NodeIdentity,
  permission: Permission,
): PeerRefusal | undefined {
  if (identity.role !== 'edge') return undefined;
  const isNamed = edges.some(({ name }) => name === identity.name);
  if (permission === 'ask_owner' || permission === 'share_limits') return isNamed ? undefined : 'peer_unknown';
  return identity.region === region && !isNamed ? 'peer_unknown' : undefined;
}
