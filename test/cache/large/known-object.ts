/**
 * A large object whose head is stored, with nothing of it read: for tests of what reads and fetches its chunks.
 * @module
 */
import type { CacheRequest } from '../../../cache/engine.ts';
import type { Generation } from '../../../cache/large/generation.ts';
import { isChunked } from '../../../cache/large/large-objects.ts';
import type { StoredResponse } from '../../../cache/stored-response.ts';
import type { ScriptedExchange } from '../../support/scripted-fetch.ts';
import { type Ask, Bench, type BenchOptions } from '../engine/bench.ts';
import { bytesOf, LargeOrigin } from './large-origin.ts';

export const MIB: number = 2 ** 20;

/** Three whole chunks, and a short one. */
export const LENGTH: number = 3 * MIB + 12_345;

export interface KnownObject {
  readonly bench: Bench;
  readonly origin: LargeOrigin;
  readonly head: StoredResponse & { readonly generation: string };
  readonly generation: Generation;
  /** Makes a request for it. */
  request(options?: Ask): CacheRequest;
}

/** Upstream leaves requests for chunks unanswered from here on: the test answers them. */
export async function knownObject(options: BenchOptions = {}): Promise<KnownObject> {
  const bench = new Bench({ maxBytes: 16 * MIB, ...options, site: { chunk_above: '1MiB', ...options.site } });
  const origin = new LargeOrigin(bench.upstream, { length: LENGTH, pieceBytes: 256 * 1024 });
  await bench.ask('/film', { headers: ['Range', 'bytes=-1'] }).whole();
  bench.upstream.onRequest = () => undefined;
  const [head] = bench.store.get(bench.keyOf('/film'));
  if (head === undefined || !isChunked(head)) throw new Error('the head is not stored');
  const generation = bench.engine.large.of(head, bench.keyOf('/film'));
  return { bench, origin, head, generation, request: (ask) => bench.request('/film', ask) };
}

/** Fields of the right answer to a range of it. */
export function rangeFields(start: number, end: number, ...more: readonly string[]): string[] {
  const place = `bytes ${start}-${end - 1}/${LENGTH}`;
  return ['ETag', '"v1"', 'Cache-Control', 'max-age=60', 'Content-Range', place, ...more];
}

/** Answers a request for a range with its bytes, and ends it. */
export function answerRange(exchange: ScriptedExchange, start: number, end: number): void {
  exchange.respond(206, rangeFields(start, end), bytesOf(1, start, end));
}
