/**
 * Journal progress of each node, and the time that recent purges took at each of them.
 *
 * Durations are in memory only: after a restart a receipt still lists the nodes that have applied a purge, but not
 * when.
 * @module
 */

import type { JournalState } from '../journal/journal.ts';
import { identityOf, isInHistory, type JournalPosition } from '../journal/terms.ts';
import type { AppliedReport, NodeAbout } from '../journal/wire.ts';
import { type EpochMs, LONG_AGO, later, type MonotonicMs, msBetween } from '../lib/clock.ts';

export interface NamedNode {
  readonly region: string;
  readonly name: string;
  readonly role: 'edge' | 'shield';
}

/** A node that follows the journal, or should: one that a receipt waits for. */
export interface KnownNode extends NamedNode {
  /** Beyond this time without the journal it validates what it serves. */
  readonly leaseMs: number;
}

export interface NodeProgress extends KnownNode {
  /** True while its stream is open. */
  readonly connected: boolean;
  /** Number that it has applied; 0 where it has not said, or it is not on the journal's line. */
  readonly seq: number;
  /** Milliseconds since the epoch. */
  readonly reportedAt: number | undefined;
  /** Undefined until it has said so. */
  readonly about: NodeAbout | undefined;
}

/** One node's part in a receipt. */
export interface NodeReceipt extends KnownNode {
  readonly connected: boolean;
  readonly applied: boolean;
  /** True if the node has not said that it applied the purge, which is so old that it validates what it concerns. */
  readonly validates: boolean;
  /** Since the call came in; absent where it was not measured. */
  readonly afterMs: number | undefined;
}

export interface ProgressOptions {
  /** As this process knows the journal. */
  readonly journal: () => JournalState;
  /** Resolves when it knows what any process has appended before the call. */
  readonly refresh: () => Promise<unknown>;
  readonly monotonic: () => MonotonicMs;
  readonly now: () => EpochMs;
  /** Called with the time that a purge took to be applied by all nodes. */
  readonly completed?: (ms: number) => void;
  readonly sampleMs?: number;
}

/** Position that a node has reported. */
type ReportedPosition = Pick<AppliedReport, 'identity' | 'seq'>;

interface NodeState {
  seq: number;
  reportedAt: number | undefined;
  streams: number;
  /** Calls that report progress. */
  calls: number;
  /** Until then it counts as connected though nothing is open: the next call is about to begin. */
  expectedUntil: MonotonicMs;
  /** Its latest report. */
  last: ReportedPosition | undefined;
  about: NodeAbout | undefined;
  /** Place in the list of purges of the first one that it has not applied. */
  next: number;
}

interface Measured {
  /** Number of its last record. */
  readonly last: number;
  readonly startedAt: MonotonicMs;
  readonly afterMs: Map<string, number>;
}

/** Newest position of the journal, and since when it is known. */
interface Sample extends JournalPosition {
  readonly at: MonotonicMs;
}

interface Waiter {
  readonly last: number;
  readonly settle: (complete: boolean) => void;
}

/** A node that stays in touch begins its next call sooner after one that has ended. */
const NEXT_CALL_MS = 2_000;

/**
 * Beyond a node's lease: the time after which it takes a silent connection as lost (three heartbeats), and as much as a
 * message may be late.
 */
export const BEYOND_LEASE_MS = 5_000;
const SAMPLE_MS = 1_000;
/** A lease of a day, with a purge each second. */
const MAX_SAMPLES = 100_000;

/** Purges whose durations are remembered. */
const MAX_MEASURED = 10_000;
/** Purges that are forgotten at a time: not one by one, as the list is an array. */
const FORGOTTEN_AT_ONCE = 1_000;
/** Calls that may wait for nodes; further ones are answered at once with what is known. */
const MAX_WAITERS = 1_000;

