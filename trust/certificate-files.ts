/**
 * Files by which a node knows others, and by which it is known: read together, and used as a whole or not at all.
 * @module
 */
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import { type EpochMs, epochMs } from '../lib/clock.ts';
import { identityOf, type NodeIdentity } from './identity.ts';
import { checkPeer, revocationKey, type Trusted } from './peer-check.ts';
import { PEER_REFUSALS } from './refusals.ts';

/** Names of the files, from where the program runs. */
export interface CertificateFiles {
  readonly cert_file: string;
  readonly key_file: string;
  readonly ca_file: string;
  readonly crl_file?: string | undefined;
}

export type CertificateFile = keyof CertificateFiles;

/** Contents of the files. */
export type CertificateTexts = Readonly<Record<CertificateFile, string>>;

/** State that follows from the files. */
export interface Material {
  readonly trusted: Trusted;
  readonly identity: NodeIdentity;
  readonly context: SecureContext;
  readonly contextOptions: SecureContextOptions;
  /** End of the node's own certificate. */
  readonly expiresAt: EpochMs;
  readonly texts: CertificateTexts;
}

/** A file that cannot be used. */
export class CertificateFault extends Error {
  override readonly name = 'CertificateFault';
  readonly code = 'certificate_unusable';
  readonly key: CertificateFile;
  readonly fix: string;

  constructor(key: CertificateFile, message: string, fix: string) {
    super(message);
    this.key = key;
    this.fix = fix;
  }
}

/** Longer files hold something else. */
const MAX_BYTES = 4 * 2 ** 20;

/** Both sides have it, and the hardware too. */
const TLS_OPTIONS: SecureContextOptions = {
  minVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256',
};

/** @throws {CertificateFault} for a file that cannot be read. */
export function readTexts(files: CertificateFiles): CertificateTexts {
  const read = (key: CertificateFile): string => {
    const file = files[key];
    if (file === undefined) return '';
    try {
      const text = readFileSync(file, 'latin1');
      if (text.length <= MAX_BYTES) return text;
      throw new CertificateFault(key, `${file} is longer than ${MAX_BYTES} bytes`, 'Name a PEM file.');
    } catch (error) {
      if (error instanceof CertificateFault) throw error;
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') throw new CertificateFault(key, `${file} does not exist`, MISSING_FIXES[key]);
      const fix = 'Let the user that runs Seawall read it, and no other user.';
      throw new CertificateFault(key, `${file} cannot be read (${code})`, fix);
    }
  };
  return {
    cert_file: read('cert_file'),
    key_file: read('key_file'),
    ca_file: read('ca_file'),
    crl_file: read('crl_file'),
  };
}

const MISSING_FIXES: Readonly<Record<CertificateFile, string>> = {
  cert_file: 'Make it with `seawall ca issue`; the path is relative to the region file.',
  key_file: 'Make it with `seawall ca request` on this machine; the path is relative to the region file.',
  ca_file: 'Copy ca.pem from the folder of `seawall ca init`; the path is relative to the region file.',
  crl_file: 'Copy revoked.pem from the folder of `seawall ca init`, or remove the key.',
};

/** Identity that a node's own certificate has to have. */
export type OwnIdentity = Omit<NodeIdentity, 'region'> & { readonly region: string };

/**
 * @param texts - Contents of the files.
 * @param files - Their names, for messages.
 * @throws {CertificateFault} unless they can be used together, by this node.
 */
