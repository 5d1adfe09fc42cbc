/**
 * The control node's end of the wire: tells one follower everything, from
 * where it says it stands, as fast as it reads.
 * @module
 */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as timeout } from 'node:timers/promises';
import { errorPage, HttpError } from '../http/errors.ts';
import { JournalError, JournalGapError } from './errors.ts';
import type { Journal, JournalRecord, JournalState } from './journal.ts';
import { HEARTBEAT_INTERVAL_MS, type JournalMessage, type JournalPosition, startAfter } from './message.ts';
import { identityOf } from './terms.ts';
import { JOURNAL_CONTENT_TYPE, MAX_LINE_BYTES, readJournalTarget } from './wire.ts';

export interface StreamOptions {
  /** Ends the stream; the follower comes back. */
  readonly signal?: AbortSignal;
  readonly heartbeatIntervalMs?: number;
  /** A follower that takes nothing for this long is cut off. */
  readonly stallTimeoutMs?: number;
  /** Resolves after `ms`, rejects when the signal aborts. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Called with the reason when a stream is closed. */
  readonly problem?: (error: Error) => void;
}

const STALL_TIMEOUT_MS = 30_000;

/** Records that are read at once, and held until the follower has taken them. */
const BATCH = 200;

/** A line gets no further record once it has this length; one record is far shorter than what is left. */
const FULL_LINE_LENGTH = MAX_LINE_BYTES / 4;

/**
 * Answers `GET /v1/journal`. The response is taken over: a Fastify handler
 * calls `reply.hijack()` and passes `request.raw` and `reply.raw`. That the
 * requester may read it was decided before.
 *
 * @returns when the stream has ended; never rejects.
 */
export async function streamJournal(
  journal: Journal,
  request: IncomingMessage,
  response: ServerResponse,
  options: StreamOptions,
): Promise<void> {
  response.on('error', () => response.destroy()); // and 'close', which follows, ends the stream
  try {
    const after = readJournalTarget(request.url ?? '');
    await stream(journal, response, after, options);
  } catch (error) {
    if (response.headersSent) response.destroy();
    else refuse(response, request.headers.accept, error);
    // Records that are forgotten while they are being sent are no problem: the next hello tells of the floor.
    const isOrdinary = error instanceof JournalGapError || error instanceof HttpError;
    if (!isOrdinary) options.problem?.(error as Error);
  }
}

async function stream(
  journal: Journal,
  response: ServerResponse,
  after: JournalPosition,
  options: StreamOptions,
): Promise<void> {
  const { signal, heartbeatIntervalMs = HEARTBEAT_INTERVAL_MS, wait = defaultWait } = options;
  const ending = new AbortController();
  const end = (): void => ending.abort();
  const bell = new Bell();
  let heartbeatIsDue = false;

  const heartbeat = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      await wait(heartbeatIntervalMs, ending.signal);
      heartbeatIsDue = true;
      bell.ring();
    }
  };
  ending.signal.addEventListener('abort', () => bell.ring());
  response.once('close', end);
  signal?.addEventListener('abort', end);
  if (signal?.aborted || response.destroyed) end();
  const unsubscribe = journal.subscribe(() => bell.ring());
  heartbeat().catch(end); // the wait was aborted: it is over already

  const write = (message: JournalMessage): Promise<void> =>
    writeLine(response, JSON.stringify(message), ending.signal, options);
  try {
    const state = await journal.current();
    response.writeHead(200, { 'Content-Type': JOURNAL_CONTENT_TYPE, 'Cache-Control': 'no-store' });
    let sent = startAfter(state, after);
    const hasTermsOfHello = (): boolean => isSameLine(state, journal.state());
    await write({ type: 'hello', state });
    while (!ending.signal.aborted && hasTermsOfHello()) {
      if (sent < journal.state().newest) {
        const news = await journal.read(sent, BATCH);
        if (!hasTermsOfHello()) break; // the follower would take the records for those of another term
        for (const records of inLines(news)) {
          await write({ type: 'records', records });
          sent = (records.at(-1) as JournalRecord).seq;
        }
      } else if (!heartbeatIsDue) {
        await bell.rung();
      }
      if (!heartbeatIsDue) continue;
      heartbeatIsDue = false;
      const { newest, floor } = await journal.current(); // without an answer the follower must not take itself as up to date
      if (hasTermsOfHello()) await write({ type: 'heartbeat', newest, floor });
    }
    response.end();
  } finally {
    unsubscribe();
    signal?.removeEventListener('abort', end);
    end();
  }
}

/** Returns whether the newest numbers of both states are of one term: a follower of one can follow the other. */
function isSameLine(hello: JournalState, now: JournalState): boolean {
  return now.newest >= hello.newest && identityOf(hello.terms, now.newest) === identityOf(now.terms, now.newest);
}

/** Wakes current and later waiters. */
class Bell {
  #rung = Promise.withResolvers<void>();

  ring(): void {
    this.#rung.resolve();
  }

  async rung(): Promise<void> {
    await this.#rung.promise;
    this.#rung = Promise.withResolvers();
  }
}

/** As many records to a line as its bounded length lets it have with certainty. */
function* inLines(records: readonly JournalRecord[]): Generator<readonly JournalRecord[]> {
  let line: JournalRecord[] = [];
  let length = 0;
  for (const record of records) {
    line.push(record);
    length += JSON.stringify(record).length * MAX_BYTES_PER_UNIT;
    if (length < FULL_LINE_LENGTH) continue;
    yield line;
    [line, length] = [[], 0];
  }
  if (line.length > 0) yield line;
}

/** UTF-8 takes no more for one UTF-16 code unit. */
const MAX_BYTES_PER_UNIT = 3;

/** Resolves when there is room for more, or the stream is ending. @throws {JournalError} `journal_slow_follower` */
async function writeLine(
  response: ServerResponse,
  line: string,
  ending: AbortSignal,
  { stallTimeoutMs = STALL_TIMEOUT_MS, wait = defaultWait }: StreamOptions,
): Promise<void> {
  if (ending.aborted || response.write(`${line}\n`)) return;
  const over = new AbortController();
  const signal = AbortSignal.any([ending, over.signal]);
  const drained = once(response, 'drain', { signal }).then(
    () => true,
    () => true, // ending: no reader is left to be slow
  );
  const stalled = wait(stallTimeoutMs, signal).then(
    () => false,
    () => true,
  );
  const isAlive = await Promise.race([drained, stalled]);
  over.abort();
  if (!isAlive) throw new JournalError('journal_slow_follower', `nothing taken for ${stallTimeoutMs} ms`);
}

function refusalCode(error: unknown): 'bad_request' | 'journal_unreachable' | 'internal' {
  if (!(error instanceof JournalError)) return 'internal';
  return error.code === 'journal_bad_message' ? 'bad_request' : 'journal_unreachable';
}

function refuse(response: ServerResponse, accept: string | undefined, error: unknown): void {
  const { message } = error as Error;
  const answer = error instanceof HttpError ? error : new HttpError(refusalCode(error), message);
  const page = errorPage(answer, crypto.randomUUID(), accept ?? 'application/json');
  response.writeHead(page.status, page.headers).end(page.body);
}

function defaultWait(ms: number, signal: AbortSignal): Promise<void> {
  return timeout(ms, undefined, { signal });
}
