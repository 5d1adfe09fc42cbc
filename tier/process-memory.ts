/**
 * Bound of a process's memory (promise P5): the `memory` of its nodes, a quarter of that, and 64 MiB, for all that the
 * process has resident: program, heaps of threads, connections, bodies in flight, what is stored (docs/sizing.md).
 *
 * What is stored gives way: a store has the room that all else leaves, and at least seven eighths of its `memory`. Near
 * the bound memory is scarce: stores grow no more, so that what comes evicts, and threads hold little
 * (thread-memory.ts).
 * @module
 */
import type { Logger } from '../telemetry/log.ts';

const MIB = 2 ** 20;

/** Bytes that a process may take whose nodes have so much `memory`. */
export function processBound(memoryBytes: number): number {
  return memoryBytes * 1.25 + 64 * MIB;
}

/**
 * Least room of a store, as a part of its `memory`. With half of it, 5,000 visitors of one large body took so much for
 * themselves that the body was evicted under them, and fetched 330 times.
 */
const LEAST_ROOM = 7 / 8;

/** Distance to the bound up to which stores grow, and at which memory is scarce, as parts of `memory`. */
const STORE_MARGIN = 1 / 8;
const SCARCE_MARGIN = 1 / 16;

/** Least change of a store's room, as a part of its `memory`: each costs a lock. */
const LEAST_CHANGE = 1 / 64;

/** Store that has the room that all else leaves. */
export interface YieldingStore {
  readonly maxBytes: number;
  /** Memory that the system has committed for it. */
  readonly committedBytes: number;
  /** True if what it evicts goes back to the system. */
  readonly givesBack: boolean;
  resize(maxBytes: number): void;
}

/** A node, as a part of the process. */
export interface MemoryUser {
  /** Its `memory`, as the config says; may change. */
  readonly memoryBytes: () => number;
  readonly store: YieldingStore;
}

export class ProcessMemory {
  readonly #users = new Set<MemoryUser>();

  add(user: MemoryUser): void {
    this.#users.add(user);
  }

  remove(user: MemoryUser): void {
    this.#users.delete(user);
  }

  get isUsed(): boolean {
    return this.#users.size > 0;
  }

  /**
   * Gives each store the room that is left.
   *
   * @param residentBytes - Of the whole process.
   * @returns Whether memory is scarce.
   */
  check(residentBytes: number): boolean {
    let total = 0;
    for (const { memoryBytes } of this.#users) total += memoryBytes();
    const free = processBound(total) - residentBytes;
    const left = free - total * STORE_MARGIN;
    for (const { memoryBytes, store } of this.#users) {
      const memory = memoryBytes();
      fit(store, memory, left * (memory / total));
    }
    return free < total * SCARCE_MARGIN;
  }
}

function fit(store: YieldingStore, memory: number, left: number): void {
  // What does not give back pages can as well keep what is in them; else it gives way step by step, as pages go later.
  const change = Math.max(left, store.givesBack ? -memory * LEAST_CHANGE : 0);
  const room = Math.floor(Math.min(memory, Math.max(memory * LEAST_ROOM, store.committedBytes + change)));
  const growth = room - store.maxBytes;
  if (growth < 0 || growth >= memory * LEAST_CHANGE || (room === memory && growth > 0)) store.resize(room);
}

/** Warns when a store cannot have all memory that the config gives it. */
export function warnOfLess(log: Logger, memory: number, { maxBytes: used }: Pick<YieldingStore, 'maxBytes'>): void {
  if (used >= memory) return;
  log.warn({ memory, used }, 'the store cannot have so much memory: it has what is possible');
}
