/**
 * Verification of an audit log: entries against their links, links against the head, the head against its signed
 * checkpoint, and all of it against checkpoints that were kept elsewhere.
 *
 * A checkpoint with a good signature proves every entry before it, whatever else was written anew. So the first entry
 * that is not as it was is looked for after the last good checkpoint, and not after the first broken link.
 * @module
 */
import { type Checkpoint, parseCheckpoint } from './checkpoint.ts';
import { AuditChain, type AuditHead, type AuditState, linkAfter, type SealedEntry } from './log.ts';
import { openNote, type Verifier } from './note.ts';

/** Meanings of the findings; the codes are those that `seawall audit verify` prints. */
export const AUDIT_FINDINGS = {
  audit_changed: 'An entry is not what it was when it was written.',
  audit_removed: 'Entries are missing.',
  audit_reordered: 'Entries stand in the place of others.',
  audit_added: 'There are entries beyond those that the log knows of.',
  audit_head_changed: 'The summary of the log, from which it goes on, does not fit its entries.',
  audit_forged: 'Entries were written anew, by a writer that has none of the known keys.',
  audit_rewritten: 'Entries were written anew and signed with a known key: a checkpoint kept elsewhere is of others.',
  audit_rolled_back:
    'The log has fewer entries than a checkpoint kept elsewhere: it was cut off, or its store was restored from an ' +
    'older copy.',
  audit_unsigned: 'Entries have no signed checkpoint.',
  audit_unknown_key: 'The checkpoint is signed by keys that are not among the known ones.',
  audit_bad_signature: 'The signature of the checkpoint is wrong.',
  audit_bad_checkpoint: 'The checkpoint is none, or of another log.',
  audit_forgotten:
    'A checkpoint kept elsewhere is older than the oldest entry that is kept: the two cannot be compared. Keep a newer ' +
    'one.',
} as const satisfies Readonly<Record<string, string>>;

export type AuditFindingCode = keyof typeof AUDIT_FINDINGS;

export interface Finding {
  readonly code: AuditFindingCode;
  /** Index of the first entry that it concerns. */
  readonly first: number;
  /** Index of the last one that may be the first: more than `first` where the log cannot tell. */
  readonly last: number;
  readonly detail?: string;
}

export interface AuditSource {
  readonly start: AuditState;
  /** Reads the entries, oldest first; may be called again. */
  entries(): AsyncIterable<readonly SealedEntry[]> | Iterable<readonly SealedEntry[]>;
  /** Returns the head that the entries lead to; called when they have been read. */
  head(): AuditHead;
}

export interface VerifyOptions {
  /** Public keys of the control nodes. */
  readonly known: readonly Verifier[];
  /** Checkpoints that were kept elsewhere, as signed notes. */
  readonly pinned?: readonly string[];
}

export interface Verified {
  /** Indices of the entries: from `first` to below `size`. */
  readonly first: number;
  readonly size: number;
  readonly root: Buffer;
  /** Keys that have signed the newest checkpoint. */
  readonly signers: readonly Verifier[];
  /** Sizes of the pinned checkpoints that fit. */
  readonly pinned: readonly number[];
  /** The first thing that is not as it was; undefined: all is. */
  readonly finding: Finding | undefined;
}

export async function verifyAudit(source: AuditSource, options: VerifyOptions): Promise<Verified> {
  const { start } = source;
  const pins = (options.pinned ?? []).map((note) => opened(note, options.known));
  const chain = new AuditChain(start);
  const wanted = new Set(pins.flatMap((pin) => ('size' in pin ? [pin.size] : [])));
  const roots = new Map<number, Buffer>();
  const noteRoot = (): void => {
    if (wanted.has(chain.size)) roots.set(chain.size, chain.root);
  };
  noteRoot();
  const broken = await followLinks(source, chain, noteRoot);
  const head = source.head();
  const signed = head.checkpoint === undefined ? undefined : opened(head.checkpoint, options.known);
  const state = { source, head, known: options.known, signed };
  const finding =
    (broken && (broken.first < head.size ? await earliest(state, broken) : added(head.size))) ??
    sizeFinding(chain, head) ??
    headFinding(chain, head) ??
    (await signatureFinding(state, chain)) ??
    pinFinding(pins, roots, start, head);
  return {
    first: start.size,
    size: head.size,
    root: chain.root,
    signers: signed !== undefined && 'signers' in signed ? signed.signers : [],
    pinned: finding === undefined ? [...wanted] : [],
    finding,
  };
}

/** Reads all entries. @returns The first one whose link is broken, or that is missing. */
async function followLinks(source: AuditSource, chain: AuditChain, pushed: () => void): Promise<Finding | undefined> {
  let finding: Finding | undefined;
  let broken: { readonly before: Buffer; readonly entry: SealedEntry } | undefined;
  for await (const entries of source.entries()) {
    for (const entry of entries) {
      const { index, text, link } = entry;
      const expected = chain.size;
      if (finding === undefined) {
        const before = chain.link;
        if (index > expected) {
          finding = { code: 'audit_removed', first: expected, last: expected, detail: `${index} follows` };
        } else if (index < expected || !chain.push(text).equals(link)) {
          finding = { code: 'audit_changed', first: index, last: index };
          broken = { before, entry };
        } else pushed();
      } else if (broken !== undefined && belongsAt(broken.before, entry, broken.entry)) {
        finding = { ...finding, code: 'audit_reordered', detail: `with ${index}` };
        broken = undefined;
      }
    }
  }
  return finding;
}

