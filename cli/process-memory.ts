/**
 * Memory of this process, which the nodes that run in it share.
 * @module
 */

import type { EdgeConfig, RegionConfig, ShieldConfig } from '../config/schema.ts';
import { memoryOf } from '../config/workers.ts';
import { type MemoryUser, ProcessMemory, storeBytes } from '../tier/process-memory.ts';
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

/** Returns the region as a node of one thread is to see it: its `memory` is that of its store. */
export function withStoreBytes(region: RegionConfig, node: EdgeConfig | ShieldConfig): RegionConfig {
  const replaced = <Node extends EdgeConfig | ShieldConfig>(one: Node): Node => {
    if (one.name !== node.name) return one;
    const shape = { workers: 1, isSupervised: false, hasDisk: one.disk !== undefined };
    return { ...one, memory: storeBytes(memoryOf(region, node), shape) };
  };
  return { ...region, edges: region.edges.map(replaced), shields: region.shields.map(replaced) };
}

function check(): void {
  Atomics.store(scarcity, 0, memory.isScarce(process.memoryUsage.rss()) ? 1 : 0);
}
