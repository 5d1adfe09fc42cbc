/**
 * Signs the audit log, transaction by transaction.
 *
 * What a process signs goes on from what the store has. "A log MUST not sign any checkpoint which is inconsistent with
 * any checkpoint it previously signed" (c2sp.org/tlog-checkpoint): a head that does not fit the checkpoint that is
 * stored with it is not signed over, and the entries from there on have no checkpoint.
 * @module
 */
import { formatCheckpoint, parseCheckpoint } from './checkpoint.ts';
import { type AuditHead, link, type Sealed } from './log.ts';
import { openNote, parseNote, type Signer, type Verifier } from './note.ts';
import { rootOf } from './tree.ts';

export interface SealerOptions {
  /** Absent: the log has no checkpoints. */
  readonly signer?: Signer | undefined;
  /**
   * Public keys of the other processes that sign the log. Absent: a checkpoint of another key is compared with the log,
   * and its signature is not verified.
   */
  readonly known?: readonly Verifier[] | undefined;
}

export class Sealer {
  readonly #signer: Signer | undefined;
  readonly #known: readonly Verifier[] | undefined;
  /** Newest head that was found to fit, or written here. */
  #fitting: { readonly size: number; readonly root: Buffer } | undefined;
  /** False while the log cannot be signed over: it is not what was signed. */
  fits = true;

  constructor({ signer, known }: SealerOptions) {
    this.#signer = signer;
    this.#known = signer && known && [signer, ...known];
  }

  /** Numbers, links and a checkpoint for entries that are written in one transaction. */
  seal(head: AuditHead, texts: readonly string[]): Sealed {
    const sealed = link(head, texts);
    const last = sealed.entries.at(-1);
    if (this.#signer === undefined || last === undefined) return sealed;
    this.fits = this.#isFitting(head);
    if (!this.fits) return sealed;
    const { size } = sealed.head;
    const root = rootOf(sealed.head);
    const checkpoint = this.#signer.sign(formatCheckpoint({ origin: this.#signer.name, size, root }));
    this.#fitting = { size, root };
    return {
      entries: [...sealed.entries.slice(0, -1), { ...last, checkpoint }],
      head: { ...sealed.head, checkpoint },
    };
  }

  #isFitting(head: AuditHead): boolean {
    // Nothing was signed yet: the log is new, or from before it was signed.
    if (head.checkpoint === undefined) return true;
    const root = rootOf(head);
    if (this.#fitting?.size === head.size && this.#fitting.root.equals(root)) return true;
    const text = this.#textOf(head.checkpoint);
    const checkpoint = text === undefined ? undefined : parseCheckpoint(text);
    const { name } = this.#signer as Signer;
    return checkpoint?.origin === name && checkpoint.size === head.size && checkpoint.root.equals(root);
  }

  /** @returns The text of the note, if it may be trusted. */
  #textOf(note: string): string | undefined {
    if (this.#known === undefined) return parseNote(note)?.text;
    const opened = openNote(note, this.#known);
    return 'text' in opened ? opened.text : undefined;
  }
}
