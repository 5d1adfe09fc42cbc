/**
 * Connections to one server, shared between visitors: a bounded number at a
 * time, a bounded share for each visitor (http/upstream/fair-share.ts), a queue by
 * priority that serves first who holds least (http/upstream/priority-queue.ts), and, while
 * requests wait, an end for responses that their readers do not read.
 *
 * A request may wait for `maxWaitMs`. When none was free for as long as that, and the queue
 * moves all the same, more come than the server can take, and a wait does not help: then it
 * is a fifth of that, so that those that are served were not kept for long, and those that
 * are not hear of it soon (after Nichols and Jacobson's CoDel; docs/adr/0027-overload.md).
 * @module
 */
import { LONG_AGO, later, type MonotonicMs, monotonicNow, msBetween } from '../../lib/clock.ts';
import type { Fault, HttpErrorCode } from '../errors.ts';
import type { Priority } from '../fields/priority.ts';
import type { ConcurrencyLimit } from './concurrency-limit.ts';
import { UpstreamError } from './errors.ts';
import { FairShare } from './fair-share.ts';
import { PriorityQueue } from './priority-queue.ts';
import { ServiceTime } from './service-time.ts';
import { Shedding, type SheddingEvents, type ShedReason } from './shedding.ts';

export interface SharesOptions {
  /** Requests under way at a time. */
  readonly maxConnections: number;
  /** Lower bound of them where the server takes fewer; absent: there is none. */
  readonly limit?: ConcurrencyLimit | undefined;
  /** Requests that may wait for a connection. */
  readonly maxWaiting: number;
  /** Bytes of their heads; absent: no limit. */
  readonly maxWaitingBytes?: number;
  /** Maximum wait; absent: no limit. */
  readonly maxWaitMs?: number;
  /** Error code for requests that may not wait, or not longer. */
  readonly busyCode: HttpErrorCode;
  /** By default a shortage at this node, beside which another node may have connections. */
  readonly busyFault?: Fault;
  /** Largest part of the connections, and of the places to wait, that one visitor may have. */
  readonly visitorShare?: number;
  /** Bytes a second below which a reader is too slow for a connection that another visitor waits for. */
  readonly minReadRate?: number;
  /** Receiver of what is refused. */
  readonly shedding?: SheddingEvents;
  readonly now?: () => MonotonicMs;
}

/** Requests to the server. */
export interface UpstreamLoad {
  /** Includes those that wait. */
  readonly inFlight: number;
  readonly waiting: number;
  /** Number that may be under way. */
  readonly capacity: number;
}

/** A request that needs a connection. */
export interface Sharer {
  /** The visitor that it counts for; undefined: none. */
  readonly visitor: string | undefined;
  readonly priority: Priority;
  /** Bytes that its head takes while it waits. */
  readonly headBytes: number;
  /** The connection is there. */
  dispatch(): void;
  /** Ends it, whether it waits or is under way. */
  giveUp(error: UpstreamError): void;
  /** Its response, if its reader holds it back at the moment. */
  readonly heldBack: HeldBack | undefined;
  /**
   * For the shares alone, and undefined before. A Set of those that have a connection would make itself a new table for
   * each few dozen that come and go, and each table, once in the old generation, keeps alive what was in it
   * (docs/adr/0009-stored-as-bytes.md).
   */
  standing: Standing | undefined;
  /** For the shares alone. */
  connectedAt: MonotonicMs;
}

/**
 * Stage of a request between its beginning and its end. `left`: its client has gone and its connection is closed, but
 * the server may work on.
 */
export type Standing = 'waiting' | 'connected' | 'left';

/** A response that comes as slowly as its reader takes it. */
export interface HeldBack {
  /** Bytes that have been taken. */
  readonly bytes: number;
}

/** By default. */
export const VISITOR_SHARE = 1 / 4;
export const MIN_READ_RATE = 16 * 1024;

/** Longest time for which a request counts whose client has gone. */
export const ABANDONED_MS = 10_000;

/** Minimum time over which a reader's rate is measured before it is found too slow. */
const MEASURED_MS = 1_000;

/** A measurement that began longer ago is begun anew when the reader has continued: it did not matter meanwhile. */
export const STALE_MS = 5_000;

