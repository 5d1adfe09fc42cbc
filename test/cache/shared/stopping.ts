/** A thread that stores until a call in the middle of a write, where it stops for ever, the lock in its hands. */
import { parentPort, workerData } from 'node:worker_threads';
import type { SharedMemory } from '../../../cache/shared/layout.ts';
import { SharedStore } from '../../../cache/shared/shared-store.ts';
import { MemoryBody } from '../../../cache/store/body.ts';
import { EvictionQueues } from '../../../cache/store/eviction.ts';
import { keyOf, responseOf } from './payloads.ts';

export interface StoppingOptions {
  readonly memory: SharedMemory;
  readonly token: number;
  /** `copy`: while a record is written; the others: of the eviction. */
  readonly at: 'add' | 'remove' | 'victim' | 'copy';
  /** Call at which it stops. */
  readonly nth: number;
}

export interface StoppingMessage {
  /** Keys that were stored before the write that does not end. */
  readonly before: readonly number[];
}

const { memory, token, at, nth } = workerData as StoppingOptions;
let calls = 0;
let before: number[] = [];

function called(name: StoppingOptions['at']): void {
  if (name !== at || ++calls < nth) return;
  parentPort?.postMessage({ before } satisfies StoppingMessage);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

class StoppingBody extends MemoryBody {
  override copyTo(target: Buffer, offset: number): number {
    called('copy');
    return super.copyTo(target, offset);
  }
}

class StoppingQueues extends EvictionQueues {
  override add(row: number, bytes: number): void {
    called('add');
    super.add(row, bytes);
  }

  override remove(row: number, isEvicted: boolean): void {
    called('remove');
    super.remove(row, isEvicted);
  }

  override victim(except?: number): number {
    called('victim');
    return super.victim(except);
  }
}

const shared = new SharedStore(memory, token, (...options) => new StoppingQueues(...options));
for (let i = 0; ; i++) {
  // Keys that may be evicted by the write that does not end are left out: the oldest ones.
  before = Array.from({ length: Math.min(i, 20) }, (_, back) => i - 1 - back).filter((number) => number % 7 !== 3);
  const response = responseOf(i, 1, (bytes) => new StoppingBody([{ start: 0, end: bytes.length, chunks: [bytes] }]));
  shared.set(keyOf(i), response === undefined ? [] : [response]);
  if (i % 7 === 3) shared.delete(keyOf(i));
}
