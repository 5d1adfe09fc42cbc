/**
 * Processes of nodes that have a disk, put together as cli/workers/ does: an edge of several threads that share a
 * store, whose disk and journal the main thread has; a shield of one thread with both. Threads are simulated: each has
 * the program's own objects, and what they send to each other arrives later, in order.
 *
 * A thread may end in the middle of a change. What its code does from then on has no effect.
 *
 * Held besides the rules for purges: within a process, what comes from the disk is what memory had last of the key.
 * @module
 */
import type { DiskStore } from '../../cache/disk/disk.ts';
import { KeyFilter } from '../../cache/disk/key-filter.ts';
import { SegmentDisk, type SegmentDiskOptions } from '../../cache/disk/segment-disk.ts';
import { ThreadChanges, ThreadDisk, ThreadDisks } from '../../cache/disk/thread-disk.ts';
import type { Ledger } from '../../cache/ledger.ts';
import { createSharedMemory, type SupervisedMemory } from '../../cache/shared/shared-memory.ts';
import { SharedStore } from '../../cache/shared/shared-store.ts';
import { type FillContacts, type FillPort, SharedThreadFills } from '../../cache/shared/thread-fills.ts';
import { EvictionQueues } from '../../cache/store/eviction.ts';
import { MemoryStore } from '../../cache/store/memory-store.ts';
import type { Store, StoreWriter } from '../../cache/store/store.ts';
import type { StoredResponse } from '../../cache/stored-response.ts';
import type { ThreadFills } from '../../cache/thread-fills.ts';
import { fieldValue } from '../../http/fields/headers.ts';
import { epochMs, monotonicMs } from '../../lib/clock.ts';
import { createLog } from '../../telemetry/log.ts';
import { type FromPurgedThread, PurgeRelay, RelayedPurges, type ToPurgedThread } from '../../tier/purge-relay.ts';
import type { ModelDisk } from './disk.ts';
import type { Exchange, Network, Place } from './network.ts';
import type { ModelNode } from './node.ts';
import { LEASE_MS, Violation } from './oracle.ts';
import { FETCH_FIELD } from './origin.ts';
import {
  follow,
  ModelLedger,
  makeEngine,
  memoryOf,
  nothing,
  type Part,
  type Process,
  type StartProcess,
  type World,
} from './process.ts';

const NO_LOG = createLog({ name: 'model', level: 'silent' });

const STORE_BYTES = 64 * 1024;
const THREADS = 2;

/** Places for threads in shared memory: one that was used is not used again, as its thread's code may still run. */
const MAX_THREADS = 64;

const SEGMENT_BYTES = 8 * 1024;
const SEGMENTS = 4;
const INDEX_BYTES = 128 * 1024;

/** Longest wait of a start for the journal, as in tier/node-disk.ts. */
const MAX_JOURNAL_WAIT_MS = 2_000;

/** Times that a message between threads takes, by the noise. */
const MESSAGE_MS = [0, 0, 0, 1, 3, 20];

/** Times until the main thread knows that another one has ended. */
const ENDED_MS = [0, 1, 20, 300];

function pick(network: Network, times: readonly number[]): number {
  return times[Math.floor(network.random() * times.length)] as number;
}

/** Responses that memory had last of each key of a process, in a word. */
class LastStored {
  readonly #words = new Map<string, ReadonlySet<string>>();

  stored(key: string, variants: readonly StoredResponse[]): void {
    this.#words.set(key, new Set([wordOf(variants)]));
  }

  /** It may have been stored, or not: a thread has ended meanwhile. */
  perhapsStored(key: string, variants: readonly StoredResponse[]): void {
    const known = this.#words.get(key);
    if (known !== undefined) this.#words.set(key, new Set([...known, wordOf(variants)]));
  }

  /** @throws {Violation} if it is not what memory had last. */
  fromDisk(key: string, variants: readonly StoredResponse[]): void {
    const [known, found] = [this.#words.get(key), wordOf(variants)];
    if (known === undefined) this.stored(key, variants);
    else if (!known.has(found))
      throw new Violation(
        `from disk comes ${found || 'nothing'} for ${key}, where memory had ${[...known].join(' or ')}`,
      );
  }
}

function wordOf(variants: readonly StoredResponse[]): string {
  return variants.map(({ headers, length }) => `${fieldValue(headers, FETCH_FIELD)}/${length}`).join(' ');
}

/** A store, watched. */
class WatchedStore implements Store {
  protected readonly store: Store;
  protected readonly last: LastStored;

