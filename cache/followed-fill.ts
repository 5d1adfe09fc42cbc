/**
 * A fill that another thread of the process has claimed, in the place of one of this thread: requests here join it as
 * they join any other. And the other side of that: fills of this thread, for followers in others.
 * @module
 */
import { HttpError, type HttpErrorCode } from '../http/errors.ts';
import type { RawHeaders } from '../http/fields/headers.ts';
import type { BodyReader } from '../http/message.ts';
import type { UpstreamCause } from '../http/upstream/errors.ts';
import type { MonotonicMs } from '../lib/clock.ts';
import type { CacheRequest, Engine } from './exchange.ts';
import { Fill, type FillOutcome, type FillResponse, type JoinableFill } from './fill.ts';
import type { Registration } from './fill-registry.ts';
import type { Ledger, Stamp } from './ledger.ts';
import { isNewEnough } from './purge-state.ts';
import { SharedBody } from './shared-body.ts';
import type { StoredHead, StoredResponse } from './stored-response.ts';
import type { FillFollower, FollowedFills, FollowedFlow, SentHead, SentOutcome, ThreadFill } from './thread-fills.ts';

export interface FollowOptions {
  readonly engine: Engine;
  readonly request: CacheRequest;
  /** The stored response that the request selects, where it could be validated. */
  readonly candidate: StoredResponse | undefined;
  readonly registration: Registration;
  /** Called when the head is there, before those who wait for it. */
  readonly onResponse: (response: FillResponse, fill: FollowedFill) => void;
}

export class FollowedFill implements JoinableFill, FillFollower {
  readonly #options: FollowOptions;
  readonly #candidate: StoredResponse | undefined;
  readonly #flow: FollowedFlow;
  readonly #settled = Promise.withResolvers<FillOutcome>();
  readonly startedAt: MonotonicMs;
  /** Position that was asked for: the other thread's fill is at least as new. */
  readonly stamp: Stamp;
  #body: SharedBody | undefined;
  #waiting = 0;
  #isDone = false;
  #isReleased = false;
  #isDisowned = false;
  outcome: FillOutcome | undefined;

  constructor(fill: ThreadFill, options: FollowOptions) {
    const { engine, request, candidate } = options;
    const { ledger, monotonic } = engine.options;
    this.#options = options;
    this.#candidate = candidate?.body.retain() === true ? candidate : undefined;
    this.startedAt = monotonic();
    const position = ledger.positionFor(request.minPosition);
    this.stamp = ledger.stampOf(position);
    this.#flow = fill.follow(position, this);
  }

  get settled(): Promise<FillOutcome> {
    return this.#settled.promise;
  }

  get waiting(): number {
    return this.#waiting;
  }

  get disowned(): boolean {
    return this.#isDisowned;
  }

  disown(): void {
    this.#isDisowned = true;
  }

  enter(): void {
    this.#waiting++;
  }

  leave(): void {
    this.#waiting--;
    this.#leaveIfUnwanted();
    this.#releaseIfUnused();
  }

  /** The thread that fetches it has requests of its own for this. */
  continueUnread(): void {
    return;
  }

  onOutcome(sent: SentOutcome): void {
    const outcome = this.#outcomeOf(sent);
    if (outcome.kind === 'response') this.#options.onResponse(outcome, this);
    this.#settle(outcome);
    if (outcome.kind === 'response' && outcome.shareable) this.#leaveIfUnwanted();
    else this.#close();
  }

  #outcomeOf(sent: SentOutcome): FillOutcome {
    const { ledger } = this.#options.engine.options;
    switch (sent.kind) {
      case 'gone':
        return sent;
      case 'failed': {
        const error = new HttpError(sent.code as HttpErrorCode, undefined, {
          reason: sent.reason as UpstreamCause | undefined,
        });
        error.message = sent.message;
        return { kind: 'failed', error };
      }
      case 'validated': {
        const known = this.#candidate;
        if (known === undefined || known.body.id !== sent.body) return { kind: 'gone' };
        const { trailers, length, body, encodings } = known;
        const stored = { ...headOf(ledger, sent.stored), trailers, length, body, encodings };
        const { refusal, wasFresh, headers } = sent;
        return { kind: 'validated', stored, refusal, wasFresh, response304: { headers } };
      }
      case 'response': {
        const { status, statusText, headers, refusal, wasFresh, shareable, length } = sent;
        const body = this.#bodyOf(length, shareable);
        this.#body = body;
        const stored = headOf(ledger, sent.stored);
        return {
          kind: 'response',
          head: { status, statusText, headers },
          stored,
          refusal,
          wasFresh,
          shareable,
          length,
          body,
        };
      }
    }
  }

  onData(chunk: Buffer): void {
    this.#body?.append(chunk);
  }

  onEnd(trailers: RawHeaders): void {
    this.#body?.end(trailers, 0);
    this.#close();
  }

  onLost(): void {
    this.#body?.lose(new HttpError('origin_bad_response', 'the thread that fetched it has ended'));
    this.#close();
  }

  /** Held whole where several wait for it, so that each reads at its own pace; the other thread stores it. */
  #bodyOf(length: number | undefined, shareable: boolean): SharedBody {
    const { options, windows } = this.#options.engine;
    const body = new SharedBody({
      writer: shareable && this.#waiting > 1 ? options.store.begin(length ?? 0) : undefined,
      maxStoredBytes: this.#options.request.site.max_object,
      windowBytes: options.bounds().fillWindowBytes,
      windows,
      flow: { pause: () => this.#flow.pause(), resume: () => this.#flow.resume(), abort: () => this.#flow.leave() },
      onAbandoned: () => this.#leaveIfUnwanted(),
    });
    body.shouldStore = false;
    return body;
  }

  #settle(outcome: FillOutcome): void {
    if (this.outcome !== undefined) return;
    this.outcome = outcome;
    this.#options.registration.settled();
    this.#settled.resolve(outcome);
  }

  #close(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#options.registration.delete();
    this.#releaseIfUnused();
  }

  #releaseIfUnused(): void {
    if (!this.#isDone || this.#waiting > 0 || this.#isReleased) return;
    this.#isReleased = true;
    this.#body?.settle();
    this.#candidate?.body.release();
  }

  #leaveIfUnwanted(): void {
    if (this.#isDone || this.#waiting > 0 || (this.#body?.readers ?? 0) > 0) return;
    this.#flow.leave();
    this.#body?.fail(new HttpError('client_closed'));
    this.#settle({ kind: 'failed', error: new HttpError('client_closed') });
    this.#close();
  }
}

