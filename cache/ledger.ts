/**
 * A node's memory of purges (promise P3): where it stands in the journal, and
 * what has been named there (purge-index.ts). Applying a purge is one write to a map,
 * whatever is stored; a stored response is compared with the maps once after
 * something changed, and by one number otherwise.
 *
 * What a purge means for a response depends on when the response was asked of
 * the origin: `asOf` is the number that the requester had applied before.
 * @module
 */

import { identityOf, isInHistory, type JournalPosition, type Term } from '../journal/terms.ts';
import {
  type EpochMs,
  epochMs,
  forOtherThreads,
  type Instant,
  LONG_AGO,
  type MonotonicMs,
  msBetween,
  ofThisThread,
} from '../lib/clock.ts';
import { type Mark, type Purgeable, PurgeIndex, type PurgeIndexState, type PurgeRecord } from './purge-index.ts';
import type { VaryMember } from './vary.ts';

export type { JournalPosition } from '../journal/terms.ts';
export type { Purgeable, PurgeRecord } from './purge-index.ts';

/**
 * Names besides the URL by which a purge can match. Without `vary`, which only the head tells, every variant may match.
 */
export interface StampedResponse {
  readonly stamp: Stamp;
  readonly tags: readonly string[];
  readonly vary?: readonly VaryMember[];
}

/**
 * Journal position of a response. `checkedAt` and `verdict` belong to the ledger: its latest result, and when it was
 * found.
 */
export interface Stamp {
  /** Highest number that was known to be given out before the origin was asked. */
  readonly asOf: number;
  /** History of the journal in which `asOf` is a number, as counted by the ledger; `UNKNOWN_EPOCH` if unknown. */
  readonly epoch: number;
  checkedAt: number;
  verdict: Verdict;
}

/**
 * `current`: no purge since. `soft`: stale, may be served while it is
 * revalidated. `hard`: gone. `unverified`: unknown, revalidate before use.
 */
export type Verdict = 'current' | 'soft' | 'hard' | 'unverified';

export const UNKNOWN_EPOCH = -1;

/** Journal position of visitors: none. */
export const NOTHING_KNOWN: JournalPosition = { identity: undefined, seq: 0 };

export interface LedgerOptions {
  /**
   * Lease of purges: time without news from the journal after which stored responses are revalidated before use;
   * `Infinity` without a journal.
   */
  readonly leaseMs: number;
}

/** State of a ledger, for the ledger of another thread. */
export interface LedgerState {
  readonly terms: readonly Term[];
  readonly applied: number;
  readonly latestKnown: number;
  readonly epoch: number;
  readonly floor: number;
  readonly leaseMs: number;
  readonly upToDateAt: SentInstant;
  readonly index: PurgeIndexState;
}

/** An instant on its way to another thread. */
export interface SentInstant {
  /** As `forOtherThreads` has made it. */
  readonly process: number;
  readonly wall: EpochMs;
}

export function sentInstant({ monotonic, wall }: Instant): SentInstant {
  return { process: forOtherThreads(monotonic), wall };
}

export function receivedInstant({ process, wall }: SentInstant): Instant {
  return { monotonic: ofThisThread(process), wall };
}

const NEVER = -1;

/** A clock that is set right by less than this is no matter. */
const MAX_SET_BACK_MS = 1_000;

/** Only a lease without end runs from here: that of a node without a journal. */
const NEVER_CONNECTED: Instant = { monotonic: LONG_AGO, wall: epochMs(Number.NEGATIVE_INFINITY) };