  constructor(store: Store, last: LastStored) {
    this.store = store;
    this.last = last;
  }

  get maxBytes(): number {
    return this.store.maxBytes;
  }

  get bytesInUse(): number {
    return this.store.bytesInUse;
  }

  get size(): number {
    return this.store.size;
  }

  set onReused(onReused: Store['onReused']) {
    this.store.onReused = onReused;
  }

  get: Store['get'] = (key) => this.store.get(key);
  has: Store['has'] = (key) => this.store.has(key);
  begin: Store['begin'] = (bytes) => this.store.begin(bytes);
  combine: Store['combine'] = (first, second) => this.store.combine(first, second);
  entries: Store['entries'] = () => this.store.entries();
  resize: Store['resize'] = (bytes) => this.store.resize(bytes);
  exclusively<T>(action: () => T): T {
    return this.store.exclusively(action);
  }

  set(key: string, variants: readonly StoredResponse[]): void {
    this.store.set(key, variants);
    this.last.stored(key, variants);
  }

  delete(key: string): void {
    this.store.delete(key);
    this.last.stored(key, []);
  }
}

/** Memory as the disk uses it. */
class StoreOfDisk extends WatchedStore {
  readonly #failed: World['failed'];

  constructor(store: Store, last: LastStored, failed: World['failed']) {
    super(store, last);
    this.#failed = failed;
  }

  override set(key: string, variants: readonly StoredResponse[]): void {
    this.store.set(key, variants);
    try {
      this.last.fromDisk(key, variants);
    } catch (error) {
      this.#failed(error);
    }
  }
}

/** A thread has ended inside of what the program does at once. */
class EndedInside extends Error {}

/** End of a thread: at once, or when it has done so many things more. */
class Ending {
  readonly #onEnded: () => void;
  #left = Number.POSITIVE_INFINITY;
  isOver = false;

  constructor(onEnded: () => void) {
    this.#onEnded = onEnded;
  }

  in(steps: number): void {
    this.#left = steps;
    if (steps === 0) this.#end();
  }

  /** The thread has come to something that it may not live to see. @returns Whether it goes on. */
  reached(): boolean {
    if (!this.isOver && --this.#left <= 0) this.#end();
    return !this.isOver;
  }

  #end(): void {
    this.isOver = true;
    this.#onEnded();
  }
}

/** Queues in the middle of whose changes the thread may end. */
class FragileQueues extends EvictionQueues {
  readonly #ending: Ending;

  constructor(ending: Ending, ...options: ConstructorParameters<typeof EvictionQueues>) {
    super(...options);
    this.#ending = ending;
  }

  override add(row: number, bytes: number): void {
    this.#reached();
    super.add(row, bytes);
    this.#reached();
  }

  override replace(row: number, bytes: number): void {
    this.#reached();
    super.replace(row, bytes);
    this.#reached();
  }

  override remove(row: number, isEvicted: boolean): void {
    this.#reached();
    super.remove(row, isEvicted);
  }

  #reached(): void {
    if (!this.#ending.isOver && !this.#ending.reached()) throw new EndedInside();
  }
}

/** The store as a thread has it that may end. */
class StoreOfThread extends WatchedStore {
  readonly #ending: Ending;
  readonly #endedInStore: () => void;

  constructor(store: Store, last: LastStored, ending: Ending, endedInStore: () => void) {
    super(store, last);
    this.#ending = ending;
    this.#endedInStore = endedInStore;
  }

