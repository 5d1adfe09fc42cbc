/**
 * The body of a stored large object, for one request: it reads as if all of it were stored.
 * @module
 */
import type { ByteRange } from '../../http/fields/range.ts';
import type { BodyReader } from '../../http/message.ts';
import type { CacheRequest, Engine } from '../exchange.ts';
import type { StoredBody } from '../store/store.ts';
import type { StoredResponse } from '../stored-response.ts';
import { chunkAt, chunksBefore } from './chunk.ts';
import type { Generation } from './generation.ts';
import { ChunkedReader } from './reader.ts';

export class ChunkedBody implements StoredBody {
  readonly #engine: Engine;
  readonly #request: CacheRequest;
  readonly #head: StoredResponse;
  readonly #generation: Generation;
  readonly #readers: ChunkedReader[] = [];
  readonly ranges: readonly ByteRange[];
  /** True if memory has all chunks that were opened, as far as that can be told at once. */
  isAllStored = true;

  constructor(engine: Engine, request: CacheRequest, head: StoredResponse & { readonly generation: string }) {
    this.#engine = engine;
    this.#request = request;
    this.#head = head;
    this.#generation = engine.large.of(head, request.keyed.key);
    this.ranges = [{ start: 0, end: head.length }];
  }

  get id(): number {
    return this.#head.body.id;
  }

  get size(): number {
    return this.#head.body.size;
  }

  /** The reader that is read first; `undefined` where the answer needs no bytes. */
  get first(): ChunkedReader | undefined {
    return this.#readers[0];
  }

  open(range: ByteRange): BodyReader {
    this.isAllStored &&= this.#isStored(range);
    const reader = new ChunkedReader(
      { engine: this.#engine, request: this.#request, generation: this.#generation, head: this.#head },
      range,
    );
    this.#readers.push(reader);
    return reader;
  }

  /** On disk only the first chunk is looked for: a later one may go before it is read. */
  #isStored({ start, end }: ByteRange): boolean {
    const { large, disk } = this.#engine;
    const last = disk === undefined ? chunksBefore(end) : 0;
    for (let index = chunkAt(start); index < last; index++) if (!large.has(this.#generation, index)) return false;
    return true;
  }

  retain(): boolean {
    return true;
  }

  release(): void {
    // each reader holds what it reads
  }
}
