/**
 * Certificate authority of a network, in a folder of plain files:
 *
 *     ca.pem      certificates of the authorities that nodes trust, the one that signs first
 *     ca.key      their private keys, in the same order
 *     revoked.pem a revocation list of each of them
 *     issued/     every certificate that was issued, by its serial number
 *
 * Nodes need ca.pem and revoked.pem. Nothing else is kept: what was issued, and what is revoked, is read from there.
 * @module
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { identityOf, NAME, type NodeIdentity, networkOf } from '../identity.ts';
import { makeAuthority, makeCertificate, type Signer } from '../x509/certificate.ts';
import { pemBlocks } from '../x509/der.ts';
import { makeRevocationList, type Revocation, readRevocationLists } from '../x509/revocation-list.ts';
import { AuthorityError } from './errors.ts';
import { createFile, replaceFile } from './files.ts';

const DAY_MS = 86_400_000;

/** Certificates begin to be valid before they are made: clocks of other machines may be slow. */
const BACKDATED_MS = 60 * 60 * 1_000;

const PRIVATE_FOLDER = 0o700;

export type CertificateState = 'valid' | 'expired' | 'revoked' | 'untrusted';

/** A certificate that an authority has issued. */
export interface Issued {
  readonly identity: NodeIdentity;
  readonly certificate: X509Certificate;
  readonly revokedAt: Date | undefined;
  /** `untrusted`: the authority that issued it was retired. */
  readonly state: CertificateState;
}

export interface AuthorityOptions {
  readonly folder: string;
  readonly now: () => Date;
}

interface NewAuthority extends AuthorityOptions {
  readonly network: string;
  readonly lifetimeMs: number;
}

/** @throws {AuthorityError} `authority_exists`, `authority_name`. */
export function createAuthority({ folder, network, lifetimeMs, now }: NewAuthority): Authority {
  checkName('network', network);
  if (existsSync(join(folder, 'ca.pem')) || existsSync(join(folder, 'ca.key'))) {
    const fix = 'Name another folder. `seawall ca renew FOLDER --ca` replaces an authority without an interruption.';
    throw new AuthorityError('authority_exists', `${folder} holds an authority already`, fix);
  }
  mkdirSync(folder, { recursive: true, mode: PRIVATE_FOLDER });
  mkdirSync(join(folder, 'issued'), { recursive: true });
  const signer = newSigner(network, 1, validityFrom(now(), lifetimeMs));
  createFile(join(folder, 'ca.key'), privatePem(signer.key), { isPrivate: true });
  createFile(join(folder, 'ca.pem'), signer.certificate.toString());
  const authority = openAuthority({ folder, now });
  authority.writeRevocations();
  return authority;
}

/** @throws {AuthorityError} `authority_missing`, `authority_broken`. */
export function openAuthority({ folder, now }: AuthorityOptions): Authority {
  const certificates = certificatesIn(read(folder, 'ca.pem'));
  const keys = pemBlocks('PRIVATE KEY', read(folder, 'ca.key')).map((pem) => createPrivateKey(pem));
  const signers = certificates.map((certificate): Signer => {
    const key = keys.find((one) => certificate.checkPrivateKey(one));
    if (key === undefined) throw broken(folder, 'ca.key lacks the key of a certificate in ca.pem');
    return { certificate, key };
  });
  const [first] = signers;
  const network = first && networkOf(first.certificate);
  if (first === undefined || network === undefined) throw broken(folder, 'ca.pem holds no certificate of a network');
  return new Authority(folder, network, [first, ...signers.slice(1)], now);
}

type Signers = readonly [Signer, ...Signer[]];

export class Authority {
  readonly folder: string;
  readonly network: string;
  /** The one that signs, then those that are trusted besides. */
  #signers: Signers;
  readonly #now: () => Date;

  constructor(folder: string, network: string, signers: Signers, now: () => Date) {
    this.folder = folder;
    this.network = network;
    this.#signers = signers;
    this.#now = now;
  }

