/**
 * One body on its way from upstream, read by any number of readers, each at
 * its own pace.
 *
 * A body that is kept (in the store's memory, through a writer) can be read whole
 * until it ends, so readers do not wait for each other and late ones start at its
 * beginning. Where the writer has copied it, only what is about to be read is held
 * beside that copy, and readers that are elsewhere read from the writer. One that
 * is not kept is held in a window: upstream is held back when even the fastest
 * reader is behind, and a reader that falls a whole window behind the others is cut
 * loose (`LaggedError`) instead of holding them back.
 * @module
 */

import { release } from '../http/body/buffer-pool.ts';
import type { HttpError } from '../http/errors.ts';
import type { RawHeaders } from '../http/fields/headers.ts';
import type { BodyReader, Flow } from '../http/message.ts';
import { FewSet } from '../lib/few-set.ts';
import type { CacheRequest } from './exchange.ts';
import { SharedReader } from './shared-reader.ts';
import type { StoredBody, StoreWriter } from './store/store.ts';
import type { Windowed, Windows } from './windows.ts';

/** Unread bytes at which upstream is held back, and beyond which a body that its writer has is not held as well. */
const HIGH_WATER_BYTES = 64 * 1024;

/** Chunks behind the furthest of several readers that are held beside the writer's copy: most read at one pace. */
const HELD_BEHIND = 2;

export interface SharedBodyOptions {
  /** Takes every byte, if the body is to be kept. */
  readonly writer: StoreWriter | undefined;
  /** Bytes up to which the writer is asked; a longer body goes on in a window. */
  readonly maxStoredBytes: number;
  /** Bytes that it holds at most for readers that are behind. */
  readonly windowBytes: number;
  /** Pool of memory for windows, shared with other bodies; absent: none. */
  readonly windows?: Windows;
  readonly flow: Flow;
  /** Called when the last reader has gone before the end. */
  readonly onAbandoned: () => void;
}

export type BodyState = 'open' | 'ended' | 'failed';

/** Body of a fill, as those that wait for its response read it. */
export interface FillBody {
  /** Bytes that have arrived. */
  readonly received: number;
  readonly readers: number;
  /** True if what arrives is kept. */
  readonly isStoring: boolean;
  /** True if no reader can fall behind. */
  readonly isWhole: boolean;
  readonly state: BodyState;
  readonly trailers: RawHeaders;
  shouldStore: boolean;
  /** Returns whether a reader can still start at `position`. */
  canReadFrom(position: number): boolean;
  append(chunk: Buffer, isLast?: boolean): void;
  end(trailers: RawHeaders, start: number): StoredBody | undefined;
  settle(): void;
  fail(error: HttpError): void;
  /** @param request - Request that reads; absent: the one that started the fill. */
  reader(start: number, end: number, request?: CacheRequest): BodyReader;
}

export class SharedBody implements Windowed, FillBody {
  readonly #options: SharedBodyOptions;
  readonly #readers = new FewSet<SharedReader>();
  #writer: StoreWriter | undefined;
  /** A writer that takes no more, of which readers have not read all yet. */
  #past: StoreWriter | undefined;
  /** Chunks, or the lengths of those that are read from the writer. */
  #chunks: (Buffer | number)[] = [];
  /** Number of readers at each chunk, and past the last one. */
  #readersAt: number[] = [0];
  /** Position of the furthest reader; `undefined` after it has left, until it is needed again. */
  #fastest: number | undefined = 0;
  /** Number of chunks that were dropped from the front. */
  #dropped = 0;
  /** Position of the first byte that is held. */
  #base = 0;
  #end = 0;
  #state: 'open' | 'ended' | HttpError = 'open';
  #paused = false;
  /** Stored body, which the remaining readers hold as well. */
  #stored: StoredBody | undefined;
  #isHeld = false;
  #isSettled = false;
  /** True once its memory may be in use for something else. */
  #isReleased = false;
  trailers: RawHeaders = [];
  /** True to commit the writer's bytes at the end; false to free them with the last reader. */
  shouldStore = true;

  constructor(options: SharedBodyOptions) {
    this.#options = options;
    this.#writer = options.writer;
  }

  /** Bytes that have arrived. */
  get received(): number {
    return this.#end;
  }

  get readers(): number {
    return this.#readers.size;
  }

  /** True if every byte is kept until the end and then committed. */
  get isStoring(): boolean {
    return this.#writer !== undefined && this.shouldStore;
  }

  /** True if the whole body is there, and held until its readers are done: none of them can fall behind. */
  get isWhole(): boolean {
    return this.#stored !== undefined || (this.#state === 'ended' && this.#writer !== undefined);
  }

