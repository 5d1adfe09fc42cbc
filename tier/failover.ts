/**
 * Asks one target after the other until one answers (promise P4). Which
 * failures let the next one try, and which requests may be tried again, is
 * decided here and nowhere else.
 * @module
 */
import type { Duplex } from 'node:stream';
import { isIdempotent } from '../cache/policy/invalidation.ts';
import type { FaultSource } from '../http/errors.ts';
import type { RawHeaders } from '../http/fields/headers.ts';
import type { BodySink, Fetch, Flow, ResponseHead, ResponseSink, UpstreamRequest } from '../http/message.ts';
import { failedBy, UpstreamError } from '../http/upstream/errors.ts';
import { type MonotonicMs, monotonicNow, msBetween } from '../lib/clock.ts';
import type { TargetHealth, Waiting } from './target-health.ts';
import { Targets } from './targets.ts';

export interface Target {
  readonly name: string;
  /** Absent: always asked. */
  readonly health?: TargetHealth | undefined;
  readonly fetch: Fetch;
  /** True if `fetch` is a failover itself, which has tried every target. */
  readonly isFailover?: boolean;
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

class Attempts implements Flow {
  readonly request: UpstreamRequest;
  readonly sink: ResponseSink;
  readonly #context: Context;
  /** Index of the next target. */
  #at = 0;
  /** Passed over because they are left out; tried when no other is left. */
  #resting: Target[] | undefined;
  #attempt: Attempt | undefined;
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
    if (target === undefined) {
      this.sink.onError(
        failure ?? new UpstreamError('origin_unreachable', { source: 'here', sent: 'no' }, 'no node or origin to ask'),
      );
      return;
    }
    target.onTry?.();
    const attempt = new Attempt(this, target);
    this.#attempt = attempt;
    // No other could take over from the only one.
    if (this.#context.ordered.length > 1) target.health?.waits(attempt);
    const flow = target.fetch(this.request, attempt);
    if (attempt.isOver) return; // it failed at once, and the flow is the next one's
    attempt.flow = flow;
    if (this.isAborted) attempt.cancel();
  }

  /** Goes on to the next target that is not left out. @returns Whether there is one. */
  #passOver(): boolean {
    const { ordered } = this.#context;
    for (; this.#at < ordered.length; this.#at++) {
      const target = ordered[this.#at] as Target;
      if (target.health?.isLeftOut !== true) return true;
      this.#resting ??= [];
      this.#resting.push(target);
    }
    return false;
  }

  /** The target of an attempt that has no head yet does not answer any more. */
  onSilence(attempt: Attempt): void {
    if (this.isAborted || attempt !== this.#attempt) return;
    const silent = failedBy('silent', `${attempt.target.name} does not answer`);
    if (!this.#passOver() || !this.mayTryNext(silent)) return;
    attempt.cancel();
    this.next(silent);
  }

  mayTryNext({ fault: { source, sent } }: UpstreamError): boolean {
    if (!CAN_BE_BETTER[source]) return false;
    const { method, body } = this.request;
    if (body?.readableDidRead || body?.destroyed) return false; // part of it is gone
    // RFC 9110, section 9.2.2: a request that may have had its effect is not repeated; one that never arrived is.
    if (!isIdempotent(method) && sent !== 'no') return false;
    return this.#context.targets.retries.trySpend();
  }

  pause(): void {
    this.#attempt?.flow?.pause();
  }

  resume(): void {
    this.#attempt?.flow?.resume();
  }

  abort(): void {
    this.isAborted = true;
    this.#attempt?.cancel();
  }
}

/** Receives the response of one target. */
class Attempt implements ResponseSink, Waiting {
  readonly #attempts: Attempts;
  readonly target: Target;
  readonly since: MonotonicMs;
  before: Waiting | undefined;
  after: Waiting | undefined;
  flow: Flow | undefined;
  #hasHead = false;
  /** True once it has failed before its head, or was given up: what it still says is not heard. */
  isOver = false;

  constructor(attempts: Attempts, target: Target) {
    this.#attempts = attempts;
    this.target = target;
    this.since = attempts.now();
  }

  get body(): BodySink {
    const { sink } = this.#attempts;
    return sink.body ?? sink;
  }

  onSilence(): void {
    this.#attempts.onSilence(this);
  }

  cancel(): void {
    this.#end();
    this.flow?.abort();
  }

  #end(): void {
    this.isOver = true;
    this.target.health?.settled(this);
  }

  #answered(): void {
    const { health } = this.target;
    if (health === undefined) return;
    health.settled(this);
    const now = this.#attempts.now();
    health.headMs.observe(msBetween(this.since, now));
    health.succeeded(now);
  }

  onInterim(status: number, headers: RawHeaders): void {
    if (!this.isOver) this.#attempts.sink.onInterim(status, headers);
  }

  onHead(head: ResponseHead): void {
    if (this.isOver) return;
    this.#hasHead = true;
    this.#answered();
    this.#attempts.sink.onHead(head);
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
    if (isAnswer) health?.succeeded(attempts.now());
    else if (source === 'target') health?.failed(attempts.now());
    if (this.#hasHead) {
      attempts.sink.onError(error);
      return;
    }
    this.#end();
    if (attempts.isAborted || !attempts.mayTryNext(error)) attempts.sink.onError(error);
    else attempts.next(error);
  }
}

/** Sources of faults after which another target may succeed. */
const CAN_BE_BETTER: Readonly<Record<FaultSource, boolean>> = {
  target: true,
  here: true,
  beyond: false,
  requester: false,
};
