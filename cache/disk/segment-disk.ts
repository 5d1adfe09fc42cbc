/**
 * Responses on disk: which ones get there, how they come back, and what happens when the disk fails.
 *
 * A disk that fails is left out. It is opened again after a while, as a process that starts would open it, and with
 * what was removed meanwhile; where that is more than is remembered, the folder is emptied.
 * @module
 */
import { isInHistory, type JournalPosition, type Term } from '../../journal/terms.ts';
import { Backoff } from '../../lib/backoff.ts';
import { type EpochMs, type MonotonicMs, msBetween } from '../../lib/clock.ts';
import { TokenBucket } from '../../lib/token-bucket.ts';
import type { Ledger } from '../ledger.ts';
import type { Store } from '../store/store.ts';
import type { StoredResponse } from '../stored-response.ts';
import type { DiskStore } from './disk.ts';
import { DiskInUseError, isFollowedBy, type OpenedFolder, openFolder, type Renewal } from './folder.ts';
import { MAX_SEGMENT_BYTES, recordBytes, type Word64 } from './format.ts';
import type { KeyFilter } from './key-filter.ts';
import { contentOf, responsesOf } from './response-bytes.ts';
import { SeenKeys } from './seen-keys.ts';
import { type AppendRefusal, MIN_SEGMENTS, type SegmentCounts, SegmentStore } from './segment-store.ts';
import { DiskBusyError, Space } from './space.ts';
import { DISK_SYSTEM, type DiskSystem } from './system.ts';

export interface SegmentDiskOptions {
  readonly path: string;
  readonly maxBytes: number;
  readonly writeBytesPerSecond: number;
  readonly maxIndexBytes: number;
  /** Memory, and the purges that responses are compared with. */
  readonly store: Store;
  readonly ledger: Ledger;
  readonly now: () => EpochMs;
  readonly monotonic: () => MonotonicMs;
  readonly events: DiskEvents;
  /** Returns a number that is another one after another thread has changed the key; by default none does. */
  readonly changes?: ((key: string) => number) | undefined;
  /** Filter of its keys, for other threads. */
  readonly filter?: KeyFilter | undefined;
  /** By default what suits the size. */
  readonly segmentBytes?: number | undefined;
  readonly bufferBytes?: number | undefined;
  readonly system?: DiskSystem | undefined;
  /** Pauses before it is opened again. */
  readonly retryMs?: { readonly firstMs: number; readonly maxMs: number } | undefined;
}

export interface DiskEvents {
  /** The disk is left out. */
  failed(error: Error): void;
  /** The disk is in use: from the start, or again. */
  opened(renewal: Renewal | undefined, objects: number): void;
}

/** Reasons why a response did not get onto disk. */
export type DiskRefusal = AppendRefusal | 'failed' | 'budget' | 'unreadable';

/** Results of looking a key up that the index has. */
export type DiskRead = 'hit' | 'lost' | 'busy' | 'no-room';

/** Segments of a small disk. */
const USUAL_SEGMENTS = 8;

/** A burst of so many seconds of the write budget. */
const BURST_SECONDS = 1;

/** A start does not wait longer for a disk: what is read of it later is used then. */
const MAX_LOAD_WAIT_MS = 2_000;

/** Nor does an end wait longer for what is to be written. */
const MAX_CLOSE_WAIT_MS = 2_000;

/** Keys removed while the disk is left out, of which is known that they were. */
const MAX_REMOVED_KEYS = 50_000;

/** Terms of journals that the folder remembers. */
const MAX_NOTED_TERMS = 1_000;

const RETRY = { firstMs: 1_000, maxMs: 60_000 };

/** A disk in use. */
interface Life {
  readonly folder: OpenedFolder;
  readonly segments: SegmentStore;
}