/** Interval of checks for slow readers and expired waits while requests wait. */
const LOOK_MS = 20;

/** Part of the longest wait that is left while more requests come than the server can take. */
const OVERLOADED_WAIT = 1 / 5;

/** Part of the connections, and of the places to wait, that background work leaves to others. */
const LEFT_BY_BACKGROUND = 1 / 8;

/** Part of the connections that readers may hold back while requests are said to wait for the server. */
const HELD_BY_READERS = 1 / 4;

/** Requests that are ended in one turn of the event loop: each costs an answer, or the closing of a connection. */
const ENDED_A_TURN = 4;

/** No connection was free. */
const BUSY: Fault = { source: 'here', sent: 'no' };

/** The reader of the response does not read. */
const SLOW: Fault = { source: 'requester', sent: 'maybe' };

export class ConnectionShares implements UpstreamLoad {
  readonly #options: SharesOptions;
  readonly #connections: FairShare;
  readonly #places: FairShare;
  readonly #queue: PriorityQueue<Sharer>;
  /** Waiting requests in order of arrival, with its time. */
  readonly #waiting = new Map<Sharer, MonotonicMs>();
  #waitingBytes = 0;
  /** Since when no connection has been free for those that wait. */
  #busySince = LONG_AGO;
  /** Requests that have got a connection after a wait, as others ended: in this period, and in the one before. */
  #periodSince = LONG_AGO;
  #started = 0;
  #startedBefore = 0;
  readonly #shedding: Shedding;
  readonly #serviceTime = new ServiceTime();
  /** Responses that were held back by their readers at some time, in the order in which they first were. */
  readonly #slow = new Map<Sharer, { since: MonotonicMs; bytes: number }>();
  readonly #minBytesPerMs: number;
  readonly #now: () => MonotonicMs;
  readonly #lookMs: number;
  #look: NodeJS.Timeout | undefined;
  /** Remainder of `ENDED_A_TURN`; undefined: none was ended in this turn. */
  #leftOfTurn: number | undefined;

  constructor(options: SharesOptions) {
    const { maxConnections, maxWaiting, visitorShare = VISITOR_SHARE, minReadRate = MIN_READ_RATE, limit } = options;
    this.#options = options;
    this.#connections = new FairShare({ capacity: () => limit?.value ?? maxConnections, share: visitorShare });
    this.#places = new FairShare({ capacity: () => maxWaiting, share: visitorShare });
    this.#queue = new PriorityQueue((visitor) => (visitor === undefined ? 0 : this.#connections.heldBy(visitor)));
    this.#minBytesPerMs = minReadRate / 1_000;
    this.#now = options.now ?? monotonicNow;
    this.#shedding = new Shedding(options.shedding, this.#now);
    this.#lookMs = Math.min(LOOK_MS, Math.ceil((options.maxWaitMs ?? LOOK_MS) / 4));
  }

  /** Requests under way, those that wait included. */
  get inFlight(): number {
    return this.#connections.taken + this.#queue.size;
  }

  /** True if a request counts until its response, though its client has gone. */
  get countsAbandoned(): boolean {
    return this.#options.limit !== undefined;
  }

  /** Connections that a visitor holds, those of requests that it has left included. */
  heldBy(visitor: string): number {
    return this.#connections.heldBy(visitor);
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.#queue.size;
  }

  /** Requests that may be under way. */
  get capacity(): number {
    return this.#options.limit?.value ?? this.#options.maxConnections;
  }

  /** Gives it a connection, now or when it is its turn; or ends it, where too many wait already. */
  begin(one: Sharer): void {
    if (this.#mayStart(one)) this.#start(one);
    else this.#refuseOrWait(one);
  }

  #mayStart(one: Sharer): boolean {
    if (!this.#connections.mayTake(one.visitor)) return false;
    return this.#isFreeForAll || one.priority !== 'background'; // a priority is worked out when it matters
  }

  readonly #mayTake = (visitor: string | undefined, priority: Priority): boolean =>
    this.#connections.mayTake(visitor) && (priority !== 'background' || this.#isFreeForAll);

  /** True if there are connections that background work may have. */
  get #isFreeForAll(): boolean {
    const { capacity } = this;
    return this.#connections.taken < capacity - Math.floor(capacity * LEFT_BY_BACKGROUND);
  }