export class Progress {
  readonly #options: ProgressOptions;
  readonly #states = new Map<string, NodeState>();
  readonly #waiters = new Set<Waiter>();
  /** Nodes that have to apply every purge. */
  #nodes: readonly KnownNode[] = [];
  /** In the order of their numbers; the first one's place is `#forgotten`. */
  #measured: Measured[] = [];
  #forgotten = 0;
  /** Place of the first purge that is not known to be complete. */
  #incomplete = 0;
  /** Newest numbers of the journal, and since when this process has known them: in order. */
  #samples: Sample[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(nodes: readonly KnownNode[], options: ProgressOptions) {
    this.#options = options;
    this.setNodes(nodes);
    this.tick();
    this.#timer = setInterval(() => this.tick(), options.sampleMs ?? SAMPLE_MS);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Notes how far the journal is, and settles what time has made certain. */
  tick(): void {
    const { terms, newest: seq } = this.#options.journal();
    // A journal that was restored from an older copy gives out some numbers again.
    while (this.#samples.length > 0 && !this.#isKnown(this.#samples.at(-1) as Sample)) this.#samples.pop();
    if (seq !== this.#samples.at(-1)?.seq) {
      this.#samples.push({ identity: identityOf(terms, seq), seq, at: this.#options.monotonic() });
      if (this.#samples.length > MAX_SAMPLES) this.#samples = this.#samples.slice(MAX_SAMPLES / 10);
    }
    this.#settle();
  }

  /**
   * Returns the highest number of purges that are so old that a node with this lease serves nothing that they concern
   * without validating it, whatever it has heard.
   */
  #outlived(leaseMs: number): number {
    const now = this.#options.monotonic();
    const isOld = ({ at }: { at: MonotonicMs }): boolean => msBetween(at, now) > leaseMs + BEYOND_LEASE_MS;
    let [low, high] = [0, this.#samples.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isOld(this.#samples[middle] as { at: MonotonicMs })) low = middle + 1;
      else high = middle;
    }
    const sample = this.#samples[low - 1];
    return sample !== undefined && this.#isKnown(sample) ? sample.seq : 0;
  }

  /** Returns the highest number of purges that the node has applied, or validates what they concern. */
  #safe({ name, leaseMs }: KnownNode): number {
    return Math.max(this.#states.get(name)?.seq ?? 0, this.#outlived(leaseMs));
  }

  /** From now on these are all nodes there are. */
  setNodes(nodes: readonly KnownNode[]): void {
    this.#nodes = nodes;
    const names = new Set(nodes.map(({ name }) => name));
    for (const name of this.#states.keys()) if (!names.has(name)) this.#states.delete(name);
    for (const name of names) {
      if (!this.#states.has(name)) {
        this.#states.set(name, {
          seq: 0,
          reportedAt: undefined,
          streams: 0,
          calls: 0,
          expectedUntil: LONG_AGO,
          last: undefined,
          about: undefined,
          next: this.#forgotten,
        });
      }
    }
    this.#settle();
  }