export class SegmentDisk implements DiskStore {
  readonly #options: SegmentDiskOptions;
  readonly #system: DiskSystem;
  readonly #budget: TokenBucket;
  readonly #seen = new SeenKeys();
  /** Reads under way, of what has not been replaced or removed since. */
  readonly #loading = new Map<string, Promise<boolean>>();
  readonly #closing = new AbortController();
  readonly #backoff: Backoff;
  #life: Life | undefined;
  #inUseSince: MonotonicMs | undefined;
  #failure: Error | undefined;
  /** Removals while the disk is left out: applied when it is opened again. */
  #removed: { readonly hashes: readonly Word64[]; readonly keys: Set<string> } = { hashes: [], keys: new Set() };
  /** Reason why the folder is to be begun anew when it is opened again. */
  #outdated: Renewal | undefined;
  #retrying: Promise<void> = Promise.resolve();
  /** Totals of disks in use before this one. */
  #before: Readonly<SegmentCounts> = { appendedBytes: 0, reinsertedBytes: 0, corrupt: 0 };
  failures = 0;
  readonly reads: Record<DiskRead, number> = { hit: 0, lost: 0, busy: 0, 'no-room': 0 };
  readonly refusals: Partial<Record<DiskRefusal, number>> = {};

  /** @throws {DiskInUseError}; a disk that cannot be used for another reason is left out until it can. */
  static async open(options: SegmentDiskOptions): Promise<SegmentDisk> {
    const disk = new SegmentDisk(options);
    options.ledger.onMoved = () => disk.#noteApplied();
    await disk.#open(true);
    return disk;
  }

  private constructor(options: SegmentDiskOptions) {
    this.#options = options;
    const { writeBytesPerSecond: perSecond, monotonic, retryMs = RETRY, system = DISK_SYSTEM } = options;
    this.#system = system;
    this.#budget = new TokenBucket({ burst: perSecond * BURST_SECONDS, perSecond }, monotonic());
    this.#backoff = new Backoff({ ...retryMs, random: () => system.random(4).readUInt32LE() / 2 ** 32 });
  }

  /** Error that the disk is left out for. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  get objects(): number {
    return this.#life?.segments.size ?? 0;
  }

  get indexBytes(): number {
    return this.#life?.segments.indexBytes ?? 0;
  }

  get maxBytes(): number {
    return this.#options.maxBytes;
  }

  get counts(): Readonly<SegmentCounts> {
    return this.#life === undefined ? this.#before : sum(this.#before, this.#life.segments.counts);
  }

  /** Sets the bytes that may be written a second. */
  set writeBytesPerSecond(perSecond: number) {
    this.#budget.pace = { burst: perSecond * BURST_SECONDS, perSecond };
  }

  lookup(key: string): Promise<boolean> | undefined {
    const running = this.#loading.get(key);
    if (running !== undefined) return running;
    const life = this.#life;
    if (life === undefined || !life.segments.has(key) || this.#options.store.get(key).length > 0) return undefined;
    const read = life.segments.read(key);
    if (read === undefined) return undefined;
    const { changes = () => 0 } = this.#options;
    const before = changes(key);
    const isCurrent = (): boolean =>
      this.#life === life && this.#loading.get(key) === loaded && changes(key) === before;
    const loaded = this.#load(key, read, isCurrent).finally(() => {
      if (this.#loading.get(key) === loaded) this.#loading.delete(key);
    });
    this.#loading.set(key, loaded);
    return loaded;
  }

