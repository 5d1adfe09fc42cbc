/**
 * Bound of a process's memory (promise P5): the `memory` of its nodes, a quarter of that, and 64 MiB, for all that the
 * process has resident: program, heaps of threads, connections, bodies in flight, what is stored (docs/sizing.md). Near
 * the bound memory is scarce: threads hold little (thread-memory.ts).
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
