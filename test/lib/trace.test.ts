import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { test } from 'tap';
import { TRACE_PHASES, type TracePhase, Tracer, traceChannel } from '../../lib/trace.ts';

/** A log of that level, and its lines. */
function logOf(level: 'debug' | 'info'): { lines: object[]; isLevelEnabled(): boolean; debug(fields: object): void } {
  const lines: object[] = [];
  return { lines, isLevelEnabled: () => level === 'debug', debug: (fields) => void lines.push(fields) };
}

test('with neither a subscriber nor the level debug, a request has no trace', async (t) => {
  const tracer = new Tracer('eu-1', logOf('info'));
  t.equal(tracer.begin({ id: 'a' }), undefined);
  t.notOk(tracer.isOn || tracer.isOnForPrepared);
});

test('at the level debug each phase is a line with node and id', async (t) => {
  const log = logOf('debug');
  const tracer = new Tracer('eu-1', log);
  tracer.begin({ id: 'a' })?.note('lookup', { hit: true });
  t.strictSame(log.lines, [{ node: 'eu-1', id: 'a', phase: 'lookup', hit: true }]);
});

/** Phases that requests with prepared answers pass. */
const PREPARED: readonly TracePhase[] = ['receive', 'lookup', 'deliver', 'log'];

for (const phase of Object.keys(TRACE_PHASES) as TracePhase[]) {
  test(`a subscriber of ${traceChannel(phase)} gets the messages of that phase`, async (t) => {
    const messages: unknown[] = [];
    const onMessage = (message: unknown): void => void messages.push(message);
    subscribe(traceChannel(phase), onMessage);
    t.teardown(() => unsubscribe(traceChannel(phase), onMessage));
    const tracer = new Tracer('eu-1', logOf('info'));
    t.ok(tracer.isOn);
    t.equal(tracer.isOnForPrepared, PREPARED.includes(phase));
    for (const other of Object.keys(TRACE_PHASES) as TracePhase[]) tracer.begin({ id: 'a' })?.note(other);
    t.strictSame(messages, [{ node: 'eu-1', id: 'a', phase }]);
  });
}