function headOf(ledger: Ledger, { position, ...head }: SentHead): StoredHead {
  return { ...head, stamp: ledger.stampOf(position) };
}

function sentHead(ledger: Ledger, stored: StoredHead): SentHead {
  const { status, statusText, headers, vary, tags, policy, responseTime, stamp } = stored;
  return { status, statusText, headers, vary, tags, policy, responseTime, position: ledger.positionOf(stamp) };
}

/** Fills of this thread, for followers in others. */
export function followedFills({ fills, options }: Pick<Engine, 'fills' | 'options'>): FollowedFills {
  const { ledger } = options;
  return {
    follow(place, position, follower) {
      const fill = fills.at(place);
      // One that another thread fetches is not followed from a third.
      if (!(fill instanceof Fill) || fill.disowned) return undefined;
      const request = { keyed: fill.keyed, minPosition: position };
      if (!isNewEnough({ options }, request, { stamp: fill.stamp, tags: [] })) return undefined;
      const result = fill.outcome;
      if (result?.kind === 'response' && !(result.shareable && result.body.canReadFrom(0))) return undefined;
      if (fill.waiting >= options.bounds().maxWaiters) return undefined;
      return new Pump(fill, ledger, follower);
    },
  };
}

/** Passes one fill on to one follower, at its pace. */
class Pump implements FollowedFlow {
  readonly #fill: Fill;
  readonly #ledger: Ledger;
  readonly #follower: FillFollower;
  #reader: BodyReader | undefined;
  #trailers: () => RawHeaders = () => [];
  #isWaiting = true;
  #isPaused = false;
  #isReading = false;
  #isOver = false;

  constructor(fill: Fill, ledger: Ledger, follower: FillFollower) {
    this.#fill = fill;
    this.#ledger = ledger;
    this.#follower = follower;
    fill.enter();
    void fill.settled.then((outcome) => this.#onOutcome(outcome));
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    void this.#read();
  }

  leave(): void {
    this.#isOver = true;
    this.#reader?.close();
    this.#stopWaiting();
  }

  #stopWaiting(): void {
    if (this.#isWaiting) this.#fill.leave();
    this.#isWaiting = false;
  }

  #onOutcome(outcome: FillOutcome): void {
    if (this.#isOver) return;
    if (outcome.kind === 'response' && outcome.shareable && outcome.body.canReadFrom(0)) {
      const { body } = outcome;
      this.#reader = body.reader(0, Number.POSITIVE_INFINITY);
      this.#trailers = () => body.trailers;
    }
    this.#follower.onOutcome(sentOutcome(this.#ledger, outcome, this.#reader !== undefined));
    this.#stopWaiting();
    void this.#read();
  }

  async #read(): Promise<void> {
    const reader = this.#reader;
    if (reader === undefined || this.#isReading) return;
    this.#isReading = true;
    try {
      while (!this.#isPaused && !this.#isOver) {
        const next = reader.next();
        const piece = next instanceof Promise ? await next : next;
        if (this.#isOver) return;
        if (piece === null) {
          this.#isOver = true;
          this.#follower.onEnd(this.#trailers());
          return;
        }
        this.#follower.onData(piece);
        reader.release?.();
      }
    } catch {
      // The body broke off, or is not kept and was read too slowly: readers there ask for the rest.
      if (!this.#isOver) this.#follower.onLost();
      this.leave();
    } finally {
      this.#isReading = false;
    }
  }
}

function sentOutcome(ledger: Ledger, outcome: FillOutcome, hasBody: boolean): SentOutcome {
  switch (outcome.kind) {
    case 'unmatched':
    case 'gone':
      return { kind: 'gone' };
    case 'failed': {
      const { code, message, reason } = outcome.error;
      return { kind: 'failed', code, message, reason };
    }
    case 'validated': {
      const { stored, refusal, wasFresh, response304 } = outcome;
      const { headers } = response304;
      return {
        kind: 'validated',
        stored: sentHead(ledger, stored),
        body: stored.body.id,
        refusal,
        wasFresh,
        headers,
      };
    }
    case 'response': {
      const { head, stored, refusal, wasFresh, shareable, length } = outcome;
      const { status, statusText, headers } = head;
      if (shareable && !hasBody) return { kind: 'gone' };
      return {
        kind: 'response',
        status,
        statusText,
        headers,
        stored: sentHead(ledger, stored),
        refusal,
        wasFresh,
        shareable,
        length,
      };
    }
  }
}