  /**
   * @param isCurrent - Says whether what is read still stands for the key: not if it was replaced or removed meanwhile.
   */
  async #load(
    key: string,
    reading: NonNullable<ReturnType<SegmentStore['read']>>,
    isCurrent: () => boolean,
  ): Promise<boolean> {
    const { store, ledger, now } = this.#options;
    try {
      const content = await reading;
      if (content === undefined || !isCurrent()) {
        this.reads.lost++;
        return false;
      }
      if (store.get(key).length > 0) return true; // it has been fetched meanwhile
      const read = responsesOf(content, { store, ledger, now: now() });
      if (read === undefined) {
        this.reads['no-room']++;
        return false;
      }
      try {
        return store.exclusively(() => this.#storeRead(key, read.variants, isCurrent));
      } finally {
        read.release();
      }
    } catch (error) {
      // Errors of the system have been told of by then, and a busy disk is as good as a miss.
      this.reads[error instanceof DiskBusyError ? 'busy' : 'lost']++;
      return false;
    }
  }

  /** Stores what was read. No other thread changes memory meanwhile: what it stored before stays. */
  #storeRead(key: string, variants: readonly StoredResponse[], isCurrent: () => boolean): boolean {
    const { store } = this.#options;
    if (!isCurrent()) {
      this.reads.lost++;
      return false;
    }
    if (store.get(key).length > 0) return true;
    store.set(key, variants);
    this.reads.hit++;
    return true;
  }

  put(key: string, variants: readonly StoredResponse[]): void {
    if (variants.length > 0 && !this.markUsed(key)) this.#write(key, variants);
  }

  /** The key's responses have been used again. @returns Whether they are on disk. */
  markUsed(key: string): boolean {
    return this.#life?.segments.markUsed(key) === true;
  }

  replacing(): void {
    // this thread changes memory, and no other
  }

  replace(key: string, variants: readonly StoredResponse[]): void {
    if (variants.length === 0) this.remove(key);
    else this.replaceBy(key, () => variants);
  }

  /** @param variants - Returns the responses, of which there is at least one unless they have been evicted. */
  replaceBy(key: string, variants: () => readonly StoredResponse[]): void {
    this.#loading.delete(key);
    const { segments } = this.#life ?? {};
    if (segments === undefined) {
      this.remove(key);
      return;
    }
    const wasThere = segments.has(key);
    segments.remove(key);
    if (!this.#seen.add(segments.hashOf(key)) && !wasThere) return;
    const current = variants();
    if (current.length > 0) this.#write(key, current);
  }

  remove(key: string): void {
    this.#loading.delete(key);
    if (this.#life !== undefined) {
      this.#life.segments.remove(key);
    } else if (this.#outdated === undefined) {
      const { keys } = this.#removed;
      keys.add(key);
      if (keys.size > MAX_REMOVED_KEYS) this.#outdated = 'removals';
      if (this.#outdated !== undefined) keys.clear();
    }
  }

  /** Notes how far purges are applied, or begins anew if the journal has gone back behind that. */
  #noteApplied(): void {
    const life = this.#life;
    const { terms, position } = this.#options.ledger;
    if (life === undefined || terms.length === 0) return;
    const { applied } = life.folder;
    if (applied !== undefined && !isFollowedBy(applied, terms)) {
      this.#end(life);
      this.#outdated = 'journal';
      const { signal } = this.#closing;
      this.#retrying = life.folder.noted.then(() => (signal.aborted ? undefined : this.#open(false)));
      return;
    }
    const known = new Set([...(applied?.terms ?? []), ...terms.map(({ identity }) => identity)]);
    // A node that has just started applies again what the one before it had applied.
    const isBehind = applied !== undefined && isBehindOf(position, applied.position, terms);
    if (isBehind && known.size === applied.terms.length) return;
    const next = { position: isBehind ? applied.position : position, terms: [...known].slice(-MAX_NOTED_TERMS) };
    life.folder.note(next).catch((error: Error) => this.#fail(error, life));
  }

  #write(key: string, variants: readonly StoredResponse[]): void {
    const refusal = this.#tryWrite(key, variants);
    if (refusal !== undefined) this.refusals[refusal] = (this.refusals[refusal] ?? 0) + 1;
  }

  #tryWrite(key: string, variants: readonly StoredResponse[]): DiskRefusal | undefined {
    const { segments } = this.#life ?? {};
    if (segments === undefined) return 'failed';
    const bodies = variants.reduce((sum, { body }) => sum + bytesOf(body.ranges), 0);
    if (bodies > segments.maxRecordBytes) return 'too-large';
    const now = this.#options.monotonic();
    if (this.#budget.waitMs(Math.min(bodies, this.#budget.pace.burst), now) > 0) return 'budget';
    const content = contentOf(key, variants, this.#options.ledger);
    if (content === undefined) return 'unreadable';
    const refusal = segments.append(content);
    if (refusal === undefined) this.#budget.spend(recordBytes(content), now);
    return refusal;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.race([this.#flushed(), this.#wait(MAX_CLOSE_WAIT_MS)]);
    const life = this.#life;
    this.#life = undefined;
    life?.segments.close();
    life?.folder.release();
  }

  async #flushed(): Promise<void> {
    await this.#retrying;
    const life = this.#life;
    await Promise.all([life?.segments.flush(), life?.folder.noted]);
  }

  /** @param isStart - Another process that uses the folder is an error of the start; later it is one of the disk. */
  async #open(isStart: boolean): Promise<void> {
    const {
      path,
      maxBytes,
      segmentBytes = segmentBytesOf(maxBytes),
      bufferBytes,
      maxIndexBytes,
      filter,
      events,
      monotonic,
    } = this.#options;
    let folder: OpenedFolder | undefined;
    let life: Life | undefined;
    try {
      folder = await openFolder(path, segmentBytes, this.#outdated, this.#system);
      const segments = Math.max(MIN_SEGMENTS, Math.floor(maxBytes / segmentBytes));
      const failed = Promise.withResolvers<never>();
      failed.promise.catch(() => undefined);
      const onFailed = (error: Error): void => {
        failed.reject(error);
        this.#fail(error, life);
      };
      const system = this.#system;
      const space = await Space.open(folder.segmentsFile, segments * segmentBytes, onFailed, system);
      const { identity } = folder;
      const removed = this.#removed;
      const options = { space, identity, segments, segmentBytes, bufferBytes, maxIndexBytes, filter, removed, system };
      const opened: Life = { folder, segments: new SegmentStore(options) };
      life = opened;
      this.#life = opened;
      this.#outdated = undefined;
      this.#removed = { hashes: [], keys: new Set() };
      this.#noteApplied();
      if (this.#life !== opened) return await this.#retrying;
      const loaded = opened.segments.load();
      await Promise.race([loaded, failed.promise, this.#wait(MAX_LOAD_WAIT_MS)]);
      loaded.then(
        () => {
          if (this.#life !== opened) return;
          this.#failure = undefined;
          this.#inUseSince = monotonic();
          events.opened(opened.folder.renewal, opened.segments.size);
        },
        (error: Error) => this.#fail(error, opened),
      );
    } catch (error) {
      if (error instanceof DiskInUseError && isStart) throw error;
      if (life === undefined) {
        folder?.release();
        this.#leaveOut(error as Error);
      }
    }
  }

  #fail(error: Error, life: Life | undefined): void {
    if (life === undefined || this.#life !== life) return;
    this.#end(life);
    const { monotonic, retryMs = RETRY } = this.#options;
    // One that can be opened, and fails as soon as it is used, such as a full one, is not opened again each second.
    if (this.#inUseSince !== undefined && msBetween(this.#inUseSince, monotonic()) > retryMs.maxMs)
      this.#backoff.reset();
    this.#leaveOut(error);
  }

  #end({ segments, folder }: Life): void {
    this.#life = undefined;
    this.#before = sum(this.#before, segments.counts);
    segments.close();
    folder.release();
    this.#removed = { hashes: segments.unwrittenRemovals, keys: new Set() };
  }

  #leaveOut(error: Error): void {
    if (this.#failure === undefined) {
      this.failures++;
      this.#options.events.failed(error);
    }
    this.#failure = error;
    const { signal } = this.#closing;
    this.#retrying = this.#wait(this.#backoff.next(), signal).then(() =>
      signal.aborted ? undefined : this.#open(false),
    );
  }

  /** Resolves after so much time, or when the signal aborts. */
  #wait(ms: number, signal?: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = this.#system.after(ms, resolve);
    signal?.addEventListener('abort', () => {
      stop();
      resolve();
    });
    return promise;
  }
}

/** Returns whether the position of this node says no more than what was applied to what is stored. */
function isBehindOf(position: JournalPosition, applied: JournalPosition, terms: readonly Term[]): boolean {
  return isInHistory(terms, Number.POSITIVE_INFINITY, applied) && position.seq <= applied.seq;
}

/** @returns The largest power of two that makes eight segments or more, up to 64 MiB. */
function segmentBytesOf(maxBytes: number): number {
  return Math.min(MAX_SEGMENT_BYTES, 2 ** Math.floor(Math.log2(maxBytes / USUAL_SEGMENTS)));
}

function bytesOf(ranges: readonly { readonly start: number; readonly end: number }[]): number {
  return ranges.reduce((sum, { start, end }) => sum + end - start, 0);
}

function sum(a: Readonly<SegmentCounts>, b: Readonly<SegmentCounts>): SegmentCounts {
  return {
    appendedBytes: a.appendedBytes + b.appendedBytes,
    reinsertedBytes: a.reinsertedBytes + b.reinsertedBytes,
    corrupt: a.corrupt + b.corrupt,
  };
}
