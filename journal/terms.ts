/**
 * Makes the numbers of purges comparable.
 *
 * Numbers alone are not: a journal that is restored from an older copy assigns some of them again, to other purges. So
 * each opening of a journal is a *term* with a random identity of its own, and a position is a number together with the
 * term that assigned it (as in Raft, section 5.3: the log matching property). The *history* of a journal is the list of
 * terms that its numbers come from. Number 0 exists from the start and stands for no purge.
 *
 * A term has a single writer: every history that contains it agrees with that writer on every number up to where the
 * term ends in this history. So two histories that contain the same term agree up to the lower of its two ends,
 * whatever precedes it in either. Everything here follows from that.
 * @module
 */

/** One opening of the journal: it gave out the numbers above `after`, up to the `after` of the next term. */
export interface Term {
  readonly identity: string;
  readonly after: number;
}

/** A place in a journal: everything up to `seq`. */
export interface JournalPosition {
  /** Identity of the term that assigned `seq`; undefined: no journal yet. */
  readonly identity: string | undefined;
  readonly seq: number;
}

/**
 * @param terms - Oldest first. The first one also stands for those before it, which may be forgotten.
 * @returns Which of them gave out the number; undefined where there is none at all.
 */
export function identityOf(terms: readonly Term[], seq: number): string | undefined {
  return (terms.findLast(({ after }) => after < seq) ?? terms[0])?.identity;
}

/**
 * Returns whether a journal with these terms has the same purges up to this position as the journal that the position
 * comes from.
 *
 * @param newest - The highest number of the last term; `Infinity` where its end is unknown.
 */
export function isInHistory(terms: readonly Term[], newest: number, { identity, seq }: JournalPosition): boolean {
  const index = terms.findLastIndex((term) => term.identity === identity);
  return index !== -1 && seq <= (terms[index + 1]?.after ?? newest);
}

/** @returns Those that do not end below the floor; there is always one. */
export function termsFrom(terms: readonly Term[], floor: number): readonly Term[] {
  return terms.filter((_, index) => (terms[index + 1]?.after ?? Number.POSITIVE_INFINITY) >= floor);
}
