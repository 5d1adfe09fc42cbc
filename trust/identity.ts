/**
 * Identity of a node, as its certificate gives it in the subject alternative name:
 *
 *     seawall://NETWORK/ROLE/NAME?region=REGION
 *
 * Names are those of the region files. The certificate of the authority itself has `seawall://NETWORK`.
 * @module
 */
import type { X509Certificate } from 'node:crypto';

/** Purposes of a certificate. `admin`: a person or a tool that reads, and is no node. */
export const ROLES = ['edge', 'shield', 'control', 'dns', 'admin'] as const;

export type Role = (typeof ROLES)[number];

export interface NodeIdentity {
  readonly network: string;
  readonly role: Role;
  readonly name: string;
  /** Absent in certificates that were issued without one. */
  readonly region?: string;
}

/** As in region files. */
export const NAME: RegExp = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

const NAME_PART = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const IDENTITY = new RegExp(
  `^seawall://(?<network>${NAME_PART})/(?<role>${ROLES.join('|')})/(?<name>${NAME_PART})(?:\\?region=(?<region>${NAME_PART}))?$`,
);
const AUTHORITY = new RegExp(`^seawall://(?<network>${NAME_PART})$`);

const SCHEME = 'URI:seawall://';

export function formatIdentity({ network, role, name, region }: NodeIdentity): string {
  return `seawall://${network}/${role}/${name}${region === undefined ? '' : `?region=${region}`}`;
}

/** @returns `undefined` for a certificate that is not a node's. */
export function identityOf(certificate: Pick<X509Certificate, 'subjectAltName'>): NodeIdentity | undefined {
  const found = groupsOf(certificate, IDENTITY);
  if (found === undefined) return undefined;
  const { network = '', role, name = '', region } = found;
  return { network, role: role as Role, name, ...(region !== undefined && { region }) };
}

/** @returns The network of an authority's certificate; `undefined` where it does not say. */
export function networkOf(certificate: Pick<X509Certificate, 'subjectAltName'>): string | undefined {
  return groupsOf(certificate, AUTHORITY)?.['network'];
}

function groupsOf(
  { subjectAltName }: Pick<X509Certificate, 'subjectAltName'>,
  pattern: RegExp,
): Partial<Record<string, string>> | undefined {
  // Node puts quotes around names in which the separator could stand: none of ours needs them.
  if (subjectAltName === undefined || subjectAltName.includes('"')) return undefined;
  const [uri, ...others] = subjectAltName.split(', ').filter((entry) => entry.startsWith(SCHEME));
  if (uri === undefined || others.length > 0) return undefined;
  return pattern.exec(uri.slice('URI:'.length))?.groups;
}