function sizeFinding(chain: AuditChain, { size }: AuditHead): Finding | undefined {
  if (chain.size < size) return { code: 'audit_removed', first: chain.size, last: chain.size };
  return chain.size > size ? added(size) : undefined;
}

function added(size: number): Finding {
  return { code: 'audit_added', first: size, last: size };
}

/** Returns whether the text is the one that stood in the place of the broken entry. */
function belongsAt(before: Buffer, { text, link }: SealedEntry, broken: SealedEntry): boolean {
  const there = linkAfter(before, text);
  return there.equals(link) || there.equals(broken.link);
}

function headFinding(chain: AuditChain, head: AuditHead): Finding | undefined {
  const { link, hashes } = chain.state;
  const fits = link.equals(head.link) && hashes.every((hash, index) => hash.equals(head.hashes[index] as Buffer));
  return fits ? undefined : { code: 'audit_head_changed', first: head.size, last: head.size };
}

interface State {
  readonly source: AuditSource;
  readonly head: AuditHead;
  readonly known: readonly Verifier[];
  readonly signed: Signed | Finding | undefined;
}

async function signatureFinding(state: State, chain: AuditChain): Promise<Finding | undefined> {
  const { start } = state.source;
  const { head, signed } = state;
  if (signed === undefined) return head.size === start.size ? undefined : unsigned(start.size, head.size);
  if (!('root' in signed)) return signed;
  if (signed.size < head.size) return unsigned(signed.size, head.size);
  if (signed.size === head.size && signed.root.equals(chain.root)) return undefined;
  return earliest(state, { code: 'audit_forged', first: start.size, last: head.size - 1 });
}

function unsigned(first: number, size: number): Finding {
  return { code: 'audit_unsigned', first, last: first, detail: `${size - first} entries` };
}

/** Narrows a finding down by the checkpoints that are stored with the entries. */
async function earliest(state: State, finding: Finding): Promise<Finding> {
  const { source, known } = state;
  const checkpoints: { readonly size: number; readonly root: Buffer; readonly note: string }[] = [];
  const chain = new AuditChain(source.start);
  reading: for await (const entries of source.entries()) {
    for (const { index, text, checkpoint } of entries) {
      if (index !== chain.size || index > finding.last) break reading;
      chain.push(text);
      if (checkpoint !== undefined) checkpoints.push({ size: chain.size, root: chain.root, note: checkpoint });
    }
  }
  const isGood = ({ size, root, note }: (typeof checkpoints)[number]): boolean => {
    const signed = opened(note, known);
    return 'root' in signed && signed.size === size && signed.root.equals(root);
  };
  // After an entry that is not as it was no checkpoint is good.
  let [good, bad] = [-1, checkpoints.length];
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    if (isGood(checkpoints[middle] as (typeof checkpoints)[number])) good = middle;
    else bad = middle;
  }
  const first = checkpoints[good]?.size ?? source.start.size;
  const last = (checkpoints[bad]?.size ?? Number.POSITIVE_INFINITY) - 1;
  if (finding.code === 'audit_forged') return { ...finding, first, last: Math.min(last, finding.last) };
  // Links up to the broken one were written anew, too.
  return last < finding.first ? { code: 'audit_forged', first, last } : finding;
}

function pinFinding(
  pins: readonly (Signed | Finding)[],
  roots: ReadonlyMap<number, Buffer>,
  start: AuditState,
  head: AuditHead,
): Finding | undefined {
  let proven = start.size;
  for (const pin of pins.toSorted(bySize)) {
    if (!('root' in pin)) return { ...pin, detail: `the checkpoint kept elsewhere: ${pin.detail}` };
    const { size, root } = pin;
    if (size < start.size) return { code: 'audit_forgotten', first: size, last: size };
    if (size > head.size) {
      return { code: 'audit_rolled_back', first: head.size, last: head.size, detail: `${size} entries were there` };
    }
    if (!roots.get(size)?.equals(root))
      return { code: 'audit_rewritten', first: proven, last: Math.max(proven, size - 1) };
    proven = size;
  }
  return undefined;
}

function bySize(one: Signed | Finding, other: Signed | Finding): number {
  return ('size' in one ? one.size : -1) - ('size' in other ? other.size : -1);
}

interface Signed extends Checkpoint {
  readonly signers: readonly Verifier[];
}

/** @returns The checkpoint, or the reason why it is none of this log. */
function opened(note: string, known: readonly Verifier[]): Signed | Finding {
  const failed = (code: AuditFindingCode, detail: string): Finding => ({ code, first: 0, last: 0, detail });
  const result = openNote(note, known);
  if ('problem' in result) {
    const { problem, ids } = result;
    const code = (
      {
        malformed: 'audit_bad_checkpoint',
        'unknown key': 'audit_unknown_key',
        'wrong signature': 'audit_bad_signature',
      } as const
    )[problem];
    return failed(code, ids.length === 0 ? 'it is no signed note' : `signed by ${ids.join(', ')}`);
  }
  const checkpoint = parseCheckpoint(result.text);
  if (checkpoint === undefined) return failed('audit_bad_checkpoint', 'its text is no checkpoint');
  if (!result.signers.some(({ name }) => name === checkpoint.origin)) {
    return failed('audit_bad_checkpoint', `it is of the log ${checkpoint.origin}`);
  }
  return { ...checkpoint, signers: result.signers };
}