  #refuseOrWait(one: Sharer): void {
    const { maxWaiting, maxWaitingBytes = Number.POSITIVE_INFINITY } = this.#options;
    const places = one.priority === 'background' ? maxWaiting * (1 - LEFT_BY_BACKGROUND) : maxWaiting;
    if (this.#queue.size >= places || this.#waitingBytes + one.headBytes > maxWaitingBytes) this.#refuse(one, 'full');
    else if (this.#places.tryTake(one.visitor)) this.#wait(one);
    else this.#refuse(one, 'share');
  }

  /** True if requests wait, and not for connections that readers hold, which say nothing of the server. */
  get #waitsForServer(): boolean {
    return this.#queue.size > 0 && this.#slow.size <= this.#connections.taken * HELD_BY_READERS;
  }

  #start(one: Sharer): void {
    this.#connections.take(one.visitor);
    one.standing = 'connected';
    if (this.#options.limit !== undefined) one.connectedAt = this.#now();
    one.dispatch();
  }

  /** Records that the server has answered a request, or has failed at it. */
  responded(one: Sharer, isGood: boolean): void {
    const { limit } = this.#options;
    if (limit === undefined || one.standing !== 'connected') return;
    const now = this.#now();
    const ms = msBetween(one.connectedAt, now);
    this.#serviceTime.observe(ms, true);
    limit.responded(ms, isGood, this.#connections.taken, this.#waitsForServer, now);
  }

  /**
   * The server has closed the connection of a request whose client has gone. Whether it works on is not known: the
   * request counts for as long as it is likely to take, and against the share of its visitor for as long as it could,
   * so that no visitor gets a larger share by leaving.
   */
  leave(one: Sharer): void {
    if (one.standing !== 'connected') {
      this.done(one);
      return;
    }
    one.standing = 'left';
    const elapsedMs = msBetween(one.connectedAt, this.#now());
    this.#serviceTime.observe(elapsedMs, false);
    const likelyMs = Math.min(ABANDONED_MS, Math.max(elapsedMs, this.#serviceTime.meanMs ?? ABANDONED_MS));
    setTimeout(() => {
      this.#connections.release(undefined);
      this.#startSoon();
      setTimeout(() => this.#connections.leave(one.visitor), ABANDONED_MS - likelyMs).unref();
    }, likelyMs).unref();
  }

  /** Its connection is free, or it waits no more. */
  done(one: Sharer): void {
    if (this.#slow.size > 0) this.#slow.delete(one);
    const { standing } = one;
    one.standing = undefined;
    if (standing === 'waiting') this.#endWait(one);
    if (standing !== 'connected') return;
    this.#connections.release(one.visitor);
    this.#startSoon();
  }

  /** Not before the connection can be used again. */
  #startSoon(): void {
    if (this.#queue.size > 0) queueMicrotask(() => this.#startWaiting());
  }

  /** Records that a reader holds its response back. Costs little after the first time. */
  noteHeldBack(one: Sharer): void {
    const now = this.#now();
    const bytes = one.heldBack?.bytes ?? 0;
    const mark = this.#slow.get(one);
    if (mark === undefined) this.#slow.set(one, { since: now, bytes });
    else if (msBetween(mark.since, now) > STALE_MS) {
      mark.since = now;
      mark.bytes = bytes;
    }
  }

  #refuse(one: Sharer, reason: ShedReason): void {
    this.#shedding.note(reason, one.priority);
    one.giveUp(this.#busy('too many requests wait for a connection'));
  }

  #busy(detail: string): UpstreamError {
    const { busyCode, busyFault = BUSY } = this.#options;
    return new UpstreamError(busyCode, busyFault, detail);
  }

  #wait(one: Sharer): void {
    const now = this.#now();
    if (this.#queue.size === 0) this.#busySince = now;
    one.standing = 'waiting';
    this.#waiting.set(one, now);
    this.#waitingBytes += one.headBytes;
    this.#queue.add(one);
    this.#relieve();
    if (this.#queue.size > 0) this.#look ??= setInterval(() => this.#lookThrough(), this.#lookMs).unref();
  }

  #endWait(one: Sharer): void {
    if (this.#waiting.delete(one)) this.#waitingBytes -= one.headBytes;
    this.#queue.delete(one);
    this.#places.release(one.visitor);
    if (this.#queue.size === 0) this.#stopLooking();
  }

  #lookThrough(): void {
    this.#relieve();
    this.#endLate();
  }

  /** Ends those that have waited for too long: thousands may have begun to at the same time. */
  #endLate(): void {
    const { maxWaitMs } = this.#options;
    if (maxWaitMs === undefined) return;
    const now = this.#now();
    const waitMs = this.#waitMsAt(now, maxWaitMs);
    const lateSince = later(now, -waitMs);
    for (const [one, since] of this.#waiting) {
      if (since > lateSince || !this.#mayEnd()) return;
      this.#shedding.note('waited', one.priority);
      one.giveUp(this.#busy(`no connection was free within ${waitMs} ms`));
    }
  }

  /** A queue that stands, though it moves, is one of too many requests; one that does not may soon move again. */
  #waitMsAt(now: MonotonicMs, maxWaitMs: number): number {
    const shortMs = maxWaitMs * OVERLOADED_WAIT;
    if (msBetween(this.#periodSince, now) >= shortMs) {
      this.#periodSince = now;
      this.#startedBefore = this.#started;
      this.#started = 0;
    }
    if (!this.#waitsForServer) this.#busySince = now;
    const isMoving = Math.max(this.#started, this.#startedBefore) >= this.capacity / 4;
    return isMoving && msBetween(this.#busySince, now) > maxWaitMs ? shortMs : maxWaitMs;
  }

  /** @returns Whether one more may be ended in this turn; if not, they are looked at again in the next. */
  #mayEnd(): boolean {
    if (this.#leftOfTurn === undefined) {
      this.#leftOfTurn = ENDED_A_TURN;
      setImmediate(() => {
        const isSpent = this.#leftOfTurn === 0;
        this.#leftOfTurn = undefined;
        if (isSpent) this.#lookThrough();
      });
    }
    if (this.#leftOfTurn === 0) return false;
    this.#leftOfTurn--;
    return true;
  }

  #stopLooking(): void {
    clearInterval(this.#look);
    this.#look = undefined;
  }

  #startWaiting(): void {
    for (;;) {
      const next = this.#queue.take(this.#mayTake);
      if (next === undefined) {
        // Those that wait have their share already; of many visitors that want everything some is always free.
        if (this.#queue.size > 0 && this.#isFreeForAll) this.#busySince = this.#now();
        return;
      }
      this.#endWait(next);
      this.#started++;
      this.#start(next);
    }
  }

  /** Takes connections from readers that do not read, for visitors that hold fewer. */
  #relieve(): void {
    if (this.#slow.size === 0) return;
    const now = this.#now();
    // While some are free, those that wait have their share, or soon will: no reader is in their way.
    while (this.#connections.taken >= this.capacity) {
      const next = this.#queue.first();
      const victim = next && this.#slowest(now, next.visitor);
      if (victim === undefined || !this.#mayEnd()) return;
      victim.giveUp(new UpstreamError('slow_reader', SLOW, 'others wait for the connection'));
      const started = this.#started;
      this.#startWaiting();
      this.#started = started; // that is no sign that the server answers
    }
  }

  /** The one that is too slow and has been for longest, of a visitor that has more connections than this one. */
  #slowest(now: MonotonicMs, visitor: string | undefined): Sharer | undefined {
    const held = visitor === undefined ? 0 : this.#connections.heldBy(visitor);
    for (const [one, mark] of this.#slow) {
      const { heldBack } = one;
      const elapsed = msBetween(mark.since, now);
      if (heldBack === undefined || elapsed < MEASURED_MS) continue;
      if (heldBack.bytes - mark.bytes >= elapsed * this.#minBytesPerMs) {
        mark.since = now; // fast enough so far
        mark.bytes = heldBack.bytes;
      } else if (one.visitor === undefined || this.#connections.heldBy(one.visitor) > held) return one;
    }
    return undefined;
  }
}