  nodes(): NodeProgress[] {
    return this.#nodes.map((node) => {
      const state = this.#states.get(node.name);
      const { seq = 0, reportedAt, about } = state ?? {};
      return { ...node, connected: this.#isConnected(state), seq, reportedAt, about };
    });
  }

  /** Returns whether the node follows the journal here, or keeps a call open. */
  isConnected(name: string): boolean {
    return this.#isConnected(this.#states.get(name));
  }

  /** Returns the number of connections by which the node follows the journal here. */
  streamsOf(name: string): number {
    return this.#states.get(name)?.streams ?? 0;
  }

  /** Returns what the node has said of itself here. */
  reportedBy(name: string): { readonly about: NodeAbout | undefined; readonly last: ReportedPosition | undefined } {
    const { about, last } = this.#states.get(name) ?? {};
    return { about, last };
  }

  /** A node of a network with several control nodes follows one of them, and keeps a call open to each. */
  #isConnected(state: NodeState | undefined): boolean {
    if (state === undefined) return false;
    return state.streams > 0 || state.calls > 0 || this.#options.monotonic() < state.expectedUntil;
  }

  /** A purge is in the journal. To be called in the order of the numbers. */
  accepted(last: number, startedAt: MonotonicMs): void {
    this.#measured.push({ last, startedAt, afterMs: new Map() });
    // A node may have reported it before the journal confirmed the append.
    for (const [name, state] of this.#states) this.#advance(name, state);
    this.#settle();
    if (this.#measured.length >= MAX_MEASURED + FORGOTTEN_AT_ONCE) {
      this.#measured = this.#measured.slice(FORGOTTEN_AT_ONCE);
      this.#forgotten += FORGOTTEN_AT_ONCE;
    }
  }

  /**
   * Records the position that a node reports. Reports of unknown nodes and of other histories of the journal are
   * ignored.
   */
  report({ node, about, ...position }: AppliedReport): void {
    const state = this.#states.get(node);
    if (state === undefined) return;
    state.reportedAt = this.#options.now();
    state.last = position;
    state.about = about ?? state.about;
    if (this.#isKnown(position)) {
      this.#reached(node, state, position.seq);
      return;
    }
    // Another control node may have appended it, and the node may have heard of it before this process.
    const look = (): void => {
      if (state.last === position) this.#reached(node, state, this.#isKnown(position) ? position.seq : 0);
    };
    this.#options.refresh().then(look, () => undefined); // without the journal nothing is known of it
  }

  #isKnown(position: JournalPosition): boolean {
    const { terms, newest } = this.#options.journal();
    return isInHistory(terms, newest, position);
  }

  /** A node that has restarted knows less than it did: what it has applied is what it says now. */
  #reached(node: string, state: NodeState, seq: number): void {
    const before = state.seq;
    state.seq = seq;
    if (seq <= before) return;
    this.#advance(node, state);
    this.#settle();
  }

  /** A node has opened a stream. @returns To be called when it is closed. */
  connected(node: string): () => void {
    const state = this.#states.get(node);
    if (state === undefined) return () => undefined;
    state.streams += 1;
    return () => {
      state.streams -= 1;
    };
  }

  /**
   * A node has begun a call that reports progress.
   *
   * @returns A function to be called with whether it came to its end.
   */
  reporting(node: string): (isWhole: boolean) => void {
    const state = this.#states.get(node);
    if (state === undefined) return () => undefined;
    state.calls += 1;
    return (isWhole) => {
      state.calls -= 1;
      state.expectedUntil = isWhole ? later(this.#options.monotonic(), NEXT_CALL_MS) : LONG_AGO;
    };
  }

  /** @param last - Number of the last record of a purge. */
  receipt(last: number): NodeReceipt[] {
    const measured = this.#find(last);
    return this.#nodes.map((node) => {
      const state = this.#states.get(node.name);
      const applied = (state?.seq ?? 0) >= last;
      const validates = !applied && this.#outlived(node.leaseMs) >= last;
      const afterMs = applied ? measured?.afterMs.get(node.name) : undefined;
      return { ...node, connected: this.#isConnected(state), applied, validates, afterMs };
    });
  }

  isComplete(last: number): boolean {
    return this.#nodes.every((node) => this.#safe(node) >= last);
  }

  /** Resolves true when every node has applied it, false when the time is over or the signal aborts. */
  async whenComplete(last: number, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    if (this.isComplete(last)) return true;
    if (signal?.aborted || this.#waiters.size >= MAX_WAITERS) return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const waiter = { last, settle: resolve };
    const giveUp = (): void => resolve(false);
    this.#waiters.add(waiter);
    const timer = setTimeout(giveUp, timeoutMs);
    signal?.addEventListener('abort', giveUp, { once: true });
    try {
      return await promise;
    } finally {
      this.#waiters.delete(waiter);
      clearTimeout(timer);
      signal?.removeEventListener('abort', giveUp);
    }
  }

  #advance(name: string, state: NodeState): void {
    const now = this.#options.monotonic();
    state.next = Math.max(state.next, this.#forgotten);
    for (;;) {
      const measured = this.#measured[state.next - this.#forgotten];
      if (measured === undefined || measured.last > state.seq) return;
      measured.afterMs.set(name, msBetween(measured.startedAt, now));
      state.next += 1;
    }
  }

  /** Finds what is complete by now, and tells. */
  #settle(): void {
    if (this.#nodes.length === 0) return;
    const safe = Math.min(...this.#nodes.map((node) => this.#safe(node)));
    const applied = Math.min(...this.#nodes.map(({ name }) => this.#states.get(name)?.seq ?? 0));
    this.#incomplete = Math.max(this.#incomplete, this.#forgotten);
    for (;;) {
      const measured = this.#measured[this.#incomplete - this.#forgotten];
      if (measured === undefined || measured.last > safe) break;
      this.#incomplete += 1;
      if (measured.last <= applied) this.#options.completed?.(Math.max(0, ...measured.afterMs.values()));
    }
    for (const waiter of this.#waiters) if (waiter.last <= safe) waiter.settle(true);
  }

  /** Binary search: numbers ascend. */
  #find(last: number): Measured | undefined {
    let [low, high] = [0, this.#measured.length - 1];
    while (low <= high) {
      const middle = (low + high) >> 1;
      const found = this.#measured[middle] as Measured;
      if (found.last === last) return found;
      if (found.last < last) low = middle + 1;
      else high = middle - 1;
    }
    return undefined;
  }
}
