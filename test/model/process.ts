/**
 * The process of a node of the model: the program's own engine, store, ledger and follower, put together as
 * edge/node.ts and origin-shield/node.ts do, with simulated time.
 * @module
 */
import type { DiskStore } from '../../cache/disk/disk.ts';
import { CacheEngine } from '../../cache/engine.ts';
import type { LedgerState, PurgeRecord } from '../../cache/ledger.ts';
import { MemoryStore } from '../../cache/store/memory-store.ts';
import type { Store } from '../../cache/store/store.ts';
import type { ThreadFills } from '../../cache/thread-fills.ts';
import { Follower, type FollowerTarget } from '../../journal/follower.ts';
import type { JournalRecord, JournalState } from '../../journal/journal.ts';
import type { Term } from '../../journal/terms.ts';
import { type EpochMs, epochMs, type Instant, type MonotonicMs, monotonicMs } from '../../lib/clock.ts';
import { instant } from '../support/instant.ts';
import { type Control, HEARTBEAT_MS } from './control.ts';
import type { NodeName } from './history.ts';
import type { Network, Place } from './network.ts';
import type { ModelNode } from './node.ts';
import { LEASE_MS, type Memory, type Oracle } from './oracle.ts';
import type { Origin } from './origin.ts';
import { type Breakage, BrokenLedger } from './rules.ts';

const STORE_BYTES = 16 * 1024;

/** Environment of a model's nodes, with the oracle that judges them. */
export interface World {
  readonly network: Network;
  readonly origin: Origin;
  readonly control: Control;
  readonly oracle: Oracle;
  readonly nodes: ReadonlyMap<NodeName, ModelNode>;
  readonly breakage: Breakage | undefined;
  /** Called with a violation. */
  readonly failed: (error: unknown) => void;
  /** A node has learnt of purges. */
  readonly learnt: () => void;
  readonly trace: (line: () => string) => void;
}

/** A thread of a node that serves requests; a node without threads has one. */
export interface Part {
  readonly place: Place;
  readonly memory: Memory;
  readonly ledger: ModelLedger;
  readonly engine: CacheEngine;
  /** Calls with the reason when it ends, while the node goes on. @returns What is called when that is not needed. */
  onEnded(ended: () => void): () => void;
}

/** One run of a node, from a start to its end. */
export interface Process {
  /** Threads that serve; none while it starts. */
  readonly parts: readonly Part[];
  /** State of what is known of purges, in each thread. */
  readonly memories: readonly Memory[];
  stop(): void;
}

/** @param kept - Whether what was stored, and what was known of purges, is still there. */
export type StartProcess = (kept: boolean) => Process;

/** Moments that another thread has told of are not quite those that were sent. */
function whole({ monotonic, wall }: Instant): Instant {
  return { monotonic: monotonicMs(Math.round(monotonic as unknown as number)), wall };
}

/** The ledger, watched by the oracle. */
export class ModelLedger extends BrokenLedger {
  readonly #world: World;
  readonly #now: () => number;
  readonly memory: Memory;
  #terms: readonly Term[] = [];
  /** False from a restart until it has heard from the journal; a lease does not outlive its process (rule 7). */
  #isBack = true;

  constructor(world: World, memory: Memory) {
    const { clock } = world.network;
    super({ leaseMs: LEASE_MS }, world.breakage);
    this.#world = world;
    this.#now = () => clock.now;
    this.memory = memory;
  }

  comeBack(): void {
    this.#isBack = this.#world.breakage === 'rule-7-return';
  }

  override apply(records: readonly PurgeRecord[]): void {
    super.apply(records);
    this.#world.trace(() => `  ${this.memory.name} applies ${records.map(({ seq }) => seq).join(', ')}`);
    this.#world.oracle.applied(this.memory, records as readonly JournalRecord[]);
    this.#world.learnt();
  }

  /** Goes on where the ledger of another thread is. */
  override restore(state: LedgerState): void {
    super.restore({ ...state, leaseMs: LEASE_MS });
    this.#terms = state.terms;
    if (state.terms.length > 0) this.#learntUpTo(this.applied);
  }