  /** Certificates of the authorities, the one that signs first. */
  get certificates(): readonly X509Certificate[] {
    return this.#signers.map(({ certificate }) => certificate);
  }

  /**
   * Issues a certificate. It ends with its authority at the latest.
   *
   * @throws {AuthorityError} `authority_name`.
   */
  issue(holder: Omit<NodeIdentity, 'network'>, publicKey: KeyObject, lifetimeMs: number): Issued {
    checkName('name', holder.name);
    if (holder.region !== undefined) checkName('region', holder.region);
    const identity = { ...holder, network: this.network };
    const [signer] = this.#signers;
    const validity = validityFrom(this.#now(), lifetimeMs);
    const to = new Date(Math.min(validity.to.getTime(), signer.certificate.validToDate.getTime()));
    const certificate = new X509Certificate(makeCertificate(signer, identity, publicKey, { ...validity, to }));
    createFile(join(this.folder, 'issued', `${certificate.serialNumber}.pem`), certificate.toString());
    return { identity, certificate, revokedAt: undefined, state: 'valid' };
  }

  /** Issues another certificate for the same holder and the same key. */
  renew({ identity, certificate }: Issued, lifetimeMs: number): Issued {
    return this.issue(identity, certificate.publicKey, lifetimeMs);
  }

  /** @returns All certificates that were issued, the newest first. @throws {AuthorityError} `authority_broken`. */
  list(): Issued[] {
    const revocations = new Map(this.#revocations().flatMap(([, list]) => list.map(({ serial, at }) => [serial, at])));
    const now = this.#now();
    return readdirSync(join(this.folder, 'issued'))
      .filter((name) => name.endsWith('.pem'))
      .map((name): Issued => {
        const [certificate] = certificatesIn(read(this.folder, join('issued', name)));
        const identity = certificate && identityOf(certificate);
        if (certificate === undefined || identity === undefined) {
          throw broken(this.folder, `issued/${name} is not the certificate of a node`);
        }
        const revokedAt = revocations.get(certificate.serialNumber);
        return { identity, certificate, revokedAt, state: this.#stateOf(certificate, revokedAt, now) };
      })
      .sort((a, b) => b.certificate.validFromDate.getTime() - a.certificate.validFromDate.getTime());
  }

  /**
   * Revokes the certificates of a node, or one by its serial number.
   *
   * @returns Those that were not revoked before.
   * @throws {AuthorityError} `authority_unknown`.
   */
  revoke(nameOrSerial: string): Issued[] {
    const found = this.list().filter(
      ({ identity: { name }, certificate: { serialNumber } }) =>
        name === nameOrSerial || serialNumber === nameOrSerial.toUpperCase(),
    );
    if (found.length === 0) {
      const fix = '`seawall ca list FOLDER` shows names and serial numbers.';
      throw new AuthorityError('authority_unknown', `no certificate of ${nameOrSerial} was issued here`, fix);
    }
    const revoked = found.filter(({ state }) => state === 'valid');
    if (revoked.length > 0) this.writeRevocations(revoked.map(({ certificate }) => certificate));
    return revoked;
  }

  /** Adds an authority that signs from now on; those before it stay trusted until they are retired. */
  renewAuthority(lifetimeMs: number): X509Certificate {
    const number =
      1 + Math.max(...this.certificates.map(({ subject }) => Number(/authority (\d+)$/m.exec(subject)?.[1])));
    const signer = newSigner(this.network, number, validityFrom(this.#now(), lifetimeMs));
    this.#replaceSigners([signer, ...this.#signers]);
    return signer.certificate;
  }

  /** Trusts only the authority that signs. @returns The certificates of the others. */
  retireAuthorities(): readonly X509Certificate[] {
    const [first, ...others] = this.#signers;
    if (others.length > 0) this.#replaceSigners([first]);
    return others.map(({ certificate }) => certificate);
  }

  /** Writes the revocation lists, with these certificates added. */
  writeRevocations(added: readonly X509Certificate[] = []): void {
    const now = this.#now();
    const lists = this.#revocations().map(([signer, before]) => {
      const own = added.filter((certificate) => certificate.verify(signer.certificate.publicKey));
      const more = own.map(({ serialNumber }): Revocation => ({ serial: serialNumber, at: now }));
      return makeRevocationList(signer, [...before, ...more], now);
    });
    replaceFile(join(this.folder, 'revoked.pem'), lists.join(''));
  }

  /** Keys first: a certificate without its key would be a broken folder, a key too many is not. */
  #replaceSigners(signers: Signers): void {
    const write = (name: string, texts: readonly string[], isPrivate: boolean): void =>
      replaceFile(join(this.folder, name), texts.join(''), { isPrivate });
    const known = [...new Set([...signers, ...this.#signers])];
    write(
      'ca.key',
      known.map(({ key }) => privatePem(key)),
      true,
    );
    write(
      'ca.pem',
      signers.map(({ certificate }) => certificate.toString()),
      false,
    );
    write(
      'ca.key',
      signers.map(({ key }) => privatePem(key)),
      true,
    );
    this.#signers = signers;
    this.writeRevocations();
  }

  #revocations(): (readonly [Signer, readonly Revocation[]])[] {
    const file = join(this.folder, 'revoked.pem');
    const text = existsSync(file) ? readFileSync(file, 'latin1') : undefined;
    try {
      const lists = text === undefined ? [] : readRevocationLists(text, this.certificates);
      return this.#signers.map((signer) => [
        signer,
        lists.filter(({ issuer }) => issuer === signer.certificate).flatMap(({ revocations }) => revocations),
      ]);
    } catch (error) {
      throw broken(this.folder, `revoked.pem cannot be used: ${(error as Error).message}`);
    }
  }

  #stateOf(certificate: X509Certificate, revokedAt: Date | undefined, now: Date): CertificateState {
    if (revokedAt !== undefined) return 'revoked';
    if (!this.certificates.some(({ publicKey }) => certificate.verify(publicKey))) return 'untrusted';
    return certificate.validToDate < now ? 'expired' : 'valid';
  }
}

/** @returns A private key for a certificate, of the kind that handshakes are cheapest with. */
export function makeKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

export function privatePem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string;
}

