import { setTimeout as pause } from 'node:timers/promises';
import { test } from 'tap';
import { type Fault, type FaultSource, HTTP_ERRORS, HttpError, type HttpErrorCode } from '../../http/errors.ts';
import type { Flow, ResponseSink, UpstreamRequest } from '../../http/message.ts';
import { failedBy, UPSTREAM_CAUSES, type UpstreamCause, UpstreamError } from '../../http/upstream/errors.ts';
import { type MonotonicMs, monotonicMs } from '../../lib/clock.ts';
import { failover, type Target } from '../../tier/failover.ts';
import type { Probe } from '../../tier/prober.ts';
import { errorFields, relayedError } from '../../tier/protocol.ts';
import { TargetHealth } from '../../tier/target-health.ts';

/** A moment of a test's clock. */
function at(ms: number): MonotonicMs {
  return monotonicMs(ms);
}

/** @param failures - In a row, for which it is left out. */
function healthOf(failures: number): TargetHealth {
  return new TargetHealth({ name: 'a', failures, firstPauseMs: 1_000, maxPauseMs: 1_000 });
}

const GET: UpstreamRequest = { method: 'GET', target: '/', headers: [], body: undefined };
const POST: UpstreamRequest = { ...GET, method: 'POST' };

/** A shortage of connections at this node. */
const BUSY: Fault = { source: 'here', sent: 'no' };

/** The error that a node makes of another one's answer. */
function relayed(error: HttpErrorCode | HttpError, from = 'a'): UpstreamError {
  const fields = errorFields(typeof error === 'string' ? new HttpError(error) : error);
  return relayedError(fields, from) as UpstreamError;
}

/** Fails before it returns, as a client does whose queue is full. */
function failing(name: string, error: UpstreamError): Target {
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
      undefined,
      () => at(0),
    )(request, listening(seen)),
    seen,
  };
}

test('back-pressure and aborts reach the target that answers, after the first one failed', async (t) => {
  const calls: string[] = [];
  const { flow, seen } = run(GET, failing('a', new UpstreamError('overloaded', BUSY)), waiting('b', calls));
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
  test(`a node answers ${request.method} with ${code}: ${next ? 'the next one is tried' : 'the answer is passed on'}`, async (t) => {
    const { seen } = run(request, failing('a', relayed(code)), waiting('b', []));
    t.strictSame(seen, [next ? '200' : code]);
  });
}

/** Causes of failures upstream that another node would not meet. */
const OF_THE_NODE: ReadonlySet<string> = new Set(['out_of_ports', 'shutdown']);

for (const cause of Object.keys(UPSTREAM_CAUSES) as UpstreamCause[]) {
  const next = OF_THE_NODE.has(cause);
  test(`a node that has failed upstream by ${cause}: ${next ? 'the next one is tried' : 'the answer is passed on'}`, async (t) => {
    const error = relayed(failedBy(cause));
    t.equal(error.reason, cause);
    t.equal(error.code, UPSTREAM_CAUSES[cause].code);
    t.strictSame(run(GET, failing('a', error), waiting('b', [])).seen, [next ? '200' : error.code]);
    t.strictSame(relayed(error, 'b').fault.source, 'beyond', 'one node further it is beyond the target');
  });
}

for (const { what, fault, next } of [
  { what: 'an edge has no connection to its shield', fault: BUSY, next: true },
  { what: 'a shield spares the origin', fault: { ...BUSY, forNodes: 'beyond' }, next: false },
] as const) {
  test(`${what}: ${next ? 'the next node is tried, for POST as well' : 'no other node is asked in its place'}`, async (t) => {
    const error = relayed(new UpstreamError('overloaded', fault));
    t.strictSame(run(POST, failing('a', error), waiting('b', [])).seen, [next ? '200' : 'overloaded']);
  });
}

test('an error whose code is of a newer version is no response, and is judged by its fault', async (t) => {
  for (const [source, next] of [
    ['target', true],
    ['beyond', false],
    ['requester', false],
  ] as const) {
    const fields = ['Seawall-Error', 'from_the_future', 'Seawall-Fault', `source=${source}, sent=no`];
    const error = relayedError(fields, 'a') as UpstreamError;
    t.strictSame(run(GET, failing('a', error), waiting('b', [])).seen, [next ? '200' : 'internal']);
  }
});

test('a server without a free connection has not seen the request: the next one is tried, for POST as well', async (t) => {
  const { seen } = run(POST, failing('a', new UpstreamError('origin_overloaded', BUSY)), waiting('b', []));
  t.strictSame(seen, ['200']);
});

test('nodes that disagree about the config are not exposed to visitors', async (t) => {
  for (const code of ['unknown_host', 'unauthorised_tier'] as const) {
    t.strictSame(run(GET, failing('a', relayed(code))).seen, ['origin_unreachable']);
  }
});

test('a node without a free connection to another has sent nothing: the next one is tried, for POST as well', async (t) => {
  const { seen } = run(POST, failing('a', new UpstreamError('overloaded', BUSY)), waiting('b', []));
  t.strictSame(seen, ['200']);
});

test('a request that no client would write is not retried at the next target, and leaves no target out', async (t) => {
  const health = healthOf(1);
  const refused = new UpstreamError('bad_request', { source: 'requester', sent: 'no' });
  const { seen } = run(GET, { ...failing('a', refused), health }, waiting('b', []));
  t.strictSame(seen, ['bad_request']);
  t.notOk(health.isLeftOut);
});

const SOURCES: readonly FaultSource[] = ['target', 'beyond', 'requester', 'here'];

for (const source of SOURCES) {
  for (const sent of ['no', 'maybe'] as const) {
    for (const isAnswer of [false, true]) {
      for (const method of ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'POST', 'PATCH', 'FOO']) {
        const mayHelp = source === 'target' || source === 'here';
        const isIdempotent = !['POST', 'PATCH', 'FOO'].includes(method);
        const next = mayHelp && (isIdempotent || sent === 'no');
        const rule = `${method} fails by the fault of ${source}, sent: ${sent}${isAnswer ? ', in an answer' : ''}`;
        test(`${rule}: ${next ? 'the next target is tried' : 'the error is passed on'}`, async (t) => {
          const health = healthOf(1);
          const error = new UpstreamError('internal', { source, sent, isAnswer });
          const { seen } = run({ ...GET, method }, { ...failing('a', error), health }, waiting('b', []));
          t.strictSame(seen, [next ? '200' : 'internal']);
          t.equal(health.isLeftOut, source === 'target' && !isAnswer, 'what the target has failed at counts');
        });
      }
    }
  }
}

