/**
 * The audit log as a record that cannot be rewritten unseen.
 *
 * Entries are numbered from 0. Each has a link of a *hash chain*, which contains all entries before it, and the log has
 * a Merkle tree (tree.ts), whose root is signed with each transaction (checkpoint.ts, note.ts):
 *
 *     link    SHA-256(0x02 || link before || hash of the leaf); before the first entry 32 zero bytes
 *     leaf    the entry as it is stored, JSON in UTF-8
 *
 * A link tells which entry was changed, removed or moved by a writer that did not recompute those after it; a
 * checkpoint tells it of one that did, but has no key; a checkpoint that is kept elsewhere, of one that has the key.
 *
 * The oldest entries are forgotten from the front. What stays begins with the *start*: the link and the hashes of the
 * tree before the first entry that is kept. It needs no signature of its own, as each root depends on it.
 * @module
 */
import { hash } from 'node:crypto';
import { JournalError } from '../errors.ts';
import { type Frontier, frontierLength, GrowingTree, HASH_BYTES, leafHash } from './tree.ts';

/** The log up to an entry. */
export interface AuditState extends Frontier {
  /** Link of the last entry. */
  readonly link: Buffer;
}

/** The log up to its newest entry. */
export interface AuditHead extends AuditState {
  /** Newest signed checkpoint; it is of this size where the last transaction was signed. */
  readonly checkpoint: string | undefined;
}

/** An entry as it is stored. */
export interface SealedEntry {
  readonly index: number;
  /** JSON. */
  readonly text: string;
  readonly link: Buffer;
  /** Signed checkpoint after this entry: at the last one of a transaction. */
  readonly checkpoint: string | undefined;
}

const LINK = Buffer.from([2]);

/** Bound of what an entry takes beside its text: link and checkpoint. */
export const MAX_SEALED_BYTES = 1_024;

const NO_LINK: Buffer = Buffer.alloc(HASH_BYTES);
export const EMPTY_LOG: AuditHead = { size: 0, hashes: [], link: NO_LINK, checkpoint: undefined };

/** Goes through entries in order. */
export class AuditChain {
  readonly #tree: GrowingTree;
  #link: Buffer;

  constructor(state: AuditState) {
    this.#tree = new GrowingTree(state);
    this.#link = state.link;
  }

  get size(): number {
    return this.#tree.size;
  }

  get root(): Buffer {
    return this.#tree.root;
  }

  /** Link of the last entry. */
  get link(): Buffer {
    return this.#link;
  }

  get state(): AuditState {
    return { ...this.#tree.frontier, link: this.#link };
  }

  /** @returns Its link. */
  push(text: string): Buffer {
    return this.#pushLeaf(leafHash(text));
  }

  /** Takes a leaf of zeros for an entry that is missing. */
  skip(): void {
    this.#pushLeaf(NO_LINK);
  }

  #pushLeaf(leaf: Buffer): Buffer {
    this.#tree.push(leaf);
    this.#link = linkOf(this.#link, leaf);
    return this.#link;
  }
}

/** @returns The link of an entry that comes after one with this link. */
export function linkAfter(before: Buffer, text: string): Buffer {
  return linkOf(before, leafHash(text));
}

function linkOf(before: Buffer, leaf: Buffer): Buffer {
  return hash('sha256', Buffer.concat([LINK, before, leaf]), 'buffer');
}

/** Entries of one transaction, and the log with them. */
export interface Sealed {
  readonly entries: readonly SealedEntry[];
  readonly head: AuditHead;
}

/** Numbers and links for entries that are written in one transaction. */
export function link(head: AuditHead, texts: readonly string[]): Sealed {
  const chain = new AuditChain(head);
  const entries = texts.map((text): SealedEntry => {
    return { index: chain.size, text, link: chain.push(text), checkpoint: undefined };
  });
  return { entries, head: { ...chain.state, checkpoint: head.checkpoint } };
}

/**
 * Forgets entries from the front.
 *
 * @param entries - The next ones that are stored. One that is missing counts as a leaf of zeros: the root does not come
 *   out then, as it must not.
 * @returns The start of what is left.
 */
export function pruned(start: AuditState, entries: readonly SealedEntry[]): AuditState {
  const chain = new AuditChain(start);
  for (const { index, text } of entries) {
    while (chain.size < index) chain.skip();
    if (chain.size === index) chain.push(text);
  }
  return chain.state;
}

/** @returns What JSON holds. */
export function encodeState({ size, hashes, link }: AuditState): Readonly<Record<string, unknown>> {
  return { size, link: link.toString('base64'), hashes: hashes.map((one) => one.toString('base64')) };
}

/** @returns What JSON holds. */
export function encodeHead(head: AuditHead): Readonly<Record<string, unknown>> {
  return { ...encodeState(head), checkpoint: head.checkpoint ?? null };
}

/** @throws {JournalError} `journal_corrupt` */
export function decodeState(value: unknown): AuditState {
  const { size, link, hashes } = (value ?? {}) as Readonly<Record<string, unknown>>;
  if (!Number.isSafeInteger(size) || (size as number) < 0 || !Array.isArray(hashes)) throw corrupt('size');
  if (hashes.length !== frontierLength(size as number)) throw corrupt('hashes');
  return { size: size as number, link: decodeHash(link), hashes: hashes.map(decodeHash) };
}

/** @throws {JournalError} `journal_corrupt` */
export function decodeHead(value: unknown): AuditHead {
  const { checkpoint } = (value ?? {}) as Readonly<Record<string, unknown>>;
  if (checkpoint !== null && typeof checkpoint !== 'string') throw corrupt('checkpoint');
  return { ...decodeState(value), checkpoint: checkpoint ?? undefined };
}

/** @throws {JournalError} `journal_corrupt` */
export function decodeHash(value: unknown): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'base64') : undefined;
  if (bytes?.length !== HASH_BYTES) throw corrupt('hash');
  return bytes;
}

function corrupt(what: string): JournalError {
  return new JournalError('journal_corrupt', `audit log: ${what}`);
}
