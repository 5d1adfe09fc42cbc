/**
 * The rules of the design by which purges hold, each of which can be switched
 * off: the model must then find a history that shows why it is there.
 * @module
 */
import {
  type JournalPosition,
  Ledger,
  NOTHING_KNOWN,
  type Purgeable,
  type Stamp,
  type StampedResponse,
  uncheckedStamp,
  type Verdict,
} from '../../cache/ledger.ts';
import type { Fetch } from '../../http/message.ts';
import type { EpochMs, MonotonicMs } from '../../lib/clock.ts';

/** Faults to plant in the program, by the purge rule that they break (docs/purging.md). */
export const BREAKAGES = {
  'rule-3': 'a response is as new as its arrival, not as its request',
  'rule-4': 'what is stored is not compared with the ledger',
  'rule-5': 'a node does not mind what whoever asks has applied',
  'rule-6-validated': 'a 304 is as new as its arrival, not as the conditional request',
  'rule-6-on-error': 'what is hard-purged is taken for soft-purged',
  'rule-7-lease': 'a node never loses its lease',
  'rule-7-return': 'a node that comes back serves before it has caught up',
  'rule-9': 'how new another node says its answer is counts, whatever journal it speaks of',
  'rule-9-needs': 'what whoever asks has applied is compared, whatever journal it speaks of',
  'rule-9-terms': 'a journal that is opened again goes on under the same identity',
  'rule-9-known': 'only what was applied is looked for in the journal, not what was known',
  'rule-10': 'what was missed and is gone from the journal counts for nothing',
} as const satisfies Readonly<Record<string, string>>;

/** Faults to plant where nodes have disks. */
export const DISK_BREAKAGES = {
  'disk-stamp': 'what comes from disk is as new as what is asked for now',
  'disk-ended': 'a thread that ends in the middle of a change leaves on disk what it has replaced',
} as const satisfies Readonly<Record<string, string>>;

export type Breakage = keyof typeof BREAKAGES | keyof typeof DISK_BREAKAGES;

/** A ledger without one of the rules. */
export class BrokenLedger extends Ledger {
  #breakage: Breakage | undefined;

  constructor(options: ConstructorParameters<typeof Ledger>[0], breakage: Breakage | undefined) {
    super(options);
    this.#breakage = breakage;
  }

  override stampNow(minPosition: JournalPosition): Stamp {
    const stamp = super.stampNow(minPosition);
    if (this.#breakage !== 'rule-3') return stamp;
    const now = (): number => Math.max(stamp.asOf, this.applied);
    return {
      ...stamp,
      // The fill copies its stamp when the head arrives.
      get asOf() {
        return now();
      },
    };
  }

  override check(named: StampedResponse, response: Purgeable): Verdict {
    if (this.#breakage === 'rule-4') return 'current';
    const verdict = super.check(named, response);
    return this.#breakage === 'rule-6-on-error' && verdict === 'hard' ? 'soft' : verdict;
  }

  override isNewEnough(stamp: Stamp, minPosition: JournalPosition): boolean {
    return this.#breakage === 'rule-5' || super.isNewEnough(stamp, this.#asked(minPosition));
  }

  override positionFor(minPosition: JournalPosition): JournalPosition {
    return super.positionFor(this.#breakage === 'rule-5' ? NOTHING_KNOWN : this.#asked(minPosition));
  }

  #asked(minPosition: JournalPosition): JournalPosition {
    return this.#breakage === 'rule-9-needs' && minPosition.identity !== undefined
      ? this.#here(minPosition)
      : minPosition;
  }

  /** The same number of this journal. */
  #here({ seq }: JournalPosition): JournalPosition {
    return { identity: this.positionOf(uncheckedStamp(seq, this.epoch)).identity, seq };
  }

  override stampOf(position: JournalPosition): Stamp {
    return super.stampOf(this.#breakage === 'rule-9' ? this.#here(position) : position);
  }

  override get latestKnown(): JournalPosition {
    return this.#breakage === 'rule-9-known' ? this.position : super.latestKnown;
  }

  override holdsLease(wall: EpochMs, monotonic: MonotonicMs): boolean {
    return this.#breakage === 'rule-7-lease' || super.holdsLease(wall, monotonic);
  }

  override skipTo(floor: number): void {
    if (this.#breakage === 'rule-10') this.apply([{ seq: floor, site: '-', kind: 'site', selector: '', soft: true }]);
    else super.skipTo(floor);
  }
}

/** @returns The fetch, or one whose 304s say that they are as new as what the ledger has applied by then. */
export function brokenFetch(fetch: Fetch, ledger: Ledger, breakage: Breakage | undefined): Fetch {
  if (breakage !== 'rule-6-validated') return fetch;
  return (request, sink) =>
    fetch(request, {
      onInterim: (status, headers) => sink.onInterim(status, headers),
      onHead: (head) => sink.onHead(head.status === 304 ? { ...head, version: ledger.position } : head),
      onData: (chunk) => sink.onData(chunk),
      onEnd: (trailers) => sink.onEnd(trailers),
      onError: (error) => sink.onError(error),
    });
}