test('an error response of another node shows that it is up', async (t) => {
  for (const code of Object.keys(HTTP_ERRORS) as HttpErrorCode[]) {
    const health = healthOf(2);
    health.failed(at(0));
    run(POST, { ...failing('a', relayed(code)), health });
    health.failed(at(0));
    t.notOk(health.isLeftOut, code);
  }
});

test('a body that its sender breaks off does not count against the target', async (t) => {
  const health = healthOf(2);
  health.failed(at(0));
  run(POST, { ...failing('a', new UpstreamError('client_closed', { source: 'requester', sent: 'maybe' })), health });
  health.failed(at(0));
  t.ok(health.isLeftOut);
});

/** A target that never answers. */
function silent(name: string, calls: string[], health: TargetHealth): Target {
  const note = (call: string) => (): void => void calls.push(`${name} ${call}`);
  return {
    name,
    health,
    fetch: () => {
      calls.push(`${name} asked`);
      return { pause: note('paused'), resume: note('resumed'), abort: note('aborted') };
    },
  };
}

/** A node that can be made late, as a heartbeat that is not answered makes it. */
function lateNode(name: string): { health: TargetHealth; late(): Promise<void> } {
  let probes = 0;
  const probe: Probe = (done) => {
    if (++probes === 1) setImmediate(done, true);
    return () => undefined;
  };
  const timeoutMs = (): number => 30_000;
  const probing = {
    probe,
    begins: 'at-once',
    intervalMs: () => 1,
    timeoutMs,
    unhealthyAfter: 1,
    healthyAfter: 2,
  } as const;
  const health = new TargetHealth({ name, failures: 3, firstPauseMs: 1_000, maxPauseMs: 1_000, probing });
  return {
    health,
    async late() {
      while (!health.isLate) await pause(5);
    },
  };
}

interface Next {
  readonly hasHealth: boolean;
  readonly isLeftOut?: boolean;
  readonly isBackup?: boolean;
}

for (const { what, request = GET, next, asked } of [
  { what: 'GET, another node', next: { hasHealth: true }, asked: true },
  { what: 'HEAD, another node', request: { ...GET, method: 'HEAD' }, next: { hasHealth: true }, asked: true },
  { what: 'POST, another node', request: POST, next: { hasHealth: true }, asked: false },
  { what: 'PUT, another node', request: { ...GET, method: 'PUT' }, next: { hasHealth: true }, asked: false },
  { what: 'GET, another node that is left out', next: { hasHealth: true, isLeftOut: true }, asked: false },
  { what: 'GET, a backup', next: { hasHealth: true, isBackup: true }, asked: false },
  { what: "GET, the edge's own way to the origin", next: { hasHealth: false }, asked: false },
] as const satisfies readonly {
  what: string;
  request?: UpstreamRequest;
  next: Next;
  asked: boolean;
}[]) {
  const { hasHealth, isLeftOut = false, isBackup = false }: Next = next;
  const targetsOf = (calls: string[], late: TargetHealth): Target[] => {
    const health = healthOf(1);
    if (isLeftOut) health.leaveOut('silent', at(0));
    const other = { ...waiting('b', calls), isBackup, ...(hasHealth && { health }) };
    return [silent('a', calls, late), other];
  };

  test(`${what}: a request that waits for a late node ${asked ? 'goes there as well' : 'waits on'}`, async (t) => {
    const calls: string[] = [];
    const { health, late } = lateNode('a');
    const { seen } = run(request, ...targetsOf(calls, health));
    await late();
    t.strictSame(seen, asked ? ['200'] : []);
    t.strictSame(calls, asked ? ['a asked', 'b asked', 'a aborted'] : ['a asked']);
    health.close();
  });

  const isAsGood = hasHealth && !isLeftOut && !isBackup;
  test(`${what}: a request that comes while a node is late goes ${isAsGood ? 'there' : 'to the late one'}`, async (t) => {
    const calls: string[] = [];
    const { health, late } = lateNode('a');
    await late();
    run(request, ...targetsOf(calls, health));
    t.strictSame(calls, [isAsGood ? 'b asked' : 'a asked']);
    health.close();
  });
}
