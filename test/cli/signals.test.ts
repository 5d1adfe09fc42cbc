import { EventEmitter } from 'node:events';
import { Writable } from 'node:stream';
import { type Logger, pino } from 'pino';
import { test } from 'tap';
import { runUntilStopped, type Service } from '../../cli/signals.ts';
import { ConfigError } from '../../config/problem.ts';
import { monotonicMs } from '../../lib/clock.ts';

interface Scene {
  readonly signals: EventEmitter;
  readonly exits: number[];
  readonly messages: string[];
  nowMs: number;
  /** @returns The exit code, once the service has stopped. */
  run(start: () => Promise<Service>): Promise<number>;
}

function scene(): Scene {
  const exits: number[] = [];
  const messages: string[] = [];
  const signals = new EventEmitter();
  const sink = new Writable({
    write(line, _encoding, done) {
      messages.push(JSON.parse(String(line)).msg);
      done();
    },
  });
  const log: Logger = pino({ level: 'trace' }, sink);
  const self: Scene = {
    signals,
    exits,
    messages,
    nowMs: 0,
    run: (start) =>
      runUntilStopped(start, {
        process: signals,
        exit: (code) => exits.push(code),
        log,
        now: () => monotonicMs(self.nowMs),
      }),
  };
  return self;
}

/** A service whose closing and reloading the test decides about. */
function service(parts: Partial<Service> = {}): Service {
  return { closeLimitMs: 60_000, reload: () => undefined, close: async () => undefined, ...parts };
}

for (const event of ['SIGTERM', 'SIGINT', 'disconnect']) {
  test(`${event} closes the nodes and ends with 0`, async (t) => {
    const { signals, run, exits } = scene();
    const running = run(async () => service());
    signals.emit(event);
    t.equal(await running, 0);
    t.strictSame(exits, []);
    t.strictSame(signals.eventNames(), [], 'nobody listens any more');
  });
}

test('a second signal ends the process at once; a copy passed on by npm is not a second', async (t) => {
  const stage = scene();
  const closing = Promise.withResolvers<void>();
  const running = stage.run(async () => service({ close: () => closing.promise }));
  stage.signals.emit('SIGINT');
  stage.nowMs = 50;
  stage.signals.emit('SIGINT');
  t.strictSame(stage.exits, []);
  stage.nowMs = 2_000;
  stage.signals.emit('SIGINT');
  t.strictSame(stage.exits, [1]);
  closing.resolve();
  await running;
});

test('a signal during the start takes effect after it', async (t) => {
  const { signals, run } = scene();
  const starting = Promise.withResolvers<Service>();
  const done: string[] = [];
  const running = run(() => starting.promise);
  signals.emit('SIGHUP');
  signals.emit('SIGTERM');
  starting.resolve(service({ reload: () => void done.push('reload'), close: async () => void done.push('close') }));
  t.equal(await running, 0);
  t.ok(done.includes('close'));
});

test('an error of the start is passed on', async (t) => {
  const { signals, run } = scene();
  const failure = new Error('no');
  await t.rejects(
    run(() => Promise.reject(failure)),
    failure,
  );
  t.strictSame(signals.eventNames(), []);
});

test('reloads run one after the other', async (t) => {
  const { signals, run } = scene();
  const order: string[] = [];
  const first = Promise.withResolvers<void>();
  const second = Promise.withResolvers<void>();
  let count = 0;
  const running = run(async () =>
    service({
      async reload() {
        count++;
        order.push(`begin ${count}`);
        if (count === 1) await first.promise;
        else second.resolve();
        order.push(`end ${count}`);
      },
    }),
  );
  signals.emit('SIGHUP');
  signals.emit('SIGHUP');
  first.resolve();
  await second.promise;
  t.strictSame(order.slice(0, 3), ['begin 1', 'end 1', 'begin 2']);
  signals.emit('SIGTERM');
  await running;
});

test('a refused config is reported problem by problem, and the nodes keep serving', async (t) => {
  const { signals, run, messages } = scene();
  const refused = Promise.withResolvers<void>();
  const problem = { file: 'eu.yaml', line: 3, column: 1, key: 'edges', message: 'no', fix: 'Mend it.' };
  let reloads = 0;
  const running = run(async () =>
    service({
      reload() {
        if (++reloads === 1) throw new ConfigError([problem, { ...problem, line: 7 }]);
        refused.resolve();
      },
    }),
  );
  signals.emit('SIGHUP');
  signals.emit('SIGHUP');
  await refused.promise;
  t.strictSame(messages.slice(0, 3), [
    'eu.yaml:3:1 edges: no. Fix: Mend it.',
    'eu.yaml:7:1 edges: no. Fix: Mend it.',
    'new config rejected; the running config stays',
  ]);
  signals.emit('SIGTERM');
  t.equal(await running, 0);
});

test('a close that takes too long is cut off and ends with 1', async (t) => {
  const { signals, run } = scene();
  const never = new Promise<void>(() => undefined);
  const running = run(async () => service({ closeLimitMs: 1, close: () => never }));
  signals.emit('SIGTERM');
  t.equal(await running, 1);
});