/** @returns The certificates of a PEM file, in order. @throws The system's error for one that is none. */
export function certificatesIn(text: string): X509Certificate[] {
  return pemBlocks('CERTIFICATE', text).map((pem) => new X509Certificate(pem));
}

export function daysMs(days: number): number {
  return days * DAY_MS;
}

function newSigner(network: string, number: number, validity: { from: Date; to: Date }): Signer {
  const key = makeKey();
  return { key, certificate: new X509Certificate(makeAuthority(network, number, key, validity)) };
}

function validityFrom(now: Date, lifetimeMs: number): { from: Date; to: Date } {
  return { from: new Date(now.getTime() - BACKDATED_MS), to: new Date(now.getTime() + lifetimeMs) };
}

function checkName(what: string, name: string): void {
  if (NAME.test(name)) return;
  const fix = 'Use up to 63 lower-case letters, digits and hyphens, as in region files.';
  throw new AuthorityError('authority_name', `${JSON.stringify(name)} cannot be a ${what}`, fix);
}

function read(folder: string, name: string): string {
  try {
    return readFileSync(join(folder, name), 'latin1');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') throw broken(folder, `${name} cannot be read (${code})`);
    const fix = 'Name the folder that `seawall ca init` has made, or make one with it.';
    throw new AuthorityError('authority_missing', `${folder} has no ${name}`, fix);
  }
}

function broken(folder: string, what: string): AuthorityError {
  return new AuthorityError('authority_broken', `${folder}: ${what}`, 'Restore the folder from a backup.');
}
