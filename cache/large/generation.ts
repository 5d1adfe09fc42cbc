/**
 * One generation of a large object: the bytes that one strong validator stands for, from when its head was stored until
 * the origin has others, or the head goes. All bytes of an answer are of one generation.
 * @module
 */
import { HttpError } from '../../http/errors.ts';
import type { StoredHead } from '../stored-response.ts';
import type { ChunkFeed } from './feed.ts';
import { HeldChunks } from './read-ahead.ts';
import type { ChunkTransfer } from './transfer.ts';

/** Reasons for the end of a generation, as the metric has them. */
export const GENERATION_END_MEANINGS = {
  changed: 'the origin has other bytes, or none',
  'no-ranges': 'the origin answers a range with the whole',
  policy: 'the origin says of a range that it must not be stored',
} as const;

export type GenerationEnd = keyof typeof GENERATION_END_MEANINGS;

/** The origin has other bytes by now: an answer of this generation cannot go on. */
export class GenerationEndedError extends HttpError {
  constructor(key: string) {
    super('origin_bad_response', `the origin has another version of ${key} by now`);
  }
}

/** The origin's answer to a range is about the request that asked: another request may have another one. */
export class ChunkRefusedError extends HttpError {
  constructor(status: number) {
    super('origin_bad_response', `a range was answered with ${status}`);
  }
}

/**
 * A small body may have come before the request that waits for it reads. As bodies that are not stored are held back
 * after 64 KiB without a reader, these are no larger.
 */
const MAX_LEFTOVERS = 16;

export interface GenerationOptions {
  /** Identifier, which no other generation has. */
  readonly id: string;
  /** Key of its head. */
  readonly key: string;
  /** Bytes of the object. */
  readonly length: number;
  readonly validator: string;
  /** Head that its chunks are as new as. */
  readonly head: Pick<StoredHead, 'stamp' | 'policy' | 'responseTime'>;
}

type OnUse = (isUsed: boolean, generation: Generation) => void;

export class Generation {
  readonly id: string;
  readonly key: string;
  readonly length: number;
  readonly validator: string;
  readonly head: GenerationOptions['head'];
  /** Chunks on their way, by index: at most one that others may join. */
  readonly transfers = new Map<number, ChunkTransfer>();
  readonly feeds = new Set<ChunkFeed>();
  /** Chunks that came ahead of their readers. */
  readonly held = new HeldChunks();
  /** Set once the origin has other bytes: nothing more is asked for. */
  ended: GenerationEndedError | undefined;
  /** Chunks that were fetched, but not stored or read, oldest first. */
  readonly #leftovers: ChunkTransfer[] = [];
  readonly #onUse: OnUse;
  #users = 0;

  /** @param onUse - Called when the first reader or feed comes, and when the last one goes. */
  constructor({ id, key, length, validator, head }: GenerationOptions, onUse: OnUse) {
    this.id = id;
    this.key = key;
    this.length = length;
    this.validator = validator;
    this.head = head;
    this.#onUse = onUse;
  }

  /** Counts a user, which calls `leave` once. */
  enter(): void {
    if (this.#users++ === 0) this.#onUse(true, this);
  }

  leave(): void {
    if (--this.#users > 0) return;
    this.held.release();
    this.#onUse(false, this);
  }

  /** Leaves a chunk to the readers of the generation that is complete, but is not stored, and was not read yet. */
  leaveOver(transfer: ChunkTransfer): void {
    transfer.countAsRead();
    this.#leftovers.push(transfer);
    const oldest = this.#leftovers.length > MAX_LEFTOVERS ? this.#leftovers.shift() : undefined;
    if (oldest !== undefined) this.forget(oldest);
  }

  /** No further reader may join. */
  forget(transfer: ChunkTransfer): void {
    if (this.transfers.get(transfer.index) === transfer) this.transfers.delete(transfer.index);
    transfer.body?.settle();
  }
}