export class Ledger {
  /** Terms of the journal, as last received; empty before the first message. */
  #terms: readonly Term[] = [];
  #applied = 0;
  /**
   * Highest number on the line of these terms that the journal or another node
   * has told of: what is asked of the origin now is as new as that, applied or
   * not, and no stamp of this epoch says more.
   */
  #latestKnown = 0;
  /** Grows with every change: what `checkedAt` is compared with. */
  #version = 0;
  /** Number of histories so far; the same in all threads of a process, whose ledgers follow one of them. */
  #epoch = 0;
  /** Responses asked for before this number count as purged (rule 10). */
  #floor = 0;
  #leaseMs: number;
  /** Use of stored responses beyond the lease (`purges.without_journal`). */
  withoutJournal: 'validate' | 'strict' = 'strict';
  readonly #firstHeartbeat = Promise.withResolvers<void>();
  /** The wall clock at its latest so far, and from when on ages by it are true. */
  #latestWall = epochMs(Number.NEGATIVE_INFINITY);
  #agesCountFrom = Number.NEGATIVE_INFINITY;
  /** Never, at first: what a node that has just started has missed, it does not know (rule 7). */
  #upToDateAt = NEVER_CONNECTED;
  #index = new PurgeIndex();
  /** Called when it has applied something, or follows another history: a disk remembers how far it goes. */
  onMoved: (() => void) | undefined = undefined;
  /** Called when another node has told of a number that was not known. */
  onLearned: ((position: JournalPosition) => void) | undefined = undefined;

  constructor({ leaseMs }: LedgerOptions) {
    this.#leaseMs = leaseMs;
  }

