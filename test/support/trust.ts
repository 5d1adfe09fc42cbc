/**
 * Certificates of a network of tests, made as `seawall ca` makes them.
 * @module
 */
import { createPublicKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import type { TierTlsConfig } from '../../config/schema/tier-tls.ts';
import { type Authority, createAuthority, daysMs, makeKey, privatePem } from '../../trust/authority/authority.ts';
import { replaceFile } from '../../trust/authority/files.ts';
import type { NodeIdentity, Role } from '../../trust/identity.ts';

export interface TestTrust {
  readonly authority: Authority;
  /** Folder with the files of all nodes. */
  readonly folder: string;
  /** For a region file. */
  readonly tierTls: TierTlsConfig;
  /** Issues a certificate for a node, in the place of the one it had. */
  issue(role: Role, name: string, region?: string, lifetimeMs?: number): X509Certificate;
  /** Copies what all nodes need from the authority. */
  publish(): void;
}

export function makeTrust(root: string, network = 'seawall'): TestTrust {
  const now = (): Date => new Date();
  const authority = createAuthority({ folder: join(root, 'ca'), network, lifetimeMs: daysMs(365), now });
  const folder = join(root, 'tls');
  mkdirSync(folder);
  const keys = new Map<string, KeyObject>();
  const publish = (): void => {
    for (const name of ['ca.pem', 'revoked.pem']) {
      const beside = join(folder, `${name}.new`);
      copyFileSync(join(authority.folder, name), beside);
      copyFileSync(beside, join(folder, name));
    }
  };
  publish();
  return {
    authority,
    folder,
    tierTls: {
      cert_file: join(folder, '{node}.pem'),
      key_file: join(folder, '{node}.key'),
      ca_file: join(folder, 'ca.pem'),
      crl_file: join(folder, 'revoked.pem'),
    },
    issue(role, name, region, lifetimeMs = daysMs(90)) {
      const key = keys.get(name) ?? makeKey();
      keys.set(name, key);
      const holder: Omit<NodeIdentity, 'network'> = { role, name, ...(region !== undefined && { region }) };
      const { certificate } = authority.issue(holder, createPublicKey(key), lifetimeMs);
      replaceFile(join(folder, `${name}.key`), privatePem(key), { isPrivate: true });
      replaceFile(join(folder, `${name}.pem`), certificate.toString());
      return certificate;
    },
    publish,
  };
}

export interface Credentials {
  readonly cert: string;
  readonly key: string;
}

/** Connects as a node may, and checks nothing. */
export async function connectTo(address: string, credentials: Partial<Credentials>): Promise<TLSSocket> {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon);
  const socket = connect({ host, port: Number(address.slice(colon + 1)), rejectUnauthorized: false, ...credentials });
  socket.on('error', () => undefined); // 'close' follows
  await once(socket, 'secureConnect');
  return socket;
}
