/**
 * Journal progress of each node, and the time that recent purges took at each of them.
 *
 * Durations are in memory only: after a restart a receipt still lists the nodes that have applied a purge, but not
 * when.
 * @module
 */

import type { JournalState } from '../journal/journal.ts';
import { isInHistory, type JournalPosition } from '../journal/terms.ts';
import type { AppliedReport, NodeAbout } from '../journal/wire.ts';
import { type EpochMs, LONG_AGO, later, type MonotonicMs, msBetween } from '../lib/clock.ts';

/** A node that a region file names: one whose word counts for a receipt. */
export interface KnownNode {
  readonly region: string;
  readonly name: string;
  readonly role: 'edge' | 'shield';
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
}

interface NodeState {
  seq: number;
  reportedAt: number | undefined;
  streams: number;
  /** Calls that report progress. */
  calls: number;
  /** Until then it counts as connected though nothing is open: the next call is about to begin. */
  expectedUntil: MonotonicMs;
  /** Its latest report. */
  last: JournalPosition | undefined;
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

interface Waiter {
  readonly last: number;
  readonly settle: (complete: boolean) => void;
}

/** A node that stays in touch begins its next call sooner after one that has ended. */
const NEXT_CALL_MS = 2_000;

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

  constructor(nodes: readonly KnownNode[], options: ProgressOptions) {
    this.#options = options;
    this.setNodes(nodes);
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
      const afterMs = applied ? measured?.afterMs.get(node.name) : undefined;
      return { ...node, connected: this.#isConnected(state), applied, afterMs };
    });
  }

  isComplete(last: number): boolean {
    return this.#nodes.every(({ name }) => (this.#states.get(name)?.seq ?? 0) >= last);
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
    const applied = Math.min(...this.#nodes.map(({ name }) => this.#states.get(name)?.seq ?? 0));
    this.#incomplete = Math.max(this.#incomplete, this.#forgotten);
    for (;;) {
      const measured = this.#measured[this.#incomplete - this.#forgotten];
      if (measured === undefined || measured.last > applied) break;
      this.#incomplete += 1;
      this.#options.completed?.(Math.max(0, ...measured.afterMs.values()));
    }
    for (const waiter of this.#waiters) if (waiter.last <= applied) waiter.settle(true);
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