  get state(): BodyState {
    return typeof this.#state === 'string' ? this.#state : 'failed';
  }

  /** Returns whether a reader can still start at `position`. */
  canReadFrom(position: number): boolean {
    return position >= this.#base && typeof this.#state === 'string' && !this.#isReleased;
  }

  /** @param isLast - Whether the end follows at once; false where that is not known. */
  append(chunk: Buffer, isLast = false): void {
    if (this.#state !== 'open' || chunk.length === 0) return;
    const fits = this.#end + chunk.length <= this.#options.maxStoredBytes;
    const kept = fits ? this.#writer?.append(chunk, isLast) : undefined;
    if (kept !== undefined && kept !== chunk) release(chunk);
    const isElsewhere = this.#isReadable && this.#end - this.#furthest() >= HIGH_WATER_BYTES;
    this.#chunks.push(kept !== undefined && isElsewhere ? forgotten(kept) : (kept ?? chunk));
    this.#readersAt.push(0);
    this.#end += chunk.length;
    if (this.#writer !== undefined && kept === undefined) this.#overflow();
    for (const reader of this.#readers.values()) reader.wake();
    if (this.#writer === undefined && this.#state === 'open') this.#bound();
  }

  /** The body is whole; `settle` has to follow. @returns What was kept of it, if it was. */
  end(trailers: RawHeaders, start: number): StoredBody | undefined {
    if (this.#state !== 'open') return undefined;
    this.#state = 'ended';
    this.trailers = trailers;
    const body = this.shouldStore ? this.#writer?.commit(start) : undefined;
    this.#stored = body;
    this.#isHeld = body?.retain() === true; // until `settle`, and for as long as it has readers
    for (const reader of this.#readers.values()) reader.wake();
    return body;
  }

  /** No further readers come: called when what `end` has returned is stored, or is not to be, or after `fail`. */
  settle(): void {
    this.#isSettled = true;
    if (this.#readers.size === 0) this.#release();
  }

  /** The body broke off: every reader gets the error once it has read what came before. */
  fail(error: HttpError): void {
    if (this.#state !== 'open') return;
    this.#state = error;
    if (!this.#isReadable) this.#writer?.abort();
    if (this.#readers.size === 0) this.#release();
    for (const reader of this.#readers.values()) reader.wake();
  }

  /** The body breaks off, though the rest of it may be had: each reader requests that itself (resume.ts). */
  lose(error: HttpError): void {
    if (this.#state !== 'open') return;
    this.#state = error;
    for (const reader of [...this.#readers.values()]) reader.cut();
    this.#release();
  }

  /** @param start - Must satisfy `canReadFrom`. @param end - Where to stop, exclusive. */
  reader(start: number, end: number): BodyReader {
    const index = this.#indexOf(start);
    const reader = new SharedReader(this, start, end, index, start - this.#startOf(index));
    this.#readers.add(reader);
    this.#countAt(reader.index, 1);
    this.#noteAt(reader.position);
    this.#shareWindow();
    this.#resumeUpstream();
    return reader;
  }

  /** Returns the chunk with number `index`, or its length if it is not held; the end, or that it is pending. */
  read(index: number): Buffer | number | 'ended' | 'pending' {
    const chunk = this.#chunks[index - this.#dropped];
    if (chunk !== undefined) return chunk;
    if (this.#state === 'open') return 'pending';
    if (this.#state === 'ended') return 'ended';
    throw this.#state;
  }

  /** Returns a copy, with one reference, of bytes of chunks that are not held. */
  copy(start: number, end: number): Buffer {
    return this.#readable.read(start, end);
  }

  removeReader(reader: SharedReader): void {
    if (!this.#readers.delete(reader)) return;
    this.#countAt(reader.index, -1);
    if (reader.position === this.#fastest) this.#fastest = undefined;
    if (this.#readers.size > 0) this.#trim();
    else if (this.#state === 'open') this.#options.onAbandoned();
    else if (this.#isSettled || this.state === 'failed') this.#release();
  }

  /** Frees the memory once there are no readers, no more to come, and no more chunks. */
  #release(): void {
    this.#isReleased = this.#isSettled;
    this.#writer?.abort();
    this.#past?.abort();
    if (this.#isHeld) this.#stored?.release();
    this.#isHeld = false;
    this.#options.windows?.delete(this);
    for (const chunk of this.#chunks) if (typeof chunk !== 'number') release(chunk);
    this.#chunks = [];
  }

  /** The reader has read a part of a chunk. */
  advanced({ position }: SharedReader): void {
    this.#noteAt(position);
  }

  /** The reader has read a chunk and is at `reader.index` now. */
  moved(reader: SharedReader): void {
    const index = reader.index - 1;
    this.#countAt(index, -1);
    this.#countAt(reader.index, 1);
    this.#noteAt(reader.position);
    if (this.#isReadable) this.#forget(this.#readers.size === 1 ? index : index - HELD_BEHIND);
    this.#trim();
  }

  /** True if readers can read from the writer what it has taken. */
  get #isReadable(): boolean {
    return this.#writer?.isReadable === true;
  }

  get #readable(): Required<StoreWriter> {
    return (this.#writer ?? this.#past) as Required<StoreWriter>;
  }

  /** Does not hold the chunk any more: who reads it reads from the writer. */
  #forget(index: number): void {
    const at = index - this.#dropped;
    const chunk = at < 0 ? undefined : this.#chunks[at];
    if (chunk !== undefined && typeof chunk !== 'number') this.#chunks[at] = forgotten(chunk);
  }

  #noteAt(position: number): void {
    if (this.#fastest !== undefined && position > this.#fastest) this.#fastest = position;
  }

  /** Returns the position of the furthest reader. */
  #furthest(): number {
    if (this.#fastest === undefined) {
      this.#fastest = this.#base;
      for (const { position } of this.#readers.values()) this.#noteAt(position);
    }
    return this.#fastest;
  }

  #countAt(index: number, change: 1 | -1): void {
    const place = index - this.#dropped;
    this.#readersAt[place] = (this.#readersAt[place] ?? 0) + change;
  }

  /**
   * Drops what every reader has passed, unless the body is kept, and lets upstream go on. Costs the same however many
   * read.
   */
  #trim(): void {
    if (this.#writer !== undefined || this.#readers.size === 0) return;
    let drop = 0;
    while (drop < this.#chunks.length && this.#readersAt[drop] === 0) {
      const chunk = this.#chunks[drop++] as Buffer | number;
      this.#base += lengthOf(chunk);
      if (typeof chunk !== 'number') release(chunk);
    }
    if (this.#past !== undefined && !this.#chunks.slice(drop).some((chunk) => typeof chunk === 'number')) {
      this.#past.abort();
      this.#past = undefined;
    }
    if (drop > 0) {
      this.#chunks.splice(0, drop);
      this.#readersAt.splice(0, drop);
      this.#dropped += drop;
    }
    this.#resumeUpstream();
  }

  #resumeUpstream(): void {
    if (!this.#paused || this.#end - this.#furthest() >= HIGH_WATER_BYTES) return;
    this.#paused = false;
    this.#options.flow.resume();
  }

  #overflow(): void {
    // Without readers, too: one may come that begins with what only the writer has.
    if (this.#isReadable && this.#chunks.some((chunk) => typeof chunk === 'number')) this.#past = this.#writer;
    else this.#writer?.abort();
    this.#writer = undefined;
    if (this.#readers.size > 0) this.#trim();
    else this.#options.onAbandoned(); // it went on to be kept, and is not any more
    this.#shareWindow();
  }

  /** A single reader needs no window: it is never behind another one. */
  #shareWindow(): void {
    if (this.#writer === undefined && this.#readers.size > 1) this.#options.windows?.add(this);
  }

  /** Keeps what is held for readers within the window. */
  #bound(): void {
    const furthest = this.#furthest();
    if (!this.#paused && this.#end - furthest >= HIGH_WATER_BYTES) {
      this.#paused = true;
      this.#options.flow.pause();
    }
    this.fit();
  }

  fit(): void {
    const { windowBytes, windows } = this.#options;
    const most = Math.min(windowBytes, windows?.share ?? windowBytes);
    if (this.#end - this.#base <= most) return;
    const furthest = this.#furthest();
    for (const reader of this.#readers.values()) {
      if (this.#end - reader.position > most && reader.position < furthest) reader.cut();
    }
    this.#trim();
  }

  #indexOf(position: number): number {
    let index = this.#dropped;
    let chunkStart = this.#base;
    for (const chunk of this.#chunks) {
      if (position < chunkStart + lengthOf(chunk)) break;
      chunkStart += lengthOf(chunk);
      index++;
    }
    return index;
  }

  /** Position of the first byte of chunk number `index`, which must be held or be the next to come. */
  #startOf(index: number): number {
    let start = this.#base;
    for (let i = 0; i < index - this.#dropped; i++) start += lengthOf(this.#chunks[i] as Buffer | number);
    return start;
  }
}

function lengthOf(chunk: Buffer | number): number {
  return typeof chunk === 'number' ? chunk : chunk.length;
}

/** @returns What stands for a chunk that is not held any more. */
function forgotten(chunk: Buffer): number {
  release(chunk);
  return chunk.length;
}