  override get: Store['get'] = (key) => (this.#ending.isOver ? [] : this.store.get(key));
  override has: Store['has'] = (key) => !this.#ending.isOver && this.store.has(key);
  override begin: Store['begin'] = (bytes) => {
    const writer = this.#ending.reached() ? this.store.begin(bytes) : undefined;
    return writer && this.#writer(writer);
  };

  override exclusively<T>(action: () => T): T {
    return this.#ending.isOver ? action() : this.store.exclusively(action);
  }

  override set(key: string, variants: readonly StoredResponse[]): void {
    this.#change(key, variants, () => super.set(key, variants));
  }

  override delete(key: string): void {
    this.#change(key, [], () => super.delete(key));
  }

  #change(key: string, variants: readonly StoredResponse[], change: () => void): void {
    if (!this.#ending.reached()) return;
    try {
      change();
    } catch (error) {
      if (!(error instanceof EndedInside)) throw error;
      this.last.perhapsStored(key, variants);
      this.#endedInStore();
      return;
    }
    this.#ending.reached();
  }

  #writer(writer: StoreWriter): StoreWriter {
    return {
      append: (chunk, isLast) => (this.#ending.reached() ? writer.append(chunk, isLast) : undefined),
      commit: (start) => writer.commit(start),
      abort: () => writer.abort(),
    };
  }
}

/** The disk as a thread has it that may end. */
class DiskOfThread implements DiskStore {
  readonly #disk: ThreadDisk;
  readonly #ending: Ending;

  constructor(disk: ThreadDisk, ending: Ending) {
    this.#disk = disk;
    this.#ending = ending;
  }

  lookup(key: string): Promise<boolean> | undefined {
    return this.#ending.isOver ? undefined : this.#disk.lookup(key);
  }

  put(key: string): void {
    if (!this.#ending.isOver) this.#disk.put(key);
  }

  replacing(key: string): void {
    this.#unlessEnded(() => this.#disk.replacing(key));
  }

  replace(key: string, variants: readonly StoredResponse[]): void {
    this.#unlessEnded(() => this.#disk.replace(key, variants));
  }

  remove(key: string): void {
    this.#unlessEnded(() => this.#disk.remove(key));
  }

  close(): Promise<void> {
    return this.#disk.close();
  }

  #unlessEnded(change: () => void): void {
    if (this.#ending.isOver) return;
    try {
      change();
    } catch (error) {
      if (!(error instanceof EndedInside)) throw error;
    }
  }
}

/** Messages from one thread to another: each arrives after those before it. */
class Line {
  readonly #network: Network;
  readonly #to: Place;
  #lastAt = 0;

  constructor(network: Network, to: Place) {
    this.#network = network;
    this.#to = to;
  }

  send(arrive: () => void): void {
    const { clock } = this.#network;
    this.#lastAt = Math.max(this.#lastAt, clock.now + pick(this.#network, MESSAGE_MS));
    this.#network.at(this.#to, this.#lastAt, arrive);
  }
}

class ThreadPlace implements Place {
  readonly name: string;
  readonly exchanges = new Set<Exchange>();
  readonly #node: Place;
  readonly #nodeLife: number | undefined;
  readonly #number: number;
  isOver = false;

  constructor(node: Place, number: number) {
    this.name = node.name;
    this.#node = node;
    this.#nodeLife = node.life;
    this.#number = number;
  }

  get life(): number | undefined {
    return this.isOver || this.#node.life !== this.#nodeLife ? undefined : this.#number;
  }

  get frozenUntil(): number {
    return this.#node.frozenUntil;
  }

