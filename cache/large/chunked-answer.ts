/**
 * The answer from a stored large object: made like any other, but the first bytes have to be there before its head is
 * sent, so that a request which finds the origin changed begins anew.
 * @module
 */
import { HttpError } from '../../http/errors.ts';
import type { EpochMs } from '../../lib/clock.ts';
import type { Answer } from '../answer.ts';
import type { CacheStatus } from '../cache-status.ts';
import type { Engine, Exchange } from '../exchange.ts';
import { storedAnswer } from '../stored-answer.ts';
import type { StoredResponse } from '../stored-response.ts';
import { ChunkedBody } from './chunked-body.ts';
import { ChunkRefusedError, GenerationEndedError } from './generation.ts';

/** Answer that is to be made from a head. */
export interface ChunkedOrder {
  readonly stored: StoredResponse & { readonly generation: string };
  readonly status: CacheStatus;
  /** Fields of the answer that the head does not tell. */
  readonly more?: Partial<Answer> | undefined;
}

/**
 * - `ended`: the origin has other bytes by now;
 * - `refused`: the origin refuses this request's range: its own answer is the right one.
 */
export type NotAnswered = 'ended' | 'refused';

/** @throws {HttpError} (or rejects) when the first bytes cannot be had. */
export function chunkedAnswer(
  engine: Engine,
  exchange: Exchange,
  { stored, status, more }: ChunkedOrder,
  now: EpochMs,
): Answer | NotAnswered | Promise<Answer | NotAnswered> {
  const body = new ChunkedBody(engine, exchange.request, stored);
  const answer = { ...storedAnswer(exchange, { ...stored, body }, now, status), ...more };
  try {
    const ready = body.first?.ready();
    if (ready === undefined) return described(answer, body);
    return whileWanted(exchange, ready).then(
      () => described(answer, body),
      (error: unknown) => failed(answer, error),
    );
  } catch (error) {
    return failed(answer, error);
  }
}

/** Gives up the wait when the visitor has left. */
async function whileWanted({ request }: Exchange, ready: Promise<void>): Promise<void> {
  const { clientAbort } = request;
  const { promise: left, reject } = Promise.withResolvers<void>();
  const leave = (): void => reject(new HttpError('client_closed', 'the visitor has left'));
  clientAbort.addEventListener('abort', leave, { once: true });
  if (clientAbort.aborted) leave();
  try {
    await Promise.race([ready, left]);
  } finally {
    clientAbort.removeEventListener('abort', leave);
  }
}

function failed({ body }: Answer, error: unknown): NotAnswered {
  body?.close();
  if (error instanceof GenerationEndedError) return 'ended';
  if (error instanceof ChunkRefusedError) return 'refused';
  throw error;
}

/** RFC 9211, section 2.2: an answer of which a part came from upstream is no hit. */
function described(answer: Answer, { first, isAllStored }: ChunkedBody): Answer {
  const { status } = answer;
  if (first === undefined || !status.hit || (isAllStored && !first.hasWaited)) return answer;
  const above = first.hasWaited ? first.above : undefined;
  return { ...answer, status: { ...status, hit: false, fwd: 'partial', detail: undefined }, above };
}
