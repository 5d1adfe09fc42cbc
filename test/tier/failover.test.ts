import { test } from 'tap';
import { HttpError, type HttpErrorCode } from '../../http/errors.ts';
import type { Flow, ResponseSink, UpstreamRequest } from '../../http/message.ts';
import { type MonotonicMs, monotonicMs } from '../../lib/clock.ts';
import { Breaker } from '../../tier/breaker.ts';
import { failover, type Target } from '../../tier/failover.ts';
import { RelayedError } from '../../tier/protocol.ts';

/** A moment of a test's clock. */
function at(ms: number): MonotonicMs {
  return monotonicMs(ms);
}

const GET: UpstreamRequest = { method: 'GET', target: '/', headers: [], body: undefined };
const POST: UpstreamRequest = { ...GET, method: 'POST' };

/** Fails before it returns, as a client does whose queue is full. */
function failing(name: string, error: HttpError): Target {
  return {
    name,
    fetch: (_request, sink) => {
      sink.onError(error);
      return { pause: () => undefined, resume: () => undefined, abort: () => undefined };
    },
  };
}

function waiting(name: string, calls: string[]): Target {
  const note = (call: string) => (): void => void calls.push(`${name} ${call}`);
  return {
    name,
    fetch: (_request, sink) => {
      calls.push(`${name} asked`);
      sink.onHead({ status: 200, statusText: 'OK', headers: [] });
      return { pause: note('paused'), resume: note('resumed'), abort: note('aborted') };
    },
  };
}

function listening(seen: string[]): ResponseSink {
  return {
    onInterim: () => undefined,
    onHead: ({ status }) => seen.push(String(status)),
    onData: () => undefined,
    onEnd: () => seen.push('end'),
    onError: ({ code }) => seen.push(code),
  };
}

function run(request: UpstreamRequest, ...targets: Target[]): { flow: Flow; seen: string[] } {
  const seen: string[] = [];
  return {
    flow: failover(
      () => targets,
      () => at(0),
    )(request, listening(seen)),
    seen,
  };
}

test('holding back and giving up reach the target that answers, though the first one failed at once', async (t) => {
  const calls: string[] = [];
  const { flow, seen } = run(GET, failing('a', new HttpError('overloaded')), waiting('b', calls));
  flow.pause();
  flow.resume();
  flow.abort();
  t.strictSame(calls, ['b asked', 'b paused', 'b resumed', 'b aborted']);
  t.strictSame(seen, ['200']);
});

for (const { code, request, next } of [
  { code: 'origin_timeout', request: GET, next: false },
  { code: 'origin_unreachable', request: GET, next: false },
  { code: 'bad_request', request: GET, next: false },
  { code: 'origin_overloaded', request: GET, next: false },
  { code: 'overloaded', request: GET, next: true },
  { code: 'internal', request: GET, next: true },
  { code: 'internal', request: POST, next: false },
  { code: 'unknown_host', request: GET, next: true },
  { code: 'unknown_host', request: POST, next: true },
  { code: 'unauthorised_tier', request: POST, next: true },
] as const satisfies readonly { code: HttpErrorCode; request: UpstreamRequest; next: boolean }[]) {
  test(`a node answers ${request.method} with ${code}: ${next ? 'the next one is asked' : 'so it is'}`, async (t) => {
    const { seen } = run(request, failing('a', new RelayedError(code)), waiting('b', []));
    t.strictSame(seen, [next ? '200' : code]);
  });
}

test('a server that has no connection free has not seen the request: the next one is asked, for POST as well', async (t) => {
  const { seen } = run(POST, failing('a', new HttpError('origin_overloaded')), waiting('b', []));
  t.strictSame(seen, ['200']);
});

test('a visitor does not learn that nodes disagree about the config', async (t) => {
  for (const code of ['unknown_host', 'unauthorised_tier'] as const) {
    t.strictSame(run(GET, failing('a', new RelayedError(code))).seen, ['origin_unreachable']);
  }
});

for (const { rule, error, answers } of [
  { rule: 'a body that its sender breaks off says nothing', error: new HttpError('client_closed'), answers: false },
  { rule: 'a body that is too large says nothing', error: new HttpError('body_too_large'), answers: false },
  { rule: 'an error that a node answers with is an answer', error: new RelayedError('origin_timeout'), answers: true },
]) {
  test(`${rule} of whether the target is well`, async (t) => {
    const breaker = new Breaker({ failures: 2, firstPauseMs: 1_000, maxPauseMs: 1_000 });
    breaker.failed(at(0));
    run(POST, { ...failing('a', error), breaker });
    breaker.failed(at(0));
    t.equal(breaker.open, !answers);
  });
}
