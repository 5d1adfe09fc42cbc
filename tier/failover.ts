/**
 * Asks one target after the other until one answers (promise P4), and a second one beside a target that takes longer
 * than nearly always. Which failures let the next one try, and which requests may be tried again, is decided here and
 * nowhere else.
 * @module
 */
import type { Duplex } from 'node:stream';
import { isIdempotent } from '../cache/policy/invalidation.ts';
import { isOriginError } from '../cache/policy/status.ts';
import type { Fault, FaultSource } from '../http/errors.ts';
import { fieldValue, type RawHeaders } from '../http/fields/headers.ts';
import { parseRetryAfter } from '../http/fields/retry-after.ts';
import type { BodySink, Fetch, Flow, ResponseHead, ResponseSink, UpstreamRequest } from '../http/message.ts';
import { failedBy, UpstreamError } from '../http/upstream/errors.ts';
import { type MonotonicMs, monotonicNow, msBetween, wallNow } from '../lib/clock.ts';
import { type Continuable, continuable, isContinuation, restRequest } from './continuation.ts';
import type { RetryCause, TargetHealth, Waiting } from './target-health.ts';
import { Targets } from './targets.ts';

export interface Target {
  readonly name: string;
  /** Absent: always asked. */
  readonly health?: TargetHealth | undefined;
  readonly fetch: Fetch;
  /** True if `fetch` is a failover itself, which has tried every target. */
  readonly isFailover?: boolean;
  /** Present for a server of an origin: the statuses after which another one is asked. */
  readonly failoverStatuses?: ReadonlySet<number> | undefined;
  /** True if it is asked only when those before it have failed: no request is hedged to it. */
  readonly isBackup?: boolean | undefined;
  /** Called with the head of each response to a request. */
  readonly onAnswer?: ((request: UpstreamRequest, status: number) => void) | undefined;
  /** Called just before this target is tried. */
  readonly onTry?: () => void;
}

/**
 * @param list - Targets in order of preference; asked for at every request. Those that are left out are passed over,
 *   unless all are.
 * @param targets - Those that they belong to.
 * @returns A Fetch that fails with the last target's error when all have failed.
 */
export function failover(
  list: () => readonly Target[],
  targets: Targets = new Targets(),
  now: () => MonotonicMs = monotonicNow,
): Fetch {
  return (request, sink) => {
    const ordered = list();
    const [only] = ordered;
    if (only?.isFailover === true && ordered.length === 1) {
      only.onTry?.();
      return only.fetch(request, sink);
    }
    targets.retries.earn();
    targets.hedges.earn();
    targets.moves.earn();
    const attempts = new Attempts(request, sink, { ordered, targets, now });
    attempts.next(undefined);
    return attempts;
  };
}

interface Context {
  readonly ordered: readonly Target[];
  readonly targets: Targets;
  readonly now: () => MonotonicMs;
}

/** Continuations of one body. */
const MAX_CONTINUATIONS = 3;

class Attempts implements Flow {
  readonly request: UpstreamRequest;
  readonly sink: ResponseSink;
  readonly #context: Context;
  /** Index of the next target. */
  #at = 0;
  /** Passed over because they are left out; tried when no other is left. */
  #resting: Target[] | undefined;
  /** The newest attempt; the one that answers, once one does. */
  #attempt: Attempt | undefined;
  /** One that waits beside it, for a target that is late. */
  #earlier: Attempt | undefined;
  /** True if the newer one of two is a hedge. */
  #isHedged = false;
  #continuations = 0;
  #isPaused = false;
  isAborted = false;

  constructor(request: UpstreamRequest, sink: ResponseSink, context: Context) {
    this.request = request;
    this.sink = sink;
    this.#context = context;
  }

  now(): MonotonicMs {
    return this.#context.now();
  }

  /** @param failure - Of the one that was asked before. */
  next(failure: UpstreamError | undefined): void {
    this.#passOver();
    const target = this.#context.ordered[this.#at++] ?? this.#resting?.shift();
    if (target !== undefined) {
      this.#try(target, this.request);
      return;
    }
    this.sink.onError(
      failure ?? new UpstreamError('origin_unreachable', { source: 'here', sent: 'no' }, 'no node or origin to ask'),
    );
  }

