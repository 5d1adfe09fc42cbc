import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Test, test } from 'tap';
import { journalClient } from '../../journal/client.ts';
import { jsonLines } from '../../journal/lines.ts';
import { type Reporter, type ReporterOptions, startReporter } from '../../journal/reporter.ts';
import { type AppliedReport, readAppliedReport } from '../../journal/wire.ts';
import { bySecret } from '../../trust/authentication.ts';
import { SECRET, serve } from './served.ts';
import { Clock, settle } from './simulation.ts';

/** One call, as the control node sees it. */
interface Call {
  readonly from: string;
  /** The next report of it; `undefined` when the node ends it. */
  next(): Promise<AppliedReport | undefined>;
  answer(status: number): void;
  cut(): void;
}

interface Desk {
  readonly reporter: Reporter;
  readonly clock: Clock;
  readonly problems: string[];
  /** The next call that arrives. */
  call(): Promise<Call>;
  /** A problem that there will be. */
  problem(): Promise<void>;
}

const CALL_MS = 5_000;
const PAUSE_MS = 1_000;
const TIMEOUT_MS = 5_000;

/** A control node whose answers the test gives. */
async function open(t: Test, options: Partial<ReporterOptions> = {}): Promise<Desk> {
  const clock = new Clock();
  const problems: string[] = [];
  const calls: Call[] = [];
  let arrival = Promise.withResolvers<void>();
  let trouble = Promise.withResolvers<void>();
  const { url } = await serve(t, (request: IncomingMessage, response: ServerResponse) => {
    t.equal(`${request.method} ${request.url}`, 'POST /v1/journal/applied');
    const lines = jsonLines(request.iterator({ destroyOnReturn: false }), 1_000);
    calls.push({
      from: bySecret(() => SECRET).identify(request.rawHeaders, request.socket).name,
      async next() {
        const { value, done } = await lines.next();
        return done ? undefined : readAppliedReport(value);
      },
      answer: (status) => void response.writeHead(status).end(),
      cut: () => void request.socket.destroy(),
    });
    arrival.resolve();
  });
  const problem = (error: Error): void => {
    problems.push(error.message);
    trouble.resolve();
  };
  const client = journalClient({ url, secret: SECRET, node: 'eu-1' });
  const reporter = startReporter({ client, node: 'eu-1', wait: clock.wait, problem, ...options });
  t.teardown(async () => {
    await reporter.close();
    await client.close();
  });
  return {
    ...{ reporter, clock, problems },
    async call() {
      if (calls.length === 0) {
        await arrival.promise;
        arrival = Promise.withResolvers();
      }
      return calls.shift() as Call;
    },
    async problem() {
      await trouble.promise;
      trouble = Promise.withResolvers();
    },
  };
}

test('reports are lines of a call that stays open', async (t) => {
  const { reporter, clock, call, problems } = await open(t);
  reporter.report(1, 'one');
  const first = await call();
  t.equal(first.from, 'eu-1');
  t.same(await first.next(), { node: 'eu-1', identity: 'one', seq: 1 });
  reporter.report(2, 'one');
  t.same(await first.next(), { node: 'eu-1', identity: 'one', seq: 2 });
  reporter.report(1, 'two');
  t.same(await first.next(), { node: 'eu-1', identity: 'two', seq: 1 }, 'newest, not highest');

  await clock.advance(CALL_MS);
  reporter.report(3, 'two');
  t.equal(await first.next(), undefined, 'the call has ended');
  first.answer(204);
  const second = await call();
  t.same(await second.next(), { node: 'eu-1', identity: 'two', seq: 3 }, 'what came up meanwhile');
  await clock.advance(CALL_MS);
  t.equal(await second.next(), undefined);
  second.answer(204);
  reporter.report(4, 'two');
  t.match(await (await call()).next(), { seq: 4 }, 'no call is open while there is nothing to say');
  t.same(problems, []);
});

test('a node that stays in touch opens the next call by itself; the first line of each describes the node', async (t) => {
  const about = { version: '1.2.3', config: '0123456789ab', since: '2026-01-01T00:00:00.000Z' };
  const { reporter, clock, call, problems } = await open(t, { staysOpen: true, about: () => about });
  reporter.report(1, 'one');
  for (let round = 0; round < 3; round += 1) {
    const one = await call();
    t.same(await one.next(), { node: 'eu-1', identity: 'one', seq: round + 1, about });
    reporter.report(round + 2, 'one');
    t.same(await one.next(), { node: 'eu-1', identity: 'one', seq: round + 2 });
    await clock.advance(CALL_MS);
    t.equal(await one.next(), undefined, 'the call has ended');
    one.answer(204);
  }
  t.same(problems, []);
});

for (const about of [
  7,
  {},
  { version: 'x'.repeat(65), config: '', since: '2026-01-01' },
  { version: '', config: '', since: 'x' },
]) {
  test(`a description that is none is refused: ${JSON.stringify(about).slice(0, 40)}`, async (t) => {
    t.throws(() => readAppliedReport({ node: 'a', identity: 'i', seq: 1, about }), { code: 'journal_bad_message' });
  });
}

test('under back-pressure only the newest report is sent', async (t) => {
  const { reporter, call } = await open(t);
  const last = 200_000;
  for (let seq = 1; seq <= last; seq += 1) reporter.report(seq, 'one');
  const first = await call();
  let count = 0;
  for (let seq: number | undefined; seq !== last; count += 1) seq = (await first.next())?.seq;
  t.ok(count < last / 10, `${count} lines`);
});

test('after a failed call the newest report is sent again', async (t) => {
  const { reporter, clock, call, problem, problems } = await open(t);
  reporter.report(1, 'one');
  const refused = await call();
  await refused.next();
  refused.answer(503);
  await problem();
  await clock.advance(PAUSE_MS);
  const cut = await call();
  t.match(await cut.next(), { seq: 1 });
  cut.cut();
  await problem();
  await settle();
  reporter.report(2, 'one');
  await clock.advance(PAUSE_MS);
  const silent = await call();
  t.match(await silent.next(), { seq: 2 });
  await clock.advance(CALL_MS);
  t.equal(await silent.next(), undefined);
  await clock.advance(TIMEOUT_MS);
  await problem();
  await clock.advance(PAUSE_MS);
  t.match(await (await call()).next(), { seq: 2 }, 'nobody has said that it arrived');
  t.equal(problems.length, 3);
});

test('a reporter can be closed during a call and between calls', async (t) => {
  const { reporter, clock, call, problems } = await open(t);
  reporter.report(1, 'one');
  await (await call()).next();
  reporter.report(2, 'one');
  await reporter.close();
  t.same([problems, clock.waiting], [[], 0]);
  const other = await open(t);
  other.reporter.report(1, 'one');
  (await other.call()).answer(500);
  await other.problem();
  await other.reporter.close();
  t.equal(other.clock.waiting, 0);
});

for (const [field, body] of [
  ['not an object', null],
  ['node', { identity: 'one', seq: 1 }],
  ['node', { node: '', identity: 'one', seq: 1 }],
  ['identity', { node: 'eu-1', identity: 7, seq: 1 }],
  ['seq', { node: 'eu-1', identity: 'one', seq: '1' }],
  ['seq', { node: 'eu-1', identity: 'one', seq: -1 }],
] as const) {
  test(`an invalid report is refused: ${field} in ${JSON.stringify(body)}`, async (t) => {
    t.throws(() => readAppliedReport(body), { code: 'journal_bad_message', message: field });
  });
}
