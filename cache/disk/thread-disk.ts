/**
 * The disk of a node of several threads. One thread, the main one, has it, with the memory that all share; the others
 * send it what they look up, use, replace and remove.
 *
 * What one thread replaces or removes, no other may find on disk afterwards. So a thread counts up a number in shared
 * memory, by the hash of the key, before it changes memory; the message follows. The disk's thread compares the numbers
 * with the messages that it has received: while some are missing, it looks nothing up under such a key, and puts
 * nothing into memory that it has read meanwhile.
 *
 * A thread may end in the middle of a change, after it has counted and before it has sent its message. So it notes the
 * key in shared memory before it counts; the disk's thread removes that key when the thread has ended.
 *
 * Most keys are not on disk: a filter in shared memory says so at once.
 * @module
 */
import { KeyBytes } from '../store/key-bytes.ts';
import type { Store } from '../store/store.ts';
import type { StoredResponse } from '../stored-response.ts';
import type { DiskStore } from './disk.ts';
import { MAX_KEY_BYTES } from './format.ts';
import { KeyFilter } from './key-filter.ts';
import type { SegmentDisk } from './segment-disk.ts';
import { DISK_SYSTEM, type DiskSystem } from './system.ts';

/** Message of a thread to the one that has the disk. */
export type ToDisk =
  | { readonly kind: 'disk'; readonly about: 'lookup'; readonly id: number; readonly key: string }
  | { readonly kind: 'disk'; readonly about: 'used'; readonly keys: readonly string[] }
  | { readonly kind: 'disk'; readonly about: 'replaced' | 'removed'; readonly key: string };

/** Answer to a lookup: whether memory has the key's responses now. */
export interface FromDisk {
  readonly kind: 'disk';
  readonly id: number;
  readonly isInMemory: boolean;
}

/** Shared memory of a thread and the one that has the disk. */
export interface SharedWithDisk {
  /** Changes by this thread. */
  readonly numbers: SharedArrayBuffer;
  /** Key that this thread is changing. */
  readonly changing: SharedArrayBuffer;
  /** Filter of the keys on disk. */
  readonly filter: SharedArrayBuffer;
}

/** Numbers by the hash of the key; a power of two. */
const NUMBERS = 4_096;

/** Keys that were used again are told of at most so late, or when there are so many. */
const USED_MS = 100;
const MAX_USED = 256;

/** Changes by a thread: counted by it, and known in part to the thread that has the disk. */
interface Changes {
  readonly made: Int32Array;
  readonly received: Int32Array;
}

/** Changes by all threads, as the thread that has the disk knows them. */
export class ThreadChanges {
  readonly #threads = new Map<number, Changes>();
  /** Made by threads that have ended. */
  readonly #before = new Int32Array(NUMBERS);

  /** A thread is about to start. @returns Its numbers. */
  add(thread: number): SharedArrayBuffer {
    const shared = new SharedArrayBuffer(NUMBERS * Int32Array.BYTES_PER_ELEMENT);
    this.#threads.set(thread, { made: new Int32Array(shared), received: new Int32Array(NUMBERS) });
    return shared;
  }

  /** The thread has ended, and all its messages were received. */
  ended(thread: number): void {
    const { made } = this.#threads.get(thread) ?? {};
    this.#threads.delete(thread);
    made?.forEach((count, i) => {
      this.#before[i] = (this.#before[i] as number) + count;
    });
  }

  received(thread: number, key: string): void {
    const changes = this.#threads.get(thread);
    if (changes === undefined) return;
    const at = numberOf(key);
    changes.received[at] = (changes.received[at] as number) + 1;
  }

  /** Number that is another one after a key of this hash was changed. */
  of(key: string): number {
    const at = numberOf(key);
    let sum = this.#before[at] as number;
    for (const { made } of this.#threads.values()) sum += Atomics.load(made, at);
    return sum;
  }

  /** Returns whether all changes of the key were received. */
  areReceived(key: string): boolean {
    const at = numberOf(key);
    for (const { made, received } of this.#threads.values()) {
      if (Atomics.load(made, at) !== received[at]) return false;
    }
    return true;
  }
}

/**
 * Key that a thread is changing: one at most, as a change is done at once. Its bytes are behind their number, which is
 * 0 while there is none.
 */
class ChangingKey {
  readonly shared: SharedArrayBuffer;
  readonly #length: Int32Array;
  readonly #bytes: Buffer;

  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(KEY_AT + MAX_KEY_BYTES)) {
    this.shared = shared;
    this.#length = new Int32Array(shared, 0, 1);
    this.#bytes = Buffer.from(shared, KEY_AT);
  }

