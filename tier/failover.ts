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
import { UpstreamError } from '../http/upstream/errors.ts';
import { type MonotonicMs, monotonicNow } from '../lib/clock.ts';
import type { Breaker } from './breaker.ts';

export interface Target {
  readonly name: string;
  /** Absent: always asked. */
  readonly breaker?: Breaker | undefined;
  readonly fetch: Fetch;
  /** True if `fetch` is a failover itself, which has tried every target. */
  readonly isFailover?: boolean;
  /** Called just before this target is tried. */
  readonly onTry?: () => void;
}

/**
 * @param targets - In order of preference; asked for at every request. Those
 *   whose breaker is open are passed over, unless all are.
 * @returns A Fetch that fails with the last target's error when all have failed.
 */
export function failover(targets: () => readonly Target[], now: () => MonotonicMs = monotonicNow): Fetch {
  return (request, sink) => {
    const list = targets();
    const [only] = list;
    if (only?.isFailover === true && list.length === 1) {
      only.onTry?.();
      return only.fetch(request, sink);
    }
    const attempt = new Attempts(request, sink, list, now);
    attempt.next(undefined);
    return attempt;
  };
}

class Attempts implements Flow {
  readonly request: UpstreamRequest;
  readonly sink: ResponseSink;
  readonly now: () => MonotonicMs;
  readonly #targets: readonly Target[];
  /** Index of the next target. */
  #at = 0;
  /** Skipped because of recent failures; tried when no other is left. */
  #resting: Target[] | undefined;
  #flow: Flow | undefined;
  isAborted = false;

  constructor(request: UpstreamRequest, sink: ResponseSink, targets: readonly Target[], now: () => MonotonicMs) {
    this.request = request;
    this.sink = sink;
    this.now = now;
    this.#targets = targets;
  }

  /** @param failure - Of the one that was asked before. */
  next(failure: UpstreamError | undefined): void {
    let target = this.#targets[this.#at++];
    while (target !== undefined && target.breaker?.allows(this.now()) === false) {
      this.#resting ??= [];
      this.#resting.push(target);
      target = this.#targets[this.#at++];
    }
    target ??= this.#resting?.shift();
    if (target === undefined) {
      this.sink.onError(
        failure ?? new UpstreamError('origin_unreachable', { source: 'here', sent: 'no' }, 'no node or origin to ask'),
      );
      return;
    }
    target.onTry?.();
    const attempt = new Attempt(this, target);
    const flow = target.fetch(this.request, attempt);
    if (attempt.hasPassed) return; // it failed at once, and the flow is the next one's
    this.#flow = flow;
    if (this.isAborted) flow.abort();
  }

  mayTryNext({ fault: { source, sent } }: UpstreamError): boolean {
    if (!CAN_BE_BETTER[source]) return false;
    const { method, body } = this.request;
    if (body?.readableDidRead || body?.destroyed) return false; // part of it is gone
    // RFC 9110, section 9.2.2: a request that may have had its effect is not repeated; one that never arrived is.
    return isIdempotent(method) || sent === 'no';
  }

  pause(): void {
    this.#flow?.pause();
  }

  resume(): void {
    this.#flow?.resume();
  }

  abort(): void {
    this.isAborted = true;
    this.#flow?.abort();
  }
}

/** Receives the response of one target. */
class Attempt implements ResponseSink {
  readonly #attempts: Attempts;
  readonly #target: Target;
  #hasHead = false;
  /** True once the next target has been tried instead. */
  hasPassed = false;

  constructor(attempts: Attempts, target: Target) {
    this.#attempts = attempts;
    this.#target = target;
  }

  get body(): BodySink {
    const { sink } = this.#attempts;
    return sink.body ?? sink;
  }

  onInterim(status: number, headers: RawHeaders): void {
    this.#attempts.sink.onInterim(status, headers);
  }

  onHead(head: ResponseHead): void {
    this.#hasHead = true;
    this.#target.breaker?.succeeded();
    this.#attempts.sink.onHead(head);
  }

  onData(chunk: Buffer): void {
    this.body.onData(chunk);
  }

  onEnd(trailers: RawHeaders): void {
    this.body.onEnd(trailers);
  }

  onUpgrade(head: ResponseHead, socket: Duplex): void {
    this.#target.breaker?.succeeded();
    const { sink } = this.#attempts;
    if (sink.onUpgrade === undefined) socket.destroy();
    else sink.onUpgrade(head, socket);
  }

  onError(error: UpstreamError): void {
    const attempts = this.#attempts;
    const { breaker } = this.#target;
    const { source, isAnswer } = error.fault;
    if (isAnswer) breaker?.succeeded();
    else if (source === 'target') breaker?.failed(attempts.now());
    if (this.#hasHead || attempts.isAborted || !attempts.mayTryNext(error)) attempts.sink.onError(error);
    else {
      this.hasPassed = true;
      attempts.next(error);
    }
  }
}

/** Sources of faults after which another target may succeed. */
const CAN_BE_BETTER: Readonly<Record<FaultSource, boolean>> = {
  target: true,
  here: true,
  beyond: false,
  requester: false,
};
