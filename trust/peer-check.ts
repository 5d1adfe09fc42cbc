/**
 * Decision whether a certificate is that of a node of this network. Pure: no clock, no I/O.
 * @module
 */
import type { X509Certificate } from 'node:crypto';
import type { EpochMs } from '../lib/clock.ts';
import { identityOf, type NodeIdentity, type Role } from './identity.ts';
import type { PeerRefusal } from './refusals.ts';

/** Basis on which certificates are checked. */
export interface Trusted {
  readonly network: string;
  readonly authorities: readonly X509Certificate[];
  /** Entries are made by `revocationKey`. */
  readonly revoked: ReadonlySet<string>;
}

/** Expectation of who is at the other end. */
export interface Expected {
  readonly role: Role;
  /** Absent: any node of the role. */
  readonly name?: string;
}

export type PeerVerdict =
  | { readonly identity: NodeIdentity; readonly refusal?: undefined }
  /** `identity`: as far as it is known. */
  | { readonly refusal: PeerRefusal; readonly identity?: NodeIdentity | undefined };

/** Serial numbers are those of one authority. */
export function revocationKey(authority: Pick<X509Certificate, 'fingerprint256'>, serial: string): string {
  return `${authority.fingerprint256} ${serial}`;
}

/** @param certificate - Of the other side; its key has been proved by the handshake. */
export function checkPeer(
  certificate: X509Certificate | undefined,
  { network, authorities, revoked }: Trusted,
  now: EpochMs,
): PeerVerdict {
  if (certificate === undefined) return { refusal: 'peer_no_certificate' };
  const identity = identityOf(certificate);
  const issuer = authorities.find((one) => certificate.checkIssued(one) && certificate.verify(one.publicKey));
  if (issuer === undefined) return { refusal: 'peer_wrong_ca', identity };
  const time = timeRefusal(certificate, now);
  if (time !== undefined) return { refusal: time, identity };
  if (revoked.has(revocationKey(issuer, certificate.serialNumber))) return { refusal: 'peer_revoked', identity };
  if (identity === undefined) return { refusal: 'peer_not_a_node' };
  return identity.network === network ? { identity } : { refusal: 'peer_wrong_network', identity };
}

/** @returns Why a certificate is not valid at this time; `undefined`: it is. */
export function timeRefusal(
  { validFromDate, validToDate }: Pick<X509Certificate, 'validFromDate' | 'validToDate'>,
  now: EpochMs,
): PeerRefusal | undefined {
  if (now > validToDate.getTime()) return 'peer_expired';
  return now < validFromDate.getTime() ? 'peer_not_yet_valid' : undefined;
}

/** @returns Why a node is not the one that was asked; `undefined`: it is. */
export function expectationRefusal({ role, name }: NodeIdentity, expected: Expected): PeerRefusal | undefined {
  if (role !== expected.role) return 'peer_wrong_role';
  return expected.name !== undefined && name !== expected.name ? 'peer_wrong_name' : undefined;
}
