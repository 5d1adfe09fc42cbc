/**
 * Large objects of a node: generations in use, their chunks in the store, and keys that are not stored in chunks.
 * @module
 */
import { randomBytes } from 'node:crypto';
import type { ByteRange } from '../../http/fields/range.ts';
import type { BodyReader } from '../../http/message.ts';
import { later, type MonotonicMs } from '../../lib/clock.ts';
import type { CacheRequest, Engine } from '../exchange.ts';
import { KeyLru } from '../key-map.ts';
import { isCurrent } from '../purge-state.ts';
import { EvictedError, type StoredBody } from '../store/store.ts';
import { setVariants } from '../store-update.ts';
import { type StoredHead, type StoredResponse, strongValidator } from '../stored-response.ts';
import type { ThreadClaim, ThreadFill } from '../thread-fills.ts';
import { matchesVary } from '../vary.ts';
import { chunkKey, chunkRange } from './chunk.ts';
import { Generation, type GenerationEnd, GenerationEndedError } from './generation.ts';
import type { LargeObject } from './large-object.ts';
import { UnreadChunks } from './read-ahead.ts';

/** Keys of which is remembered that they are not to be stored in chunks, or that their generations ended. */
const MAX_REMEMBERED_KEYS = 10_000;

/**
 * Generations of a key that may end within `hit_for_miss_ttl`; after that it is not stored in chunks for as long.
 * Servers of one origin that give the same file different tags would end each other's generations without end.
 */
const MAX_ENDS = 3;

interface Ends {
  readonly count: number;
  readonly until: MonotonicMs;
}

export class LargeObjects {
  readonly #engine: Engine;
  readonly #generations = new Map<string, Generation>();
  readonly unread = new UnreadChunks();
  readonly #ends = new KeyLru<Ends>(MAX_REMEMBERED_KEYS);

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Number of chunks that may come ahead of a reader at the moment. */
  get ahead(): number {
    return this.unread.allowance(this.#engine.options.store.maxBytes);
  }

  /** Returns whether responses under the request's key may be stored in chunks. */
  mayChunk({ keyed }: CacheRequest): boolean {
    const ends = this.#ends.get(keyed.key);
    return ends === undefined || ends.count < MAX_ENDS || ends.until <= this.#engine.options.monotonic();
  }

  /** @returns The generation of a stored head. */
  of(stored: StoredResponse & { readonly generation: string }, key: string): Generation {
    const { generation: id, length, headers } = stored;
    return this.#open({ id, key, length, validator: strongValidator(headers) ?? '', head: stored });
  }

  /** @returns The generation for a response that has just come: that of the stored head, if it is still this one. */
  for(request: CacheRequest, head: StoredHead, { length, validator }: LargeObject): Generation {
    const { key } = request.keyed;
    const known = this.#engine.options.store.get(key).find(({ vary }) => matchesVary(vary, request.headers));
    const isSame =
      known?.generation !== undefined &&
      known.length === length &&
      strongValidator(known.headers) === validator &&
      this.#generations.get(known.generation)?.ended === undefined &&
      isCurrent(this.#engine, request, known);
    const id = isSame ? (known.generation as string) : randomBytes(12).toString('base64url');
    return this.#open({ id, key, length, validator, head });
  }

  #open(options: ConstructorParameters<typeof Generation>[0]): Generation {
    return this.#generations.get(options.id) ?? new Generation(options, this.#onUse);
  }

  readonly #onUse = (isUsed: boolean, generation: Generation): void => {
    const known = this.#generations.get(generation.id);
    if (isUsed && known === undefined) this.#generations.set(generation.id, generation);
    else if (!isUsed && known === generation) this.#generations.delete(generation.id);
  };

  /** Number of generations that are read or fetched. */
  get size(): number {
    return this.#generations.size;
  }

  has({ id, held }: Generation, index: number): boolean {
    return held.has(index) || this.#engine.options.store.has(chunkKey(id, index));
  }

  /**
   * Reads a chunk. The first reading of one that was fetched ahead is no use of what is stored, as the first reading of
   * a small response is none.
   *
   * @param range - In the chunk.
   * @returns `undefined` if memory does not have it, or not any more.
   */
  open({ id, length, held }: Generation, index: number, range: ByteRange): BodyReader | undefined {
    const first = held.take(index, (body) => body.open(range));
    if (first !== undefined) return first;
    const [stored] = this.#engine.options.store.get(chunkKey(id, index));
    const { start, end } = chunkRange(index, length);
    if (stored?.length !== end - start) return undefined;
    try {
      return stored.body.open(range);
    } catch (error) {
      if (error instanceof EvictedError) return undefined;
      throw error;
    }
  }

  /** Brings a chunk from disk into memory. @returns `undefined` at once if it is not there. Never rejects. */
  load({ id }: Generation, index: number): Promise<boolean> | undefined {
    return this.#engine.disk?.lookup(chunkKey(id, index));
  }

  /**
   * Claims a chunk among the threads that share the store, for what brings it.
   *
   * @param asksPeer - As in a request. One that a peer waits for does not wait for one that asks a peer.
   * @returns `undefined` if no other thread needs to know.
   */
  claim({ id }: Generation, index: number, asksPeer: boolean): ThreadClaim | ThreadFill | undefined {
    const { threads } = this.#engine.options;
    return threads?.claim(asksPeer ? `${chunkKey(id, index)}\npeer` : chunkKey(id, index));
  }

  put({ id, length, head: { stamp, policy, responseTime } }: Generation, index: number, body: StoredBody): void {
    const { start, end } = chunkRange(index, length);
    const chunk: StoredResponse = {
      status: 200,
      statusText: '',
      headers: [],
      trailers: [],
      vary: [],
      tags: [],
      stamp,
      policy,
      responseTime,
      length: end - start,
      body,
    };
    setVariants(this.#engine, chunkKey(id, index), [chunk]);
  }

  /** The origin has other bytes, or does not give parts of them: the head goes, and nothing more is asked for. */
  end(generation: Generation, reason: GenerationEnd, ttlMs: number): void {
    if (generation.ended !== undefined) return;
    const { key, id } = generation;
    generation.ended = new GenerationEndedError(key);
    const { options } = this.#engine;
    options.events.generationEnded(reason);
    const now = options.monotonic();
    const before = this.#ends.get(key);
    const count =
      reason === 'no-ranges' ? MAX_ENDS : (before !== undefined && before.until > now ? before.count : 0) + 1;
    this.#ends.set(key, { count, until: later(now, ttlMs) });
    options.store.exclusively(() => {
      const variants = options.store.get(key);
      const others = variants.filter((stored) => stored.generation !== id);
      if (others.length < variants.length) setVariants(this.#engine, key, others);
      else if (variants.length === 0) this.#engine.disk?.remove(key);
    });
  }
}

/** Returns whether a response is the head of a large object. */
export function isChunked(stored: StoredResponse): stored is StoredResponse & { readonly generation: string } {
  return stored.generation !== undefined;
}