  end(): void {
    const exchanges = [...this.exchanges];
    this.isOver = true;
    for (const exchange of exchanges) exchange.breakOff(this);
    this.exchanges.clear();
  }
}

/** A node's process whose threads can end by themselves. */
export interface DiskProcess extends Process {
  /** @param steps - Things that the thread still does. */
  endThread(index: number, steps: number): void;
  /** Takes a key out of memory, as eviction does. */
  evict(key: string): void;
}

function diskOptions(world: World, disk: ModelDisk): Omit<SegmentDiskOptions, 'store' | 'ledger'> {
  const { clock } = world.network;
  return {
    path: '/disk',
    maxBytes: SEGMENTS * SEGMENT_BYTES,
    segmentBytes: SEGMENT_BYTES,
    bufferBytes: SEGMENT_BYTES / 2,
    writeBytesPerSecond: Number.MAX_SAFE_INTEGER,
    maxIndexBytes: INDEX_BYTES,
    now: () => epochMs(clock.now),
    monotonic: () => monotonicMs(clock.now),
    events: {
      failed: (error) => world.trace(() => `  a disk is left out: ${error.message}`),
      opened: (renewal, objects) => world.trace(() => `  a disk is in use: ${renewal ?? `${objects} objects`}`),
    },
    retryMs: { firstMs: 100, maxMs: 2_000 },
    system: disk.system,
  };
}

/** Plants the faults of what comes from disk. */
function broken<L extends Ledger>(ledger: L, { breakage }: World): L {
  if (breakage === 'disk-stamp') ledger.stampRestored = (position) => ledger.stampNow(position);
  return ledger;
}

/** Resolves when the ledger is up to date, or after a while. */
async function upToDate({ network: { clock } }: World, { system }: ModelDisk, ledger: Ledger): Promise<void> {
  if (ledger.holdsLease(epochMs(clock.now), monotonicMs(clock.now))) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  system.after(MAX_JOURNAL_WAIT_MS, resolve);
  await Promise.race([ledger.whenUpToDate, promise]);
}

/** A process of one thread, with a store and a disk of its own. */
export class OneThread implements DiskProcess {
  readonly parts: Part[] = [];
  readonly memories: Process['memories'];
  readonly #store = new MemoryStore(STORE_BYTES);
  readonly #follower: ReturnType<typeof follow>;

  constructor(world: World, node: ModelNode, disk: ModelDisk) {
    const ledger = broken(new ModelLedger(world, memoryOf(node)), world);
    this.memories = [ledger.memory];
    this.#follower = follow(world, node, ledger);
    this.#open(world, node, disk, ledger).catch(world.failed);
  }

