/**
 * A thread that stores, deletes and reads at random until it is stopped. It writes the keys that are its own, each with
 * rising versions, and checks those of all threads.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { SharedMemory } from '../../../cache/shared/layout.ts';
import { SharedStore } from '../../../cache/shared/shared-store.ts';
import { seededRandom } from '../../support/random.ts';
import { keyOf, store, versionIn } from './payloads.ts';

export interface HammerOptions {
  readonly memory: SharedMemory;
  readonly token: number;
  readonly seed: number;
  /** Keys of all threads; its own are those that leave `own` when divided by `writers`. */
  readonly keys: number;
  readonly own: number;
  readonly writers: number;
  /** Part of the operations on its own keys that store. */
  readonly writes: number;
  /** Operations after which it says that it is at work. */
  readonly reportAt: number;
  /** Absent: until it is stopped. */
  readonly operations?: number;
  /** True if there is room for all keys, so that none may be missing. */
  readonly hasRoom: boolean;
}

export interface HammerResult {
  readonly reads: number;
  readonly error: string | undefined;
}

const {
  memory,
  token,
  seed,
  keys,
  own,
  writers,
  writes,
  reportAt,
  operations = Number.POSITIVE_INFINITY,
  hasRoom,
} = workerData as HammerOptions;
const shared = new SharedStore(memory, token);
const random = seededRandom(seed);
/** Versions of its own keys; 0 for what is not stored. */
const stored = new Map<number, number>();
/** Latest version that was seen of each key. */
const seen = new Map<number, number>();
let version = 0;
let reads = 0;

function hammer(): void {
  for (let i = 0; i < operations; i++) {
    if (i === reportAt) parentPort?.postMessage('begun');
    const number = Math.floor(random() * keys);
    const isOwn = number % writers === own;
    const dice = random();
    if (isOwn && dice < writes) {
      version++;
      store(shared, number, version);
      stored.set(number, version);
    } else if (isOwn && dice < writes + 0.05) {
      shared.delete(keyOf(number));
      stored.set(number, 0);
    } else check(number, isOwn);
  }
}

function check(number: number, isOwn: boolean): void {
  const found = versionIn(shared, number);
  if (found === undefined) {
    if (isOwn && hasRoom && stored.get(number)) throw new Error(`key ${number} is lost`);
    return;
  }
  reads++;
  if (isOwn && found !== stored.get(number))
    throw new Error(`key ${number} has version ${found}, not ${stored.get(number)}`);
  if (found < (seen.get(number) ?? 0)) throw new Error(`key ${number} went back to version ${found}`);
  seen.set(number, found);
}

try {
  hammer();
  parentPort?.postMessage({ reads, error: undefined } satisfies HammerResult);
} catch (error) {
  parentPort?.postMessage({ reads, error: (error as Error).stack } satisfies HammerResult);
}
