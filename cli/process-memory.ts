/**
 * Memory of this process, which the nodes that run in it share.
 * @module
 */

import { type MemoryUser, ProcessMemory } from '../tier/process-memory.ts';
import { CHECK_MS, watchThreadMemory } from '../tier/thread-memory.ts';

const memory = new ProcessMemory();
let timers: NodeJS.Timeout[] = [];

/** 1 while memory is scarce; shared with all threads. */
export const scarcity: Int32Array = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

/** Watches what a process with this node takes, from now on. @returns Ends that. */
export function boundMemory(user: MemoryUser): () => void {
  memory.add(user);
  check();
  if (timers.length === 0) {
    timers = [setInterval(check, CHECK_MS).unref(), watchThreadMemory(() => Atomics.load(scarcity, 0) === 1)];
  }
  return () => {
    memory.remove(user);
    if (memory.isUsed) return;
    for (const timer of timers) clearInterval(timer);
    timers = [];
  };
}

function check(): void {
  Atomics.store(scarcity, 0, memory.isScarce(process.memoryUsage.rss()) ? 1 : 0);
}
