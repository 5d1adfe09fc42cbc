/**
 * The parts of a shared store, each as one thread sees it, without the store: as SharedStore makes them.
 * @module
 */
import { makeSharedMemory, type Parts, partsOf, type Shape, type SharedMemory } from '../../../cache/shared/layout.ts';
import { Pieces } from '../../../cache/shared/pieces.ts';
import { SharedData } from '../../../cache/shared/shared-data.ts';
import { SharedIndex } from '../../../cache/shared/shared-index.ts';
import { PLACE, SharedRows } from '../../../cache/shared/shared-rows.ts';
import { SharedSlabs } from '../../../cache/shared/slabs.ts';
import { StoreLock } from '../../../cache/shared/store-lock.ts';
import { Threads } from '../../../cache/shared/threads.ts';

export interface ThreadParts {
  readonly token: number;
  readonly lock: StoreLock;
  readonly data: SharedData;
  readonly rows: SharedRows;
  readonly slabs: SharedSlabs;
  readonly index: SharedIndex;
  readonly pieces: Pieces;
  /** Number of times that what the lock guards was repaired by this thread. */
  readonly repairs: () => number;
}

export interface SharedParts {
  readonly memory: SharedMemory;
  readonly shape: Shape;
  readonly parts: Parts;
  readonly words: Int32Array;
  readonly threads: Threads;
  /** Parts as a new thread sees them. @throws {RangeError} if there are too many. */
  thread(): ThreadParts;
}

export function sharedParts(maxBytes = 256 * 1024, count = 2): SharedParts {
  const memory = makeSharedMemory({ maxBytes, threads: count });
  const { shape, control } = memory;
  const parts = partsOf(shape);
  const words = new Int32Array(control);
  const threads = new Threads(memory);
  const thread = (): ThreadParts => {
    const token = threads.add();
    let repairs = 0;
    const lock = new StoreLock(words, parts.header, threads, () => void repairs++);
    const data = new SharedData(memory);
    const rows = new SharedRows(words, parts, shape);
    const index = new SharedIndex(words, parts, shape, { rows, data, lock, thread: token });
    const owner = {
      isAt: (row: number, place: number) => index.placeOf(row) === place,
      moved: (row: number, place: number) => rows.publish(row, PLACE, place + 1),
    };
    const slabs = new SharedSlabs(words, parts, shape, { data, threads, owner });
    const makeRoom = (bytes: number): boolean => slabs.bytes + bytes <= shape.slabs * shape.slabBytes;
    // One thread of the process runs the test: it never waits for itself.
    const locked = <T>(action: () => T): T => action();
    const pieces = new Pieces({ data, rows, slabs, threads, thread: token, locked, makeRoom });
    return { token, lock, data, rows, slabs, index, pieces, repairs: () => repairs };
  };
  return { memory, shape, parts, words, threads, thread };
}
