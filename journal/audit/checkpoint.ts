/**
 * Checkpoints of a log (c2sp.org/tlog-checkpoint): its origin, its size and the root of its tree, as text of a note.
 * @module
 */
import { parseNote } from './note.ts';
import { HASH_BYTES } from './tree.ts';

export interface Checkpoint {
  /** Identity of the log. */
  readonly origin: string;
  /** Number of entries. */
  readonly size: number;
  readonly root: Buffer;
}

const SIZE = /^(?:0|[1-9]\d{0,15})$/;
const ROOT = /^[A-Za-z0-9+/]{43}=$/;

export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${root.toString('base64')}\n`;
}

/** @param text - Of a note. @returns undefined if it is no checkpoint; extension lines are passed over. */
export function parseCheckpoint(text: string): Checkpoint | undefined {
  if (!text.endsWith('\n')) return undefined;
  const [origin, size, root, ...extensions] = text.slice(0, -1).split('\n');
  if (!origin || size === undefined || !SIZE.test(size) || root === undefined || !ROOT.test(root)) return undefined;
  if (extensions.includes('')) return undefined;
  const hash = Buffer.from(root, 'base64');
  if (hash.length !== HASH_BYTES || hash.toString('base64') !== root) return undefined;
  const count = Number(size);
  return Number.isSafeInteger(count) ? { origin, size: count, root: hash } : undefined;
}

/** @returns The size in a signed checkpoint, whose signature is not verified. */
export function checkpointSize(note: string | undefined): number | undefined {
  const text = note === undefined ? undefined : parseNote(note)?.text;
  return text === undefined ? undefined : parseCheckpoint(text)?.size;
}
