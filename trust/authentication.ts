/**
 * Authentication of nodes that call: by the secret of the network in each call, or by the certificate of the
 * connection.
 * @module
 */
import { HttpError } from '../http/errors.ts';
import type { RawHeaders } from '../http/fields/headers.ts';
import { readSecretTierField, readTierField } from '../http/fields/tier-field.ts';
import type { NodeIdentity } from './identity.ts';
import { addressOf, type NodeCertificates, type RefusedPeer } from './node-certificates.ts';
import { isPermitted, type Permission } from './permissions.ts';
import type { PeerRefusal } from './refusals.ts';

/** A node that calls. */
export interface Caller {
  readonly name: string;
  /** Absent where it knows the secret only, with which it may do anything. */
  readonly identity: NodeIdentity | undefined;
  /** Members of the field `Seawall-Tier`. */
  readonly members: ReadonlyMap<string, unknown>;
  /** As the server's socket. */
  readonly connection: object;
}

export interface Authentication {
  /**
   * @param connection - Its connection, as the server's socket.
   * @throws {HttpError} `unauthorised_tier`.
   */
  identify(headers: RawHeaders, connection: object): Caller;
  /** @throws {HttpError} `unauthorised_tier` unless the caller may do it here. */
  permit(caller: Caller, permission: Permission): void;
  /** Reports a refusal. @returns Error for the answer. */
  refuse(caller: Caller, reason: PeerRefusal, detail: string): HttpError;
}

/** @param refused - Called with each refusal of a caller that knows the secret. */
export function bySecret(
  secret: () => string,
  refused: (reason: PeerRefusal, peer: RefusedPeer) => void = () => undefined,
): Authentication {
  return {
    identify(headers, connection) {
      const members = readSecretTierField(headers, secret());
      return { name: String(members.get('from') ?? ''), identity: undefined, members, connection };
    },
    permit: () => undefined,
    refuse({ name, connection }, reason, detail) {
      refused(reason, { direction: 'incoming', address: addressOf(connection), name, detail });
      return new HttpError('unauthorised_tier', `${reason}: ${detail}`);
    },
  };
}

const NO_MEMBERS: ReadonlyMap<string, unknown> = new Map();

/**
 * @param refusalOf - Reason for which this node does not know one that may do it by its role, by its region files.
 */
export function byCertificate(
  certificates: NodeCertificates,
  refusalOf: (identity: NodeIdentity, permission: Permission) => PeerRefusal | undefined = () => undefined,
): Authentication {
  const refuse = (
    reason: PeerRefusal,
    identity: NodeIdentity | undefined,
    detail: string,
    connection: object,
  ): HttpError => {
    certificates.refused(reason, { direction: 'incoming', address: addressOf(connection), identity, detail });
    return new HttpError('unauthorised_tier', reason);
  };
  return {
    identify(headers, connection) {
      const identity = certificates.identityOn(connection);
      if (identity === undefined) throw new HttpError('unauthorised_tier', 'peer_no_certificate');
      const members = readTierField(headers) ?? NO_MEMBERS;
      const from = members.get('from');
      if (from === undefined || from === identity.name) return { name: identity.name, identity, members, connection };
      throw refuse('peer_wrong_name', identity, `it calls itself ${JSON.stringify(from)}`, connection);
    },
    permit({ identity, connection }, permission) {
      if (identity === undefined) throw new HttpError('unauthorised_tier', 'peer_no_certificate');
      const isAllowed = isPermitted(identity.role, permission);
      const reason = isAllowed ? refusalOf(identity, permission) : 'peer_wrong_role';
      if (reason !== undefined) throw refuse(reason, identity, permission, connection);
    },
    refuse: ({ identity, connection }, reason, detail) => refuse(reason, identity, detail, connection),
  };
}
