/** A thread that stores until a call in the middle of a write, where it stops for ever, the lock in its hands. */
import { parentPort, workerData } from 'node:worker_threads';
import { type Eviction, ReinsertionQueue } from '../../../cache/shared/eviction.ts';
import type { SharedMemory } from '../../../cache/shared/layout.ts';
import { SharedStore } from '../../../cache/shared/shared-store.ts';
import { KeyBytes } from '../../../cache/store/key-bytes.ts';
import { payloadOf } from './payloads.ts';

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

class StoppingKey extends KeyBytes {
  override copyTo(target: Buffer, offset: number): void {
    called('copy');
    super.copyTo(target, offset);
  }
}

class StoppingEviction extends ReinsertionQueue implements Eviction {
  override add(row: number): void {
    called('add');
    super.add(row);
  }

  override remove(row: number): void {
    called('remove');
    super.remove(row);
  }

  override victim(except: number): number {
    called('victim');
    return super.victim(except);
  }
}

const store = new SharedStore(memory, token, (words, header, rows) => new StoppingEviction(words, header, rows));
const key = new StoppingKey();
for (let i = 0; ; i++) {
  // Keys that may be evicted by the write that does not end are left out: the oldest ones.
  before = Array.from({ length: Math.min(i, 20) }, (_, back) => i - 1 - back).filter((number) => number % 7 !== 3);
  store.set(key.set(`https://a.example/${i}`), payloadOf(i, 1), { asOf: 0, epoch: 0 });
  if (i % 7 === 3) store.delete(key);
}