  async #open(world: World, node: ModelNode, model: ModelDisk, ledger: ModelLedger): Promise<void> {
    const { life } = node;
    const last = new LastStored();
    const options = diskOptions(world, model);
    const disk = await SegmentDisk.open({
      ...options,
      ledger,
      store: new StoreOfDisk(this.#store, last, world.failed),
    });
    await upToDate(world, model, ledger);
    if (node.life !== life) return;
    const engine = makeEngine(world, { store: new WatchedStore(this.#store, last), ledger, disk });
    this.parts.push({ place: node, memory: ledger.memory, ledger, engine, onEnded: () => nothing });
  }

  endThread(): void {
    // it has none
  }

  evict(key: string): void {
    this.#store.delete(key);
  }

  stop(): void {
    void this.#follower.stop();
  }
}

interface Opened {
  readonly threads: ThreadDisks;
  readonly store: SharedStore;
  readonly disk: SegmentDisk;
}

interface Thread extends Part {
  readonly number: number;
  readonly token: number;
  readonly ending: Ending;
  readonly place: ThreadPlace;
  readonly toMain: Line;
  /** Called when it has ended. */
  readonly listeners: Set<() => void>;
  readonly onPort: Set<(port: FillPort) => void>;
  readonly ports: Set<FillPort>;
}

/** A process of several threads. */
export class SeveralThreads implements DiskProcess {
  readonly #world: World;
  readonly #node: ModelNode;
  readonly #model: ModelDisk;
  readonly #relay = new PurgeRelay();
  readonly #memory: SupervisedMemory = createSharedMemory({ maxBytes: STORE_BYTES, threads: MAX_THREADS });
  readonly #last = new LastStored();
  readonly #threads: Thread[] = [];
  #opened: Opened | undefined;
  #started = 0;
  #follower: ReturnType<typeof follow> | undefined;

  constructor(world: World, node: ModelNode, disk: ModelDisk) {
    this.#world = world;
    this.#node = node;
    this.#model = disk;
    this.#memory.resize(STORE_BYTES, THREADS);
    this.#relay.ledger.leaseMs = LEASE_MS;
    this.#relay.start(({ ledger }) => {
      const follower = follow(world, node, ledger);
      this.#follower = follower;
      const none = async (): Promise<void> => undefined;
      return {
        renew: () => follower.renew(),
        purge: none,
        invalidate: none,
        release: nothing,
        reload: nothing,
        close: none,
      };
    });
    this.#open().catch(world.failed);
  }

  get parts(): readonly Part[] {
    return this.#threads.filter(({ ending }) => !ending.isOver);
  }

  get memories(): Process['memories'] {
    return this.#threads.filter(({ ending }) => !ending.isOver).map(({ memory }) => memory);
  }

  async #open(): Promise<void> {
    const { life } = this.#node;
    const world = this.#world;
    const { buffers } = this.#memory;
    const store = new SharedStore(buffers, this.#memory.addThread());
    const ledger = broken(this.#relay.ledger, world);
    const [changes, filter] = [new ThreadChanges(), KeyFilter.make(INDEX_BYTES)];
    const disk = await SegmentDisk.open({
      ...diskOptions(world, this.#model),
      ledger,
      store: new StoreOfDisk(store, this.#last, world.failed),
      changes: (key) => changes.of(key),
      filter,
    });
    await upToDate(world, this.#model, ledger);
    if (this.#node.life !== life) return;
    this.#opened = { store, disk, threads: new ThreadDisks({ disk: this.#ofThreads(disk), store, changes, filter }) };
    for (let i = 0; i < THREADS; i++) this.#start(this.#opened);
  }

  /** True while the main thread cleans up after another one. */
  #isEnding = false;

  #ofThreads(disk: SegmentDisk): ConstructorParameters<typeof ThreadDisks>[0]['disk'] {
    if (this.#world.breakage !== 'disk-ended') return disk;
    return {
      lookup: (key) => disk.lookup(key),
      markUsed: (key) => disk.markUsed(key),
      put: (key, variants) => disk.put(key, variants),
      replaceBy: (key, variants) => disk.replaceBy(key, variants),
      remove: (key) => {
        if (!this.#isEnding) disk.remove(key);
      },
    };
  }

  #start(opened: Opened): void {
    const world = this.#world;
    const { network } = world;
    const node = this.#node;
    const number = ++this.#started;
    const place = new ThreadPlace(this.#node, number);
    const token = this.#memory.addThread();
    const [toMain, fromMain] = [new Line(network, this.#node), new Line(network, place)];
    const ending = new Ending(() => this.#onEnded(thread));
    const store = new SharedStore(this.#memory.buffers, token, (...options) => new FragileQueues(ending, ...options));
    const shared = opened.threads.add(number, (message) => fromMain.send(() => disk.onMessage(message)));
    const disk = new ThreadDisk(
      shared,
      (message) => {
        const isChange = message.about === 'replaced' || message.about === 'removed';
        if (isChange && !ending.reached()) throw new EndedInside();
        toMain.send(() => opened.threads.onMessage(number, message));
      },
      (ms, happen) => {
        const timer = network.at(place, network.clock.now + ms, happen);
        return () => timer.cancel();
      },
    );
    const start = this.#relay.add(number, (message: ToPurgedThread) => fromMain.send(() => purges.onMessage(message)));
    const purges = new RelayedPurges(start, (message: FromPurgedThread) =>
      toMain.send(() => this.#relay.onMessage(number, message)),
    );
    const ledger = new ModelLedger(world, memoryOf(this.#node, number));
    const listeners = new Set<() => void>();
    const [ports, onPort] = [new Set<FillPort>(), new Set<(port: FillPort) => void>()];
    const fills = new SharedThreadFills(
      store,
      token,
      this.#contacts(() => thread),
    );
    const watched = new StoreOfThread(store, this.#last, ending, () => this.#memory.ended(token));
    const engine = makeEngine(world, {
      store: watched,
      ledger,
      threads: fillsOf(fills, ending),
      disk: new DiskOfThread(disk, ending),
    });
    const thread: Thread = {
      number,
      token,
      ending,
      place,
      memory: ledger.memory,
      ledger,
      engine,
      toMain,
      listeners,
      ports,
      onPort,
      onEnded: (ended) => {
        listeners.add(ended);
        return () => listeners.delete(ended);
      },
    };
    this.#threads.push(thread);
    purges.follow({ member: node.name, ledger, log: NO_LOG });
    world.learnt();
  }

  /** Channels to other threads, for the fills of one. */
  #contacts(thread: () => Thread): FillContacts {
    const { network } = this.#world;
    return {
      open: (token) => {
        const from = thread();
        const to = this.#threads.find((other) => other.token === token && !other.ending.isOver);
        const [here, there] = channel(network, from.place, to?.place);
        from.ports.add(here);
        if (to === undefined) here.close();
        else {
          to.ports.add(there);
          for (const onPort of to.onPort) onPort(there);
        }
        return here;
      },
      listen: (_token, onPort) => {
        queueMicrotask(() => thread().onPort.add(onPort));
        return nothing;
      },
    };
  }

  #onEnded(thread: Thread): void {
    const { network } = this.#world;
    this.#world.trace(() => `  ${thread.memory.name} ends`);
    thread.place.end();
    for (const listener of thread.listeners) listener();
    for (const port of thread.ports) port.close();
    // After all that it has sent.
    const clean = (): void => thread.toMain.send(() => this.#clean(thread));
    network.at(this.#node, network.clock.now + pick(network, ENDED_MS), clean);
    this.#world.learnt();
  }

  /** The main thread knows that another one has ended. */
  #clean(thread: Thread): void {
    const index = this.#threads.indexOf(thread);
    if (index < 0 || this.#opened === undefined) return;
    this.#world.trace(() => `  ${thread.memory.name} is known to have ended`);
    this.#threads.splice(index, 1);
    this.#memory.ended(thread.token);
    this.#memory.addThread(); // its place is not another one's
    this.#isEnding = true;
    this.#opened.threads.ended(thread.number);
    this.#isEnding = false;
    this.#relay.ended(thread.number);
    this.#start(this.#opened);
  }

  endThread(index: number, steps: number): void {
    const thread = this.#threads[index % THREADS];
    if (thread !== undefined && !thread.ending.isOver) thread.ending.in(steps);
  }

  evict(key: string): void {
    this.#opened?.store.delete(key);
  }

  stop(): void {
    void this.#follower?.stop();
    for (const { place } of this.#threads) place.end();
    const errors = this.#memory.errors();
    if (errors.length > 0) this.#world.failed(new Violation(`the store of ${this.#node.name}: ${errors.join(', ')}`));
  }
}

/** Fills of other threads, as a thread has them that may end. */
function fillsOf(fills: SharedThreadFills, ending: Ending): ThreadFills {
  return {
    get count() {
      return fills.count;
    },
    serve: (followed) => fills.serve(followed),
    claim: (place) => (ending.isOver ? undefined : fills.claim(place)),
    invalidations: (key) => fills.invalidations(key),
    invalidated: (key) => {
      if (ending.reached()) fills.invalidated(key);
    },
    close: () => fills.close(),
  };
}

/** @param to - Absent: no thread has the other end. */
function channel(network: Network, from: Place, to: Place | undefined): readonly [FillPort, FillPort] {
  let isClosed = false;
  const ends = [from, to ?? from].map((place) => ({
    line: new Line(network, place),
    receive: nothing as (message: unknown) => void,
    closed: nothing as () => void,
  }));
  const port = (index: 0 | 1): FillPort => {
    const [own, other] = [ends[index], ends[1 - index]] as [(typeof ends)[0], (typeof ends)[0]];
    return {
      postMessage(message) {
        if (isClosed) return;
        const copy: unknown = structuredClone(message);
        other.line.send(() => {
          if (!isClosed) other.receive(copy);
        });
      },
      close() {
        if (isClosed) return;
        isClosed = true;
        for (const end of ends) end.line.send(() => end.closed());
      },
      onMessage(receive) {
        own.receive = receive;
      },
      onClose(closed) {
        own.closed = closed;
      },
    };
  };
  return [port(0), port(1)];
}

/** Processes of a node with a disk, one after the other. */
export function startsWithDisk(
  world: World,
  node: ModelNode,
  disk: ModelDisk,
  started: (process: DiskProcess) => void,
): StartProcess {
  return (isKept) => {
    if (!isKept) disk.clear();
    const process = new (node.name.startsWith('shield') ? OneThread : SeveralThreads)(world, node, disk);
    started(process);
    return process;
  };
}
