/**
 * Certificate revocation lists (RFC 5280, section 5): the serial numbers that an authority does not stand for any more.
 * @module
 */
import { verify, type X509Certificate } from 'node:crypto';
import * as asn1 from 'asn1js';
import { authorityKeyIdentifier, type Signer, subjectOf } from './certificate.ts';
import {
  type Block,
  bitsOf,
  bytesOf,
  DIGEST,
  dateOf,
  elementsOf,
  extension,
  fromDer,
  fromPem,
  integer,
  OID,
  SIGNATURE_ALGORITHM,
  sequence,
  serialOf,
  signed,
  tagged,
  time,
  toPem,
} from './der.ts';

const LABEL = 'X509 CRL';

/** A certificate that is revoked. */
export interface Revocation {
  /** As Node gives it: hexadecimal, in capitals. */
  readonly serial: string;
  readonly at: Date;
}

export interface RevocationList {
  /** Authority that has signed it. */
  readonly issuer: X509Certificate;
  readonly revocations: readonly Revocation[];
}

/** @returns A list in PEM. The time that it names for the next one is the end of the authority. */
export function makeRevocationList(
  { certificate, key }: Signer,
  revocations: readonly Revocation[],
  now: Date,
): string {
  const entries = revocations.map(({ serial, at }) => sequence(integer(Buffer.from(serial, 'hex')), time(at)));
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(BigInt(now.getTime()));
  const content = sequence(
    integer(1),
    SIGNATURE_ALGORITHM,
    subjectOf(certificate),
    time(now),
    time(certificate.validToDate),
    ...(entries.length > 0 ? [sequence(...entries)] : []),
    tagged(
      0,
      sequence(
        authorityKeyIdentifier(certificate),
        extension(OID.crlNumber, false, integer(Buffer.from(number.subarray(number.findIndex((byte) => byte > 0))))),
      ),
    ),
  );
  return toPem(LABEL, signed(content, key));
}

/**
 * Reads the lists of a file.
 *
 * @param authorities - Lists of others are left out: they say nothing about certificates that are trusted.
 * @throws {SyntaxError} when something in it is no list, or is signed by none of them though its name is theirs.
 */
export function readRevocationLists(text: string, authorities: readonly X509Certificate[]): RevocationList[] {
  const blocks = fromPem(LABEL, text);
  if (blocks.length === 0) throw new SyntaxError(`it holds no BEGIN ${LABEL} block`);
  return blocks.flatMap((bytes) => {
    const [content, , signature] = elementsOf(fromDer(bytes));
    const [first, ...rest] = elementsOf(content);
    // The version stands first where there is one.
    const fields = first instanceof asn1.Integer ? rest : [first, ...rest];
    const name = Buffer.from(bytesOf(fields[1]));
    const ofName = authorities.filter((one) => name.equals(bytesOf(subjectOf(one))));
    if (ofName.length === 0) return [];
    const issuer = ofName.find((one) => verify(DIGEST, bytesOf(content), one.publicKey, bitsOf(signature)));
    if (issuer === undefined) throw new SyntaxError('the signature of a list is wrong');
    return [{ issuer, revocations: revocationsIn(fields.slice(3)) }];
  });
}

/** @param fields - What follows the time of the list. */
function revocationsIn(fields: readonly (Block | undefined)[]): Revocation[] {
  const list = fields.find((field) => field instanceof asn1.Sequence);
  if (list === undefined) return [];
  return elementsOf(list).map((entry) => {
    const [serial, at] = elementsOf(entry);
    return { serial: serialOf(serial), at: dateOf(at) };
  });
}