  override extend(state: JournalState): void {
    super.extend(state);
    this.#terms = state.terms;
  }

  override restart(state: JournalState): void {
    super.restart(state);
    this.#terms = state.terms;
    this.#learntUpTo(this.applied);
  }

  override skipTo(floor: number): void {
    super.skipTo(floor);
    this.#learntUpTo(floor);
  }

  override onHeartbeat(newest: number, now: Instant): void {
    super.onHeartbeat(newest, whole(now));
    if (newest <= this.applied) this.#isBack = true;
  }

  override holdsLease(wall: EpochMs, monotonic: MonotonicMs): boolean {
    return this.#isBack && super.holdsLease(wall, monotonic);
  }

  #learntUpTo(seq: number): void {
    this.#world.trace(
      () => `  ${this.memory.name} begins at ${seq} of term ${this.position.identity} (${this.#now()})`,
    );
    this.#world.oracle.appliedUpTo(this.memory, this.#terms, seq);
    this.#world.learnt();
  }
}

/** Processes of one thread with memory alone, which is kept for the next one where a history says so. */
export function startsInMemory(world: World, place: ModelNode): StartProcess {
  let kept: { readonly ledger: ModelLedger; readonly store: MemoryStore } | undefined;
  return (isKept) => {
    if (isKept && kept !== undefined) kept.ledger.comeBack();
    else kept = { ledger: new ModelLedger(world, memoryOf(place)), store: new MemoryStore(STORE_BYTES) };
    const { ledger, store } = kept;
    const part: Part = {
      place,
      memory: ledger.memory,
      ledger,
      engine: makeEngine(world, { store, ledger }),
      onEnded: () => nothing,
    };
    const follower = follow(world, place, ledger);
    return { parts: [part], memories: [part.memory], stop: () => void follower.stop() };
  };
}

export function memoryOf({ name, life }: Pick<ModelNode, 'name' | 'life'>, thread?: number): Memory {
  const start = life === 1 ? '' : ` (start ${life})`;
  return { name: `${name}${thread === undefined ? '' : `#${thread}`}${start}` };
}

export function makeEngine({ network: { clock } }: World, { store, ledger, threads, disk }: EngineParts): CacheEngine {
  const engine = new CacheEngine({
    store,
    ledger,
    threads,
    now: () => epochMs(clock.now),
    monotonic: () => monotonicMs(clock.now),
    bounds: () => ({ fillWindowBytes: 1_024, maxWaiters: 4 }),
    maxRememberedKeys: 16,
    events: NO_EVENTS,
  });
  if (disk !== undefined) {
    engine.disk = disk;
    store.onReused = (key, variants) => disk.put(key, variants);
  }
  return engine;
}

interface EngineParts {
  readonly store: Store;
  readonly ledger: ModelLedger;
  readonly threads?: ThreadFills | undefined;
  readonly disk?: DiskStore | undefined;
}

/** Follows the journal from now on. */
export function follow({ network, control }: World, place: ModelNode, target: FollowerTarget): Follower {
  const follower = new Follower({
    target,
    connect: (after, signal) => control.connect(place, after, signal),
    report: () => undefined,
    now: () => instant(network.clock.now),
    wait: (ms, signal) => wait(network, place, ms, signal),
    random: () => network.random(),
    heartbeatIntervalMs: HEARTBEAT_MS,
    maxPauseMs: 2_000,
  });
  follower.start();
  return follower;
}

/** Resolves after `ms` of the process's own time; rejects when the signal aborts. */
function wait(network: Network, place: Place, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(new Error('aborted'));
      return;
    }
    const timer = network.at(place, network.clock.now + ms, () => {
      signal.removeEventListener('abort', abort);
      resolve();
    });
    const abort = (): void => {
      timer.cancel();
      reject(new Error('aborted'));
    };
    signal.addEventListener('abort', abort, { once: true });
  });
}

export const nothing = (): undefined => undefined;

const NO_EVENTS = {
  fillStarted: nothing,
  fillCollapsed: nothing,
  fillFailed: nothing,
  stored: nothing,
  refused: nothing,
  chunkRead: nothing,
  generationEnded: nothing,
};
