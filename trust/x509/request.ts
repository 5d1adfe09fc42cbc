/**
 * Certificate signing requests (PKCS #10, RFC 2986): how a public key gets to the authority while its private key stays
 * where it was made.
 * @module
 */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import {
  bitsOf,
  bytesOf,
  DIGEST,
  distinguishedName,
  elementsOf,
  fromDer,
  fromPem,
  integer,
  namesOf,
  sequence,
  signed,
  tagged,
  toPem,
} from './der.ts';

const LABEL = 'CERTIFICATE REQUEST';

/** @returns A request in PEM. @param name - Name of the node; what it may do is for the authority to say. */
export function makeRequest(network: string, name: string, privateKey: KeyObject): string {
  const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const content = sequence(integer(0), distinguishedName(network, name), fromDer(publicKey), tagged(0));
  return toPem(LABEL, signed(content, privateKey));
}

export interface CertificateRequest {
  /** Its owner has proved that it has the private one. */
  readonly publicKey: KeyObject;
  /** Name of the node. */
  readonly name: string | undefined;
  /** Absent in requests of other programs. */
  readonly network: string | undefined;
}

/** @throws {SyntaxError} for anything that is no request. */
export function readRequest(text: string): CertificateRequest {
  const [bytes, ...others] = fromPem(LABEL, text);
  if (bytes === undefined || others.length > 0) throw new SyntaxError('it is not one certificate request in PEM');
  const [content, , signature] = elementsOf(fromDer(bytes));
  const key = createPublicKey({ key: Buffer.from(bytesOf(elementsOf(content)[2])), format: 'der', type: 'spki' });
  if (key.asymmetricKeyType !== 'ec') throw new SyntaxError('its key is not one on an elliptic curve, such as P-256');
  if (!verify(DIGEST, bytesOf(content), key, bitsOf(signature))) throw new SyntaxError('its signature is wrong');
  const { commonName: name, organization: network } = namesOf(elementsOf(content)[1]);
  return { publicKey: key, name, network };
}
