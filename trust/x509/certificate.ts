/**
 * Certificates of nodes and of their authority (RFC 5280), ECDSA on P-256. Signing and keys are those of node:crypto.
 * @module
 */
import { createPublicKey, hash, type KeyObject, randomBytes, X509Certificate } from 'node:crypto';
import { formatIdentity, type NodeIdentity } from '../identity.ts';
import {
  type Block,
  bits,
  boolean,
  distinguishedName,
  elementsOf,
  extension,
  fromDer,
  integer,
  OID,
  octets,
  oid,
  SIGNATURE_ALGORITHM,
  sequence,
  signed,
  tagged,
  taggedBytes,
  time,
} from './der.ts';

/** Time span in which a certificate is valid. */
export interface Validity {
  readonly from: Date;
  readonly to: Date;
}

/** Authority that signs: its certificate and its private key. */
export interface Signer {
  readonly certificate: X509Certificate;
  readonly key: KeyObject;
}

const SERIAL_BYTES = 16;
const KEY_ID_BYTES = 20;

/** Bits of KeyUsage (RFC 5280, section 4.2.1.3), and how many of the last byte's bits are unused. */
const SIGNS_HANDSHAKES = bits(Buffer.from([0b1000_0000]), 7);
const SIGNS_CERTIFICATES = bits(Buffer.from([0b0000_0110]), 1);

/** @returns The certificate of an authority, signed by itself. @param number - Of the authorities of its network. */
export function makeAuthority(network: string, number: number, privateKey: KeyObject, validity: Validity): string {
  const name = distinguishedName(network, `authority ${number}`);
  const publicKey = createPublicKey(privateKey);
  const keyId = keyIdentifierOf(publicKey);
  return certificatePem(privateKey, {
    issuer: name,
    subject: name,
    publicKey,
    validity,
    extensions: [
      extension(OID.basicConstraints, true, sequence(boolean(true), integer(0))),
      extension(OID.keyUsage, true, SIGNS_CERTIFICATES),
      extension(OID.subjectKeyIdentifier, false, octets(keyId)),
      extension(OID.authorityKeyIdentifier, false, sequence(taggedBytes(0, keyId))),
      alternativeName(`seawall://${network}`),
    ],
  });
}

/** @returns The certificate of a node. */
export function makeCertificate(
  { certificate, key }: Signer,
  identity: NodeIdentity,
  publicKey: KeyObject,
  validity: Validity,
): string {
  return certificatePem(key, {
    issuer: subjectOf(certificate),
    subject: distinguishedName(identity.network, identity.name),
    publicKey,
    validity,
    extensions: [
      extension(OID.basicConstraints, true, sequence()),
      extension(OID.keyUsage, true, SIGNS_HANDSHAKES),
      extension(OID.extKeyUsage, false, sequence(oid(OID.serverAuth), oid(OID.clientAuth))),
      extension(OID.subjectKeyIdentifier, false, octets(keyIdentifierOf(publicKey))),
      authorityKeyIdentifier(certificate),
      alternativeName(formatIdentity(identity)),
    ],
  });
}

/** Extension that names the key of the authority. */
export function authorityKeyIdentifier({ publicKey }: X509Certificate): Block {
  return extension(OID.authorityKeyIdentifier, false, sequence(taggedBytes(0, keyIdentifierOf(publicKey))));
}

/** Distinguished name of a certificate's holder, as it stands there. */
export function subjectOf({ raw }: X509Certificate): Block {
  const [content] = elementsOf(fromDer(raw));
  return elementsOf(content)[5] as Block;
}

interface Content {
  readonly issuer: Block;
  readonly subject: Block;
  readonly publicKey: KeyObject;
  readonly validity: Validity;
  readonly extensions: readonly Block[];
}

function certificatePem(key: KeyObject, { issuer, subject, publicKey, validity, extensions }: Content): string {
  const content = sequence(
    tagged(0, integer(2)),
    integer(serialNumber()),
    SIGNATURE_ALGORITHM,
    issuer,
    sequence(time(validity.from), time(validity.to)),
    subject,
    fromDer(publicKey.export({ type: 'spki', format: 'der' })),
    tagged(3, sequence(...extensions)),
  );
  return new X509Certificate(signed(content, key)).toString();
}

/** Positive, and of the same length always. */
function serialNumber(): Buffer {
  const bytes = randomBytes(SERIAL_BYTES);
  bytes[0] = ((bytes[0] as number) & 0b0111_1111) | 0b0100_0000;
  return bytes;
}

/** The leftmost bits of a digest of the key (RFC 7093, section 2). */
function keyIdentifierOf(publicKey: KeyObject): Buffer {
  return hash('sha256', publicKey.export({ type: 'spki', format: 'der' }), 'buffer').subarray(0, KEY_ID_BYTES);
}

function alternativeName(uri: string): Block {
  const UNIFORM_RESOURCE_IDENTIFIER = 6;
  return extension(OID.subjectAltName, false, sequence(taggedBytes(UNIFORM_RESOURCE_IDENTIFIER, Buffer.from(uri))));
}
