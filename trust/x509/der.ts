/**
 * Parts of X.509 structures (RFC 5280) that certificates, requests and revocation lists have in common, written and
 * read with `asn1js`.
 * @module
 */
import { type KeyObject, sign } from 'node:crypto';
import * as asn1 from 'asn1js';

export type Block = asn1.BaseBlock;

export const OID = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  authorityKeyIdentifier: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  /** ECDSA with SHA-256 (RFC 5758, section 3.2). */
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
} as const;

/** Digest of all signatures made here. */
export const DIGEST = 'sha256';

export function sequence(...value: readonly Block[]): Block {
  return new asn1.Sequence({ value: [...value] });
}

export function set(...value: readonly Block[]): Block {
  return new asn1.Set({ value: [...value] });
}

export function oid(value: string): Block {
  return new asn1.ObjectIdentifier({ value });
}

/** @param value - Bytes are those of a number that is not negative. */
export function integer(value: number | Uint8Array): Block {
  if (typeof value === 'number') return new asn1.Integer({ value });
  const isNegative = ((value[0] ?? 0) & 0x80) !== 0;
  return new asn1.Integer({ valueHex: isNegative ? Buffer.concat([Buffer.of(0), value]) : value });
}

export function boolean(value: boolean): Block {
  return new asn1.Boolean({ value });
}

export function octets(valueHex: Uint8Array): Block {
  return new asn1.OctetString({ valueHex });
}

export function bits(valueHex: Uint8Array, unusedBits = 0): Block {
  return new asn1.BitString({ valueHex, unusedBits });
}

/** Constructed element of a context-specific tag: `[N] EXPLICIT`. */
export function tagged(tagNumber: number, ...value: readonly Block[]): Block {
  return new asn1.Constructed({ idBlock: { tagClass: 3, tagNumber }, value: [...value] });
}

/** Primitive element of a context-specific tag: `[N] IMPLICIT`. */
export function taggedBytes(tagNumber: number, valueHex: Uint8Array): Block {
  return new asn1.Primitive({ idBlock: { tagClass: 3, tagNumber }, valueHex });
}

/** Time in the form that RFC 5280 (section 4.1.2.5) asks for: UTCTime through 2049, GeneralizedTime after it. */
export function time(at: Date): Block {
  const valueDate = new Date(Math.floor(at.getTime() / 1_000) * 1_000);
  return valueDate.getUTCFullYear() < 2050 ? new asn1.UTCTime({ valueDate }) : new asn1.GeneralizedTime({ valueDate });
}

/** Distinguished name of an organization and a common name. */
export function distinguishedName(organization: string, commonName: string): Block {
  const attribute = (type: string, value: string): Block => set(sequence(oid(type), new asn1.Utf8String({ value })));
  return sequence(attribute(OID.organization, organization), attribute(OID.commonName, commonName));
}

/** @returns Organization and common name of a distinguished name, where it has them once. */
export function namesOf(block: Block | undefined): {
  organization: string | undefined;
  commonName: string | undefined;
} {
  const attributes = elementsOf(block).flatMap((relative) => elementsOf(relative).map((one) => elementsOf(one)));
  const only = (type: string): string | undefined => {
    const [found, ...others] = attributes.filter(([id]) => id?.valueBlock.toString() === type);
    return found === undefined || others.length > 0 ? undefined : textOf(found[1]);
  };
  return { organization: only(OID.organization), commonName: only(OID.commonName) };
}

function textOf(block: Block | undefined): string {
  const { value } = (block?.valueBlock ?? {}) as { value?: unknown };
  if (typeof value !== 'string') throw new SyntaxError('a name is no text');
  return value;
}

/** One extension (RFC 5280, section 4.1.2.9). */
export function extension(id: string, isCritical: boolean, value: Block): Block {
  return sequence(oid(id), ...(isCritical ? [boolean(true)] : []), octets(toDer(value)));
}

export function toDer(block: Block): Buffer {
  return Buffer.from(block.toBER());
}

/** @throws {SyntaxError} unless it is one element and nothing behind it. */
export function fromDer(bytes: Uint8Array): Block {
  const { offset, result } = asn1.fromBER(bytes);
  if (offset !== bytes.length) throw new SyntaxError('not a structure of ASN.1');
  return result;
}

/** @throws {SyntaxError} unless it is a constructed element. @returns Its elements. */
export function elementsOf(block: Block | undefined): readonly Block[] {
  if (!(block instanceof asn1.Constructed)) throw new SyntaxError('not the structure that is expected');
  return block.valueBlock.value;
}

/** Bytes of an element as they were read. */
export function bytesOf(block: Block | undefined): Uint8Array {
  if (block === undefined) throw new SyntaxError('an element is missing');
  return block.valueBeforeDecodeView;
}

/** @throws {SyntaxError} unless it is a time. */
export function dateOf(block: Block | undefined): Date {
  if (block instanceof asn1.UTCTime) return block.toDate();
  throw new SyntaxError('not a time');
}

/** @returns An INTEGER in the form of Node's `serialNumber`. @throws {SyntaxError} unless it is one. */
export function serialOf(block: Block | undefined): string {
  if (!(block instanceof asn1.Integer)) throw new SyntaxError('not a serial number');
  const digits = Buffer.from(block.valueBlock.valueHexView)
    .toString('hex')
    .toUpperCase()
    .replace(/^(?:00)+/, '');
  return digits === '' ? '00' : digits;
}

/** @throws {SyntaxError} unless it is a BIT STRING of whole bytes. */
export function bitsOf(block: Block | undefined): Uint8Array {
  if (!(block instanceof asn1.BitString) || block.valueBlock.unusedBits !== 0) throw new SyntaxError('not a signature');
  return block.valueBlock.valueHexView;
}

/** Signed content, its algorithm and the signature: a certificate, a request, or a revocation list. */
export function signed(content: Block, key: KeyObject): Buffer {
  return toDer(sequence(content, SIGNATURE_ALGORITHM, bits(sign(DIGEST, toDer(content), key))));
}

export const SIGNATURE_ALGORITHM: Block = sequence(oid(OID.ecdsaWithSha256));

/** @returns A block of PEM (RFC 7468). */
export function toPem(label: string, bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** @returns The contents of all blocks with this label, in order. */
export function fromPem(label: string, text: string): Buffer[] {
  const block = new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]*)-----END ${label}-----`, 'g');
  return [...text.matchAll(block)].map(([, base64 = '']) => Buffer.from(base64, 'base64'));
}

/** @returns All blocks with this label, as they are. */
export function pemBlocks(label: string, text: string): string[] {
  return fromPem(label, text).map((bytes) => toPem(label, bytes));
}
