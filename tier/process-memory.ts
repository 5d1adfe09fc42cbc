/**
 * Bound of a process's memory (promise P5): the `memory` of its nodes, a quarter of that, and 64 MiB, for all that the
 * process has resident: program, heaps of threads, connections, bodies in flight, what is stored (docs/sizing.md).
 *
 * It holds by construction: a store has what the program, its threads and their traffic leave of the bound, however
 * much of that they use. Near the bound memory is scarce besides: threads hold little (thread-memory.ts).
 *
 * The stores do not give way. One that was made smaller under load made a miss cost 2.5 times as much, and
 * 5,000 visitors of one large body had it evicted under them, and fetched 330 times.
 * @module
 */
import type { Logger } from '../telemetry/log.ts';

const MIB = 2 ** 20;

/** Bytes that a process may take whose nodes have so much `memory`. */
export function processBound(memoryBytes: number): number {
  return memoryBytes * 1.25 + 64 * MIB;
}

/**
 * Memory beside the store: Node.js and what a process has once; heap and code of each thread; connections, bodies in
 * flight, buffers and garbage, of the process and of each worker. Measured by `npm run bench:memory`.
 */
const PROGRAM_BYTES = 92 * MIB;
const THREAD_BYTES = 48 * MIB;
const TRAFFIC_BYTES = 56 * MIB;
const WORKER_TRAFFIC_BYTES = 16 * MIB;

/** Least part of `memory` that is for stored responses, though the process then passes its bound. */
const LEAST_STORE = 1 / 4;

/** Part of the store's memory that the index of a disk may take besides. */
export const DISK_INDEX: number = 1 / 8;

export interface ProcessShape {
  /** Threads that serve. */
  readonly workers: number;
  /** True if another thread supervises them. */
  readonly isSupervised: boolean;
  readonly hasDisk: boolean;
}

/** Returns the bytes of the store of a node that has this `memory`. */
export function storeBytes(memoryBytes: number, { workers, isSupervised, hasDisk }: ProcessShape): number {
  const threads = workers + (isSupervised ? 1 : 0);
  const others = PROGRAM_BYTES + threads * THREAD_BYTES + TRAFFIC_BYTES + workers * WORKER_TRAFFIC_BYTES;
  const room = processBound(memoryBytes) - others;
  const most = Math.min(memoryBytes, hasDisk ? room / (1 + DISK_INDEX) : room);
  return Math.floor(Math.max(memoryBytes * LEAST_STORE, most));
}

/** Distance to the bound at which memory is scarce, as a part of `memory`. */
const SCARCE_MARGIN = 1 / 16;

/** A node, as a part of the process. */
export interface MemoryUser {
  /** Its `memory`, as the config says; may change. */
  readonly memoryBytes: () => number;
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
   * Returns whether memory is scarce.
   *
   * @param residentBytes - Of the whole process.
   */
  isScarce(residentBytes: number): boolean {
    let total = 0;
    for (const { memoryBytes } of this.#users) total += memoryBytes();
    return processBound(total) - residentBytes < total * SCARCE_MARGIN;
  }
}

/** Warns when a store cannot have all memory that the config gives it. */
export function warnOfLess(log: Logger, memory: number, { maxBytes: used }: { readonly maxBytes: number }): void {
  if (used >= memory) return;
  log.warn({ memory, used }, 'the store cannot have so much memory: it has what is possible');
}
