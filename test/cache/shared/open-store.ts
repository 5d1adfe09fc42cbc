/** A shared store, and the objects of the threads that use it. */
import { makeSharedMemory, type SharedMemory } from '../../../cache/shared/layout.ts';
import { SharedStore } from '../../../cache/shared/shared-store.ts';

export interface OpenStore {
  readonly memory: SharedMemory;
  /** Object of the thread that supervises. */
  readonly supervisor: SharedStore;
  /** Object of the only other one, so far. */
  readonly store: SharedStore;
}

export function openStore(maxBytes: number, threads = 1): OpenStore {
  const memory = makeSharedMemory({ maxBytes, threads });
  const supervisor = SharedStore.supervise(memory, maxBytes);
  return { memory, supervisor, store: new SharedStore(memory, supervisor.addThread()) };
}