  /** State as it is now; the ledger of another thread can go on with a copy of it. */
  get state(): LedgerState {
    return {
      terms: this.#terms,
      applied: this.#applied,
      latestKnown: this.#latestKnown,
      epoch: this.#epoch,
      floor: this.#floor,
      leaseMs: this.#leaseMs,
      upToDateAt: sentInstant(this.#upToDateAt),
      index: this.#index.state,
    };
  }

  /** Goes on with a copy of another ledger's state; before the first response is compared with it. */
  restore({ terms, applied, latestKnown, epoch, floor, leaseMs, upToDateAt, index }: LedgerState): void {
    this.#terms = terms;
    this.#applied = applied;
    this.#latestKnown = latestKnown;
    this.#epoch = epoch;
    this.#floor = floor;
    this.#leaseMs = leaseMs;
    this.#upToDateAt = receivedInstant(upToDateAt);
    this.#index = PurgeIndex.restore(index);
    this.#version++;
    if (Number.isFinite(this.#upToDateAt.wall)) this.#firstHeartbeat.resolve();
  }

  get position(): JournalPosition {
    return this.#positionAt(this.#applied);
  }

  /** The furthest that anything here goes by: a journal that agrees up to there agrees with all of it. */
  get latestKnown(): JournalPosition {
    return this.#positionAt(this.#newest);
  }

  get applied(): number {
    return this.#applied;
  }

  /** Terms of the journal; none before it was heard of. */
  get terms(): readonly Term[] {
    return this.#terms;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Selectors that are remembered. */
  get size(): number {
    return this.#index.size;
  }

  /** Bytes in use, about. */
  get bytes(): number {
    return this.#index.bytes;
  }

  set leaseMs(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  /** The journal has been opened again, and goes on from what is known here. */
  extend({ terms }: { readonly terms: readonly Term[] }): void {
    this.#terms = terms;
    this.onMoved?.();
  }

  /**
   * Another journal, or an older copy of this one: nothing that is stored can
   * be compared with it (rule 9). All its records are to be applied, since what
   * other nodes have stored may be older than any of them.
   */
  restart({ terms, newest, floor }: { terms: readonly Term[]; newest: number; floor: number }): void {
    this.#terms = terms;
    this.#applied = floor;
    this.#latestKnown = newest;
    this.#upToDateAt = NEVER_CONNECTED;
    this.#epoch++;
    this.#version++;
    this.#index = new PurgeIndex();
    this.#floor = floor;
    this.onMoved?.();
  }

  /** Moves past records that the journal no longer has: everything older counts as purged (rule 10). */
  skipTo(floor: number): void {
    this.#applied = Math.max(this.#applied, floor);
    this.raiseFloor(floor);
    this.onMoved?.();
  }

  /** Forgets the marks below a floor: no response that they concern lives any more. */
  raiseFloor(floor: number): void {
    if (floor <= this.#floor) return;
    this.#floor = floor;
    this.#version++;
    this.#index.forgetUntil(floor);
  }

  /** @param records - In order, the first one right after `position.seq`. */
  apply(records: readonly PurgeRecord[]): void {
    for (const record of records) {
      this.#index.note(record);
      this.#applied = record.seq;
      this.#version++;
    }
    if (records.length > 0) this.onMoved?.();
  }

  /** The journal was heard of, and had nothing newer than `newest`. */
  onHeartbeat(newest: number, now: Instant): void {
    this.#latestKnown = Math.max(this.#latestKnown, newest);
    this.#noteWall(now.wall);
    if (newest > this.#applied) return;
    this.#upToDateAt = now;
    this.#firstHeartbeat.resolve();
  }

  /** Resolves when it is up to date with the journal for the first time. */
  get whenUpToDate(): Promise<void> {
    return this.#firstHeartbeat.promise;
  }

  /** Returns whether the node has heard from the journal recently enough to trust its ledger (rule 7). */
  holdsLease(wall: EpochMs, monotonic: MonotonicMs): boolean {
    const since = this.#upToDateAt;
    this.#noteWall(wall);
    // By both clocks: the wall clock may have been set back, the monotonic one stands still while the machine sleeps.
    return msBetween(since.monotonic, monotonic) <= this.#leaseMs && wall - since.wall <= this.#leaseMs;
  }

  /**
   * Returns whether the origin has been asked for a response so lately that the lease is kept for it: no purge takes
   * effect later than one lease after it was made, with or without the journal.
   *
   * @param ageMs - Age of the response, by the wall clock.
   */
  leaseCovers(ageMs: number, wall: EpochMs): boolean {
    return this.withoutJournal === 'validate' && ageMs <= this.#leaseMs && wall >= this.#agesCountFrom;
  }

  /**
   * Notes the wall clock. By one that was set back, ages are shorter than they are: of all responses that were stored
   * before, until it has gone on to where it had been, and a lease further.
   */
  #noteWall(wall: EpochMs): void {
    if (wall < this.#latestWall - MAX_SET_BACK_MS) this.#agesCountFrom = this.#latestWall + this.#leaseMs;
    else if (wall > this.#latestWall) this.#latestWall = wall;
  }

  /**
   * @param minPosition - Position that the requester has applied: what is asked of the origin
   *   because of that is at least as new (rule 5).
   * @returns The stamp of a response that is asked for now.
   */
  stampNow(minPosition: JournalPosition): Stamp {
    return { asOf: this.#raised(minPosition), epoch: this.#epoch, checkedAt: NEVER, verdict: 'current' };
  }

  /** @returns The stamp of a response that another node says is as new as this. */
  stampOf(position: JournalPosition): Stamp {
    // A node that has not heard of a journal yet knows nothing that could be compared; `restart` ends that.
    const isKnown = !this.#hasJournal || this.#isComparable(position);
    if (isKnown) this.#learn(position.seq);
    return { asOf: position.seq, epoch: isKnown ? this.#epoch : UNKNOWN_EPOCH, checkedAt: NEVER, verdict: 'current' };
  }

  /**
   * @returns The stamp of a response that an earlier process stored at this position. Without a term that this journal
   *   has, nothing is known of purges since: it is to be revalidated before use (rules 4 and 9).
   */
  stampRestored(position: JournalPosition): Stamp {
    const isKnown = this.#hasJournal && this.#isComparable(position);
    if (isKnown) this.#learn(position.seq);
    return uncheckedStamp(position.seq, isKnown ? this.#epoch : UNKNOWN_EPOCH);
  }

  /** @returns What `stampOf` takes, for another node. */
  positionOf({ asOf, epoch }: Stamp): JournalPosition {
    return epoch === this.#epoch ? this.#positionAt(asOf) : { identity: undefined, seq: asOf };
  }

  /**
   * @returns What this node says it knows when it asks another one on behalf of
   *   one that needs this: of another journal it can only pass it on (rule 9).
   */
  positionFor(minPosition: JournalPosition): JournalPosition {
    if (minPosition.identity !== undefined && !this.#isComparable(minPosition)) return minPosition;
    return this.#positionAt(this.#raised(minPosition));
  }

  /** Returns whether a response with this stamp is at least as new as the requester's journal position (rule 5). */
  isNewEnough({ asOf }: Stamp, minPosition: JournalPosition): boolean {
    if (minPosition.identity === undefined) return true;
    return this.#isComparable(minPosition) && (this.#applied >= minPosition.seq || asOf >= minPosition.seq);
  }

  /** Another ledger of this process has learned of a number. @returns False if it is not on this journal's line. */
  learn(position: JournalPosition): boolean {
    if (!this.#hasJournal || !this.#isComparable(position)) return false;
    this.#learn(position.seq);
    return true;
  }

  #raised(minPosition: JournalPosition): number {
    if (!this.#isComparable(minPosition)) return this.#newest;
    this.#learn(minPosition.seq);
    return Math.max(this.#newest, minPosition.seq);
  }

  /** A stamp is to carry this number, which another node has told of. */
  #learn(seq: number): void {
    // Nodes without a journal count for themselves: the numbers of one are not to come for the other.
    if (!this.#hasJournal || seq <= this.#latestKnown) return;
    this.#latestKnown = seq;
    this.onLearned?.(this.#positionAt(seq));
  }

  get #hasJournal(): boolean {
    return this.#terms.length > 0;
  }

  get #newest(): number {
    return Math.max(this.#applied, this.#latestKnown);
  }

  #positionAt(seq: number): JournalPosition {
    return { identity: identityOf(this.#terms, seq), seq };
  }

  /**
   * Returns whether the position's number means the same purge here; the journal may be ahead of this node (rule 9).
   */
  #isComparable(position: JournalPosition): boolean {
    if (!this.#hasJournal) return position.identity === undefined;
    return isInHistory(this.#terms, Number.POSITIVE_INFINITY, position);
  }

  /** Returns whether it was found current, and nothing has changed since: the only comparison on a hit. */
  isStillCurrent({ checkedAt, verdict }: Stamp): boolean {
    return checkedAt === this.#version && verdict === 'current';
  }

  /** One comparison, unless something has changed since the last. */
  check(named: StampedResponse, response: Purgeable): Verdict {
    const { stamp } = named;
    if (stamp.checkedAt !== this.#version) {
      stamp.verdict = this.#verdict(named, response);
      stamp.checkedAt = this.#version;
    }
    return stamp.verdict;
  }

  #verdict(named: StampedResponse, response: Purgeable): Verdict {
    const { asOf, epoch } = named.stamp;
    if (epoch !== this.#epoch) return 'unverified';
    if (asOf < this.#floor) return 'hard';
    if (asOf >= this.#index.newest) return 'current';
    const { hard, soft } = this.newestPurges(named, response, asOf);
    if (hard > asOf) return 'hard';
    return soft > asOf ? 'soft' : 'current';
  }

  /**
   * Returns the numbers of the newest purges that name a response; 0: none is remembered.
   *
   * @param after - Purges up to this number may be left out.
   */
  newestPurges({ tags, vary }: Pick<StampedResponse, 'tags' | 'vary'>, response: Purgeable, after = 0): Mark {
    let hard = 0;
    let soft = 0;
    for (const mark of this.#index.match(response, tags, vary, after)) {
      hard = Math.max(hard, mark.hard);
      soft = Math.max(soft, mark.soft);
    }
    return { hard, soft };
  }
}

/** @returns The stamp of a response that was stored with one like this. */
export function uncheckedStamp(asOf: number, epoch: number): Stamp {
  return { asOf, epoch, checkedAt: NEVER, verdict: 'current' };
}

/** @returns A copy for a response of which more is known than when the stamp was checked last, such as its tags. */
export function unchecked(stamp: Stamp): Stamp {
  return { ...stamp, checkedAt: NEVER };
}

/**
 * Returns the stamp of a response combined from two: the older one.
 *
 * @returns `undefined` when they cannot be compared.
 */
export function olderStamp(a: Stamp, b: Stamp): Stamp | undefined {
  if (a.epoch !== b.epoch) return undefined;
  return unchecked({ ...a, asOf: Math.min(a.asOf, b.asOf) });
}