  #try(target: Target, request: UpstreamRequest, rest?: Continuable): void {
    target.onTry?.();
    const attempt = new Attempt(this, target, rest);
    this.#attempt = attempt;
    // No other could take over from the only one.
    if (this.#context.ordered.length > 1) target.health?.waits(attempt);
    const flow = target.fetch(request, attempt);
    if (attempt.isOver) return; // it failed at once, and the flow is the next one's
    attempt.flow = flow;
    if (this.isAborted) attempt.cancel();
    else if (this.#isPaused) flow.pause();
  }

  /** Goes on to the next target that is not left out, nor late where another is not. @returns It, if there is one. */
  #passOver(): Target | undefined {
    const { ordered } = this.#context;
    for (; this.#at < ordered.length; this.#at++) {
      const target = ordered[this.#at] as Target;
      const { isLeftOut = false, isLate = false } = target.health ?? {};
      if (!isLeftOut && !(isLate && ordered.some(isAsGood, this.#at))) return target;
      this.#resting ??= [];
      if (isLate) this.#resting.unshift(target);
      else this.#resting.push(target);
    }
    return undefined;
  }

  /** The target of an attempt that has no head yet does not answer any more. */
  onSilence(attempt: Attempt): void {
    if (this.isAborted) return;
    if (this.#earlier !== undefined) {
      this.#drop(attempt); // the other one waits on
      return;
    }
    const silent = failedBy('silent', `${attempt.target.name} does not answer`);
    if (attempt.continues !== undefined || this.#passOver() === undefined || !this.mayTryNext(silent, 'silent')) return;
    attempt.cancel();
    this.next(silent);
  }

  /** The target of an attempt may hang: the next one is asked as well. */
  onLate(attempt: Attempt): void {
    const next = this.#beside(attempt);
    if (next === undefined || next.health === undefined) return;
    const { moves, events } = this.#context.targets;
    if (!moves.trySpend()) return; // all of them move when it is left out
    events?.retried('late');
    this.#tryBeside(attempt, next, this.request);
  }

  /** An attempt takes longer than nearly all: the next target is asked as well. */
  onOverdue(attempt: Attempt): void {
    const next = this.#beside(attempt);
    if (next === undefined) return;
    const { hedges, events } = this.#context.targets;
    if (!hedges.trySpend()) {
      events?.hedged('refused');
      return;
    }
    this.#isHedged = true;
    this.#tryBeside(attempt, next, { ...this.request, priority: 'background' });
  }

  /** Returns the target that may be asked beside that of the attempt. */
  #beside(attempt: Attempt): Target | undefined {
    const { method, body, upgrade } = this.request;
    const isSafe = (method === 'GET' || method === 'HEAD') && body === undefined && upgrade === undefined;
    if (this.isAborted || !isSafe || this.#earlier !== undefined || attempt.continues !== undefined) return undefined;
    const next = this.#passOver();
    return next?.isBackup === true ? undefined : next;
  }

  #tryBeside(attempt: Attempt, next: Target, request: UpstreamRequest): void {
    this.#earlier = attempt;
    this.#at++;
    this.#try(next, request);
  }

  /** Gives up one of two attempts. */
  #drop(attempt: Attempt): void {
    this.leavesToOther(attempt);
    attempt.cancel();
  }

  /** One of two has failed: the other goes on. @returns Whether there is another. */
  leavesToOther(attempt: Attempt): boolean {
    if (this.#earlier === undefined) return false;
    if (attempt === this.#attempt) this.#attempt = this.#earlier;
    this.#earlier = undefined;
    this.#isHedged = false;
    return true;
  }

  /** Returns whether a target is left that may be asked. */
  hasNext(): boolean {
    return this.#passOver() !== undefined;
  }

  /** This one answers: the other is given up. */
  choose(attempt: Attempt): void {
    const earlier = this.#earlier;
    if (earlier === undefined) return;
    const isLate = attempt === this.#attempt;
    if (this.#isHedged) this.#context.targets.events?.hedged(isLate ? 'won' : 'lost');
    if (isLate) earlier.target.health?.wasSlow(this.now());
    this.#drop(isLate ? earlier : (this.#attempt as Attempt));
  }

  /** Pauses a flow that begins while this one is paused. */
  keepPaused(attempt: Attempt): void {
    if (this.#isPaused) attempt.flow?.pause();
  }

  /** Leaves a response for another server's. @returns Whether another one is asked. */
  leavesFor(attempt: Attempt, { status }: ResponseHead): boolean {
    const { name, failoverStatuses } = attempt.target;
    if (failoverStatuses?.has(status) !== true || this.isAborted) return false;
    if (this.leavesToOther(attempt)) {
      attempt.cancel();
      return true;
    }
    const failed = new UpstreamError('origin_bad_response', ANSWERED, `${name} answered ${status}`);
    if (this.#passOver() === undefined || !this.mayTryNext(failed, 'status')) return false;
    attempt.cancel();
    this.next(failed);
    return true;
  }

  /** Has the rest of a body that broke off from another server, or from the same one where there is none. */
  continues(attempt: Attempt, rest: Continuable, error: UpstreamError): boolean {
    if (this.isAborted || error.fault.source !== 'target' || this.#continuations >= MAX_CONTINUATIONS) return false;
    const { retries, events } = this.#context.targets;
    if (!retries.trySpend()) return false;
    this.#continuations++;
    events?.retried('body');
    const next = this.#passOver();
    if (next !== undefined) this.#at++;
    this.#try(next ?? attempt.target, restRequest(this.request, rest), rest);
    return true;
  }

  mayTryNext({ fault: { source, sent } }: UpstreamError, cause: RetryCause): boolean {
    if (!CAN_BE_BETTER[source]) return false;
    const { method, body } = this.request;
    if (body?.readableDidRead || body?.destroyed) return false; // part of it is gone
    // RFC 9110, section 9.2.2: a request that may have had its effect is not repeated; one that never arrived is.
    if (!isIdempotent(method) && sent !== 'no') return false;
    const { retries, events } = this.#context.targets;
    if (!retries.trySpend()) return false;
    events?.retried(cause);
    return true;
  }

  pause(): void {
    this.#isPaused = true;
    this.#earlier?.flow?.pause();
    this.#attempt?.flow?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#earlier?.flow?.resume();
    this.#attempt?.flow?.resume();
  }

  abort(): void {
    this.isAborted = true;
    this.#earlier?.cancel();
    this.#attempt?.cancel();
  }
}

/** Receives the response of one target. */
class Attempt implements ResponseSink, Waiting {
  readonly #attempts: Attempts;
  readonly target: Target;
  readonly since: MonotonicMs;
  /** Present for an attempt that has the rest of a body for its response. */
  readonly continues: Continuable | undefined;
  before: Waiting | undefined;
  after: Waiting | undefined;
  isReviewed = false;
  flow: Flow | undefined;
  /** Head of the response, or of the rest of it. */
  #head: ResponseHead | undefined;
  /** True once it has failed before its head, or was given up: what it still says is not heard. */
  isOver = false;

  constructor(attempts: Attempts, target: Target, continues: Continuable | undefined) {
    this.#attempts = attempts;
    this.target = target;
    this.since = attempts.now();
    this.continues = continues;
  }

  get body(): BodySink {
    const { sink } = this.#attempts;
    return sink.body ?? sink;
  }

  /** True if another target may be asked for the rest of its body. */
  get isMovable(): boolean {
    return !this.isOver && this.#head !== undefined && this.#rest() !== undefined && this.#attempts.hasNext();
  }

  onSilence(): void {
    this.#attempts.onSilence(this);
  }

  onLate(): void {
    this.#attempts.onLate(this);
  }

  onOverdue(): void {
    this.#attempts.onOverdue(this);
  }

  cancel(): void {
    this.#end();
    this.flow?.abort();
  }

  #end(): void {
    this.isOver = true;
    this.target.health?.settled(this);
  }

  #answered(head?: ResponseHead): void {
    const { health, failoverStatuses, onAnswer } = this.target;
    const { request } = this.#attempts;
    if (head !== undefined) onAnswer?.(request, head.status);
    if (health === undefined) return;
    health.settled(this);
    const now = this.#attempts.now();
    if (request.method === 'GET') health.headMs.observe(msBetween(this.since, now));
    health.succeeded(now, head !== undefined && isOriginError(head.status));
    // The pause that a server asks for, and not one that another node passes on.
    if (head?.status !== 503 || failoverStatuses === undefined) return;
    const pauseMs = parseRetryAfter(fieldValue(head.headers, 'retry-after'), wallNow());
    if (pauseMs !== undefined) health.asksForPause(pauseMs, now);
  }

  onInterim(status: number, headers: RawHeaders): void {
    if (!this.isOver && this.continues === undefined) this.#attempts.sink.onInterim(status, headers);
  }

  onHead(head: ResponseHead): void {
    if (this.isOver) return;
    const attempts = this.#attempts;
    this.#answered(head);
    if (this.continues !== undefined) {
      this.#onRest(head, this.continues);
      return;
    }
    if (attempts.leavesFor(this, head)) return;
    attempts.choose(this);
    this.#head = head;
    attempts.sink.onHead(head);
  }

  #onRest(head: ResponseHead, rest: Continuable): void {
    if (!isContinuation(head, rest)) {
      this.cancel();
      this.#attempts.sink.onError(failedBy('closed', `${this.target.name} has no rest from byte ${rest.start}`));
      return;
    }
    this.#head = head;
    this.#attempts.keepPaused(this);
  }

  onData(chunk: Buffer): void {
    this.body.onData(chunk);
  }

  onEnd(trailers: RawHeaders): void {
    this.body.onEnd(trailers);
  }

  onUpgrade(head: ResponseHead, socket: Duplex): void {
    if (this.isOver) {
      socket.destroy();
      return;
    }
    this.#answered();
    const { sink } = this.#attempts;
    if (sink.onUpgrade === undefined) socket.destroy();
    else sink.onUpgrade(head, socket);
  }

  onError(error: UpstreamError): void {
    if (this.isOver) return;
    const attempts = this.#attempts;
    const { health } = this.target;
    const { source, isAnswer } = error.fault;
    this.#end();
    if (isAnswer) health?.succeeded(attempts.now());
    else if (source === 'target') {
      if (this.#head !== undefined) health?.brokeOff(attempts.now());
      else health?.failed(attempts.now());
    }
    const rest = this.#rest();
    if (rest !== undefined) {
      if (!attempts.continues(this, rest, error)) attempts.sink.onError(error);
    } else if (this.#head !== undefined) attempts.sink.onError(error);
    else if (attempts.leavesToOther(this)) return;
    else if (attempts.isAborted || !attempts.mayTryNext(error, 'failed')) attempts.sink.onError(error);
    else attempts.next(error);
  }

  /** Returns what is missing of the response. */
  #rest(): Continuable | undefined {
    if (this.#head === undefined) return this.continues;
    const expected = this.continues ?? continuable(this.#attempts.request, this.#head);
    const received = this.flow?.bytes;
    if (expected === undefined || received === undefined) return undefined;
    const { start, end } = expected;
    return start + received < end ? { ...expected, start: start + received } : undefined;
  }
}

/** Returns whether a target behind the index `this` may be asked in the place of one that is late. */
function isAsGood(this: number, { health, isBackup }: Target, index: number): boolean {
  return index > this && health !== undefined && isBackup !== true && !health.isLeftOut && !health.isLate;
}

/** The server has answered; another may do better. */
const ANSWERED: Fault = { source: 'target', sent: 'maybe', isAnswer: true };

/** Sources of faults after which another target may succeed. */
const CAN_BE_BETTER: Readonly<Record<FaultSource, boolean>> = {
  target: true,
  here: true,
  beyond: false,
  requester: false,
};
