/**
 * Signed notes (c2sp.org/signed-note) with Ed25519 keys.
 *
 * A public key is written as in golang.org/x/mod/sumdb/note, which other tools read: `NAME+ID+KEY`, the id in eight
 * hexadecimal digits, the key in base64 after a byte 1 for Ed25519.
 * @module
 */
import { createPublicKey, hash, type KeyObject, sign, verify } from 'node:crypto';

/** Signature type of Ed25519 (c2sp.org/signed-note, "Signature types"). */
const ED25519 = 1;
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const ID_BYTES = 4;
/** Bound of a note, whatever signs it: the text of a checkpoint is shorter than 1 KiB. */
const MAX_NOTE_LENGTH = 100_000;
const NAME = /^[^\s+]{1,200}$/u;
const SIGNATURE_LINE = /^— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/u;
/** Header of a public key of Ed25519 in SPKI (RFC 8410, section 4). */
const SPKI = Buffer.from('302a300506032b6570032100', 'hex');

export interface Verifier {
  readonly name: string;
  /** In eight hexadecimal digits. */
  readonly id: string;
  /** `NAME+ID+KEY` */
  readonly text: string;
  verifies(text: string, signature: Uint8Array): boolean;
}

export interface Signer extends Verifier {
  /** @param text - Ends with a line feed. @returns The note: the text and a signature. */
  sign(text: string): string;
}

export interface Note {
  readonly text: string;
  readonly signatures: readonly { readonly name: string; readonly id: string; readonly signature: Buffer }[];
}

/** @param privateKey - Of Ed25519. @throws {RangeError} as `verifierOf`. */
export function signerOf(name: string, privateKey: KeyObject): Signer {
  const verifier = verifierOf(name, createPublicKey(privateKey));
  return {
    ...verifier,
    sign(text) {
      const signature = Buffer.concat([Buffer.from(verifier.id, 'hex'), sign(null, Buffer.from(text), privateKey)]);
      return `${text}\n— ${name} ${signature.toString('base64')}\n`;
    },
  };
}

/** @throws {RangeError} when the name cannot be one of a key, or the key is not of Ed25519. */
export function verifierOf(name: string, publicKey: KeyObject): Verifier {
  if (!NAME.test(name)) throw new RangeError(`${JSON.stringify(name)} cannot be the name of a key`);
  if (publicKey.asymmetricKeyType !== 'ed25519') throw new RangeError('it is not a key of Ed25519');
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(SPKI.length);
  const encoded = Buffer.concat([Buffer.from([ED25519]), raw]);
  const id = hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), encoded]), 'buffer').toString('hex', 0, ID_BYTES);
  return {
    name,
    id,
    text: `${name}+${id}+${encoded.toString('base64')}`,
    verifies: (text, signature) => verify(null, Buffer.from(text), publicKey, signature),
  };
}

/** @returns The public key; undefined if the text is none, or not of Ed25519. */
export function parseVerifier(text: string): Verifier | undefined {
  const [name = '', id = '', ...rest] = text.split('+'); // base64 has a + of its own
  const encoded = Buffer.from(rest.join('+'), 'base64');
  if (!NAME.test(name) || encoded.length !== 1 + KEY_BYTES || encoded[0] !== ED25519) return undefined;
  const key = createPublicKey({ key: Buffer.concat([SPKI, encoded.subarray(1)]), format: 'der', type: 'spki' });
  const verifier = verifierOf(name, key);
  return verifier.id === id ? verifier : undefined;
}

/** @returns Text and signatures, none of them verified; undefined if it is no note. */
export function parseNote(note: string): Note | undefined {
  if (note.length > MAX_NOTE_LENGTH || hasControlCharacter(note) || !note.endsWith('\n')) return undefined;
  const end = note.lastIndexOf('\n\n');
  if (end < 0) return undefined;
  const signatures = [];
  for (const line of note.slice(end + 2, -1).split('\n')) {
    const [, name, base64] = SIGNATURE_LINE.exec(line) ?? [];
    if (name === undefined || base64 === undefined) return undefined;
    const bytes = Buffer.from(base64, 'base64');
    if (bytes.length <= ID_BYTES) return undefined;
    signatures.push({ name, id: bytes.toString('hex', 0, ID_BYTES), signature: bytes.subarray(ID_BYTES) });
  }
  return { text: note.slice(0, end + 1), signatures };
}

/** Result of {@link openNote}; `ids` are the keys that have signed, `NAME+ID`. */
export type Opened =
  | { readonly text: string; readonly signers: readonly Verifier[] }
  | { readonly problem: 'malformed' | 'unknown key' | 'wrong signature'; readonly ids: readonly string[] };

/**
 * Opens a note (c2sp.org/signed-note, "Signatures"): "Verifiers MUST ignore signatures from unknown keys. If a
 * signature from a known key fails to verify, clients SHOULD reject the whole note. If no signature from a known key
 * verifies successfully, clients MUST reject the note."
 */
export function openNote(note: string, known: readonly Verifier[]): Opened {
  const parsed = parseNote(note);
  if (parsed === undefined) return { problem: 'malformed', ids: [] };
  const { text, signatures } = parsed;
  const ids = signatures.map(({ name, id }) => `${name}+${id}`);
  const signers: Verifier[] = [];
  for (const { name, id, signature } of signatures) {
    const verifier = known.find((one) => one.name === name && one.id === id);
    if (verifier === undefined) continue;
    if (signature.length !== SIGNATURE_BYTES || !verifier.verifies(text, signature)) {
      return { problem: 'wrong signature', ids };
    }
    signers.push(verifier);
  }
  return signers.length === 0 ? { problem: 'unknown key', ids } : { text, signers };
}

/** Other than a line feed. */
function hasControlCharacter(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code < 0x20 && code !== 0x0a) return true;
  }
  return false;
}