export async function materialOf(
  texts: CertificateTexts,
  files: CertificateFiles,
  own: OwnIdentity,
  now: EpochMs,
): Promise<Material> {
  const authorities = authoritiesIn(texts.ca_file, files.ca_file);
  const revoked = await revokedIn(texts.crl_file, files.crl_file, authorities);
  const trusted: Trusted = { network: own.network, authorities, revoked };
  const certificate = certificateIn(texts.cert_file, files.cert_file);
  checkKey(certificate, texts.key_file, files.key_file);
  const { identity, refusal } = checkPeer(certificate, trusted, now);
  const refuse = (message: string, fix: string) =>
    new CertificateFault('cert_file', `${files.cert_file} ${message}`, fix);
  if (refusal === 'peer_not_a_node' || identity === undefined || identityOf(certificate) === undefined) {
    throw refuse('is not the certificate of a node', 'Make it with `seawall ca issue`.');
  }
  // One that has ended or is revoked stops no node: others say what they think of it.
  if (refusal === 'peer_wrong_ca' || refusal === 'peer_wrong_network') {
    const problem = PEER_REFUSALS[refusal].replace('Its certificate', 'It').replace('its certificate', 'it');
    throw refuse(`cannot be used: ${problem}`, 'Issue it anew with the authority of this network.');
  }
  for (const key of ['role', 'name', 'region'] as const) {
    if (identity[key] === own[key] || (key === 'region' && identity.region === undefined)) continue;
    const fix = `Issue one for this node: \`seawall ca issue FOLDER ${own.name} --role ${own.role} --region ${own.region}\`.`;
    throw refuse(`is for the ${key} ${identity[key]}, and this is ${own[key]}`, fix);
  }
  // Authorities are not sent: the other side has them.
  const contextOptions = { ...TLS_OPTIONS, cert: texts.cert_file, key: texts.key_file, ca: texts.ca_file };
  const context = createSecureContext(contextOptions);
  return { trusted, identity, context, contextOptions, expiresAt: epochMs(certificate.validToDate.getTime()), texts };
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----/g;

function authoritiesIn(text: string, file: string): X509Certificate[] {
  const fix = 'Write the certificates of the authority into it, as `seawall ca init` makes them.';
  try {
    const certificates = (text.match(CERTIFICATE) ?? []).map((pem) => new X509Certificate(pem));
    if (certificates.length > 0 && certificates.every(({ ca }) => ca)) return certificates;
  } catch {
    // said below
  }
  throw new CertificateFault('ca_file', `${file} holds no certificate of an authority in PEM`, fix);
}

async function revokedIn(
  text: string,
  file: string | undefined,
  authorities: readonly X509Certificate[],
): Promise<ReadonlySet<string>> {
  if (file === undefined) return new Set();
  try {
    // Only where there is a list: what reads it takes memory that others have better use for.
    const { readRevocationLists } = await import('./x509/revocation-list.ts');
    const lists = readRevocationLists(text, authorities);
    return new Set(
      lists.flatMap(({ issuer, revocations }) => revocations.map(({ serial }) => revocationKey(issuer, serial))),
    );
  } catch (error) {
    const fix = 'Copy revoked.pem from the folder of `seawall ca init`, together with ca.pem.';
    throw new CertificateFault('crl_file', `${file} cannot be used: ${(error as Error).message}`, fix);
  }
}

function certificateIn(text: string, file: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch {
    throw new CertificateFault('cert_file', `${file} holds no certificate in PEM`, 'Make it with `seawall ca issue`.');
  }
}

function checkKey(certificate: X509Certificate, text: string, file: string): void {
  let isIts: boolean;
  try {
    isIts = certificate.checkPrivateKey(createPrivateKey(text));
  } catch {
    const fix = 'Write an unencrypted BEGIN PRIVATE KEY block into it.';
    throw new CertificateFault('key_file', `${file} holds no private key in PEM that can be read`, fix);
  }
  if (isIts) return;
  const fix = 'Name the key that the certificate was made for, or issue the certificate for this key.';
  throw new CertificateFault('key_file', `${file} is not the key of the certificate`, fix);
}

/** @returns SHA-256 of a file, as `sha256sum` prints it; null where there is none. */
export function sha256Of(text: string): string | null {
  return text === '' ? null : createHash('sha256').update(text, 'latin1').digest('hex');
}