  /** Notes the key, unless it is one that is too long to be on disk. */
  note(key: string): void {
    if (key.length > MAX_KEY_BYTES / MAX_BYTES_A_CHARACTER && Buffer.byteLength(key) > MAX_KEY_BYTES) return;
    Atomics.store(this.#length, 0, this.#bytes.write(key, 'utf8'));
  }

  clear(): void {
    Atomics.store(this.#length, 0, 0);
  }

  get key(): string | undefined {
    const length = Atomics.load(this.#length, 0);
    return length === 0 ? undefined : this.#bytes.toString('utf8', 0, length);
  }
}

const KEY_AT = Int32Array.BYTES_PER_ELEMENT;

/** Bytes that a character of a string takes at most. */
const MAX_BYTES_A_CHARACTER = 3;

export interface ThreadDisksOptions {
  readonly disk: Pick<SegmentDisk, 'lookup' | 'markUsed' | 'put' | 'replaceBy' | 'remove'>;
  readonly store: Store;
  readonly changes: ThreadChanges;
  readonly filter: KeyFilter;
}

/** Side of the thread that has the disk. */
export class ThreadDisks {
  readonly #options: ThreadDisksOptions;
  readonly #send = new Map<number, (message: FromDisk) => void>();
  readonly #changing = new Map<number, ChangingKey>();
  /** Lookups until all changes of their key are known. */
  #waiting: (() => void)[] = [];

  constructor(options: ThreadDisksOptions) {
    this.#options = options;
  }

  /** A thread is about to start. */
  add(thread: number, send: (message: FromDisk) => void): SharedWithDisk {
    const { changes, filter } = this.#options;
    const changing = new ChangingKey();
    this.#send.set(thread, send);
    this.#changing.set(thread, changing);
    return { numbers: changes.add(thread), changing: changing.shared, filter: filter.shared };
  }

  /** The thread has ended, and all its messages were received; memory can be used again. */
  ended(thread: number): void {
    const { disk, changes } = this.#options;
    const key = this.#changing.get(thread)?.key;
    if (key !== undefined) disk.remove(key); // memory may have what replaced it, or nothing
    this.#send.delete(thread);
    this.#changing.delete(thread);
    changes.ended(thread);
    this.#lookUpWaiting();
  }

  onMessage(thread: number, message: ToDisk): void {
    const { disk, changes } = this.#options;
    switch (message.about) {
      case 'lookup':
        this.#lookUp(thread, message.id, message.key);
        break;
      case 'used':
        for (const key of message.keys) if (!disk.markUsed(key)) disk.put(key, this.#stored(key));
        break;
      case 'replaced':
        disk.replaceBy(message.key, () => this.#stored(message.key));
        changes.received(thread, message.key);
        this.#lookUpWaiting();
        break;
      case 'removed':
        disk.remove(message.key);
        changes.received(thread, message.key);
        this.#lookUpWaiting();
        break;
    }
  }

  #lookUp(thread: number, id: number, key: string): void {
    const { disk, changes } = this.#options;
    if (!changes.areReceived(key)) {
      this.#waiting.push(() => this.#lookUp(thread, id, key));
      return;
    }
    const answer = (isInMemory: boolean): void => this.#send.get(thread)?.({ kind: 'disk', id, isInMemory });
    let loading: Promise<boolean> | undefined;
    try {
      loading = disk.lookup(key);
    } catch {
      loading = undefined; // the store cannot be used at this moment: as good as a miss
    }
    if (loading === undefined) answer(false);
    else void loading.then(answer);
  }

  /** Responses of the key in memory; none if that cannot be used at this moment, as a thread ends that has its lock. */
  #stored(key: string): readonly StoredResponse[] {
    try {
      return this.#options.store.get(key);
    } catch {
      return [];
    }
  }

  #lookUpWaiting(): void {
    for (const lookUp of this.#waiting.splice(0)) lookUp();
  }
}

/** Side of a thread that uses another one's disk. */
export class ThreadDisk implements DiskStore {
  readonly #send: (message: ToDisk) => void;
  readonly #after: DiskSystem['after'];
  readonly #made: Int32Array;
  readonly #changing: ChangingKey;
  readonly #filter: KeyFilter;
  readonly #lookups = new Map<number, (isInMemory: boolean) => void>();
  /** Lookups under way, of what this thread has not replaced or removed since. */
  readonly #loading = new Map<string, Promise<boolean>>();
  #last = 0;
  #used: string[] = [];
  #stopTimer: (() => void) | undefined;

  /** @param shared - From `ThreadDisks.add`, for this thread. */
  constructor(
    { numbers, changing, filter }: SharedWithDisk,
    send: (message: ToDisk) => void,
    after: DiskSystem['after'] = DISK_SYSTEM.after,
  ) {
    this.#after = after;
    this.#made = new Int32Array(numbers);
    this.#changing = new ChangingKey(changing);
    this.#filter = new KeyFilter(filter);
    this.#send = send;
  }

  onMessage({ id, isInMemory }: FromDisk): void {
    this.#lookups.get(id)?.(isInMemory);
    this.#lookups.delete(id);
  }

  lookup(key: string): Promise<boolean> | undefined {
    const running = this.#loading.get(key);
    if (running !== undefined) return running;
    if (!this.#filter.has(key)) return undefined;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const id = ++this.#last;
    this.#loading.set(key, promise);
    this.#lookups.set(id, (isInMemory) => {
      if (this.#loading.get(key) === promise) this.#loading.delete(key);
      resolve(isInMemory);
    });
    this.#send({ kind: 'disk', about: 'lookup', id, key });
    return promise;
  }

  put(key: string): void {
    this.#used.push(key);
    if (this.#used.length >= MAX_USED) this.#tellUsed();
    else this.#stopTimer ??= this.#after(USED_MS, () => this.#tellUsed());
  }

  #tellUsed(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    this.#send({ kind: 'disk', about: 'used', keys: this.#used });
    this.#used = [];
  }

  replacing(key: string): void {
    this.#loading.delete(key);
    this.#changing.note(key);
    Atomics.add(this.#made, numberOf(key), 1);
  }

  replace(key: string, variants: readonly StoredResponse[]): void {
    this.#changed(key, variants.length === 0 ? 'removed' : 'replaced');
  }

  remove(key: string): void {
    this.replacing(key);
    this.#changed(key, 'removed');
  }

  #changed(key: string, about: 'replaced' | 'removed'): void {
    this.#send({ kind: 'disk', about, key });
    this.#changing.clear();
  }

  async close(): Promise<void> {
    if (this.#used.length > 0) this.#tellUsed();
  }
}

function numberOf(key: string): number {
  return bytes.set(key).hash & (NUMBERS - 1);
}

const bytes = new KeyBytes();
