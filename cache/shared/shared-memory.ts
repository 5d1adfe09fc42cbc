/**
 * The memory of a store for the threads of a process: made by the thread that supervises, handed to the others as
 * SharedArrayBuffers.
 *
 * ```
 * const memory = createSharedMemory({ maxBytes, threads });
 * const token = memory.addThread();
 * const worker = new Worker(program, { workerData: { buffers: memory.buffers, token } });
 * worker.once('exit', () => memory.ended(token));
 * ```
 *
 * and in the thread `const store = attach(buffers, token)`.
 *
 * `ended` has to be called for each token, however its thread has ended, and not before it has: what the thread has
 * pinned, claimed and locked is then free again. A thread that takes its place gets a token of its own.
 * @module
 */
import { type MemoryOptions, makeSharedMemory, type SharedMemory } from './layout.ts';
import { SharedStore } from './shared-store.ts';

/** Memory of a store, as the thread that supervises has it. */
export interface SupervisedMemory {
  /** Can be sent to a thread, in `workerData` or a message. */
  readonly buffers: SharedMemory;
  /** Makes the token of a thread that is about to start. @throws {RangeError} if there are too many at a time. */
  addThread(): number;
  /** Frees what a thread has used that runs no more. Idempotent. */
  ended(token: number): void;
  /**
   * Changes the memory of the store, at most to four times what it began with, and the number of threads that share
   * the room for decoded copies.
   */
  resize(maxBytes: number, threads?: number): void;
  readonly maxBytes: number;
  /** Bytes in use, and keys that are stored, by all threads together. */
  readonly bytesInUse: number;
  readonly size: number;
  /** @returns Errors in the index; for tests, with no writer at work. */
  errors(): readonly string[];
}

/** Pause before another attempt to clean up, where a thread has the lock for so long that it has ended, or hangs. */
const REPAIR_MS = 1_000;

/** Makes the memory of an empty store. */
export function createSharedMemory(options: MemoryOptions): SupervisedMemory {
  const buffers = makeSharedMemory(options);
  const supervisor = SharedStore.supervise(buffers, options.maxBytes);
  let retrying: NodeJS.Timeout | undefined;
  const retry = (): void => {
    clearTimeout(retrying);
    retrying = setTimeout(() => {
      if (!supervisor.repair()) retry();
    }, REPAIR_MS).unref();
  };
  return {
    buffers,
    addThread: () => supervisor.addThread(),
    ended(token) {
      if (!supervisor.ended(token)) retry();
    },
    resize: (maxBytes, threads) => supervisor.resize(maxBytes, threads),
    get maxBytes() {
      return supervisor.maxBytes;
    },
    get bytesInUse() {
      return supervisor.bytesInUse;
    },
    get size() {
      return supervisor.size;
    },
    errors: () => supervisor.errors(),
  };
}

/** Opens the store in a thread. @param token - From `addThread`, for this thread alone. */
export function attach(buffers: SharedMemory, token: number): SharedStore {
  return new SharedStore(buffers, token);
}

/** Opens a store for this thread alone. */
export function openOwnStore(maxBytes: number): SharedStore {
  const { buffers, addThread } = createSharedMemory({ maxBytes, threads: 1 });
  return attach(buffers, addThread());
}
