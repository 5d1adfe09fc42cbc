import type { IncomingMessage, ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { type Test, test } from 'tap';
import { httpReporter, type Reporter } from '../../journal/reporter.ts';
import { type AppliedReport, readAppliedReport, readNodeField } from '../../journal/wire.ts';
import { SECRET, serve } from './served.ts';
import { Clock, settle } from './simulation.ts';

interface Call {
  readonly report: AppliedReport;
  readonly from: string;
  answer(status: number): void;
  cut(): void;
}

interface Desk {
  readonly reporter: Reporter;
  readonly clock: Clock;
  readonly calls: Call[];
  readonly problems: string[];
  /** The next report that arrives. */
  next(): Promise<Call>;
  /** A problem that there will be. */
  problem(): Promise<void>;
}

/** A control node whose answers the test gives. */
async function open(t: Test): Promise<Desk> {
  const clock = new Clock();
  const calls: Call[] = [];
  const problems: string[] = [];
  let arrival = Promise.withResolvers<void>();
  let trouble = Promise.withResolvers<void>();
  let seen = 0;
  const { url } = await serve(t, (request: IncomingMessage, response: ServerResponse) => {
    void json(request).then((body) => {
      t.equal(`${request.method} ${request.url}`, 'POST /v1/journal/applied');
      calls.push({
        report: readAppliedReport(body),
        from: readNodeField(request.rawHeaders, SECRET),
        answer: (status) => void response.writeHead(status).end(),
        cut: () => void request.socket.destroy(),
      });
      arrival.resolve();
    });
  });
  const problem = (error: Error): void => {
    problems.push(error.message);
    trouble.resolve();
  };
  const reporter = httpReporter({ url, secret: SECRET, node: 'eu-1', wait: clock.wait, problem });
  t.teardown(() => reporter.close());
  return {
    ...{ reporter, clock, calls, problems },
    async next() {
      while (calls.length === seen) {
        await arrival.promise;
        arrival = Promise.withResolvers();
      }
      seen += 1;
      return calls[seen - 1] as Call;
    },
    async problem() {
      await trouble.promise;
      trouble = Promise.withResolvers();
    },
  };
}

test('of what comes up while a report is on its way only the newest is sent', async (t) => {
  const { reporter, next, calls } = await open(t);
  reporter.report(1, 'one');
  const first = await next();
  t.same([first.from, first.report], ['eu-1', { node: 'eu-1', identity: 'one', seq: 1 }]);
  for (let seq = 2; seq <= 500; seq += 1) reporter.report(seq, 'one');
  first.answer(204);
  const second = await next();
  t.same(second.report, { node: 'eu-1', identity: 'one', seq: 500 });
  reporter.report(7, 'two');
  second.answer(204);
  const third = await next();
  t.same(third.report, { node: 'eu-1', identity: 'two', seq: 7 }, 'newest, not highest');
  third.answer(204);
  t.equal(calls.length, 3);
});

test('a report that failed is sent again, or what is newer in its place', async (t) => {
  const { reporter, clock, next, problem, problems } = await open(t);
  reporter.report(1, 'one');
  (await next()).answer(503);
  await problem();
  await clock.advance(1_000);
  const again = await next();
  t.equal(again.report.seq, 1);
  again.cut();
  await problem();
  await settle();
  reporter.report(2, 'one');
  await clock.advance(1_000);
  const newer = await next();
  t.equal(newer.report.seq, 2);
  newer.answer(204);
  t.equal(problems.length, 2);
});

test('closed with a report on its way, and while it waits to send again', async (t) => {
  const { reporter, next, problems } = await open(t);
  reporter.report(1, 'one');
  await next();
  reporter.report(2, 'one');
  await reporter.close();
  t.same(problems, []);
  const other = await open(t);
  other.reporter.report(1, 'one');
  (await other.next()).answer(500);
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
  test(`a report is refused that is wrong: ${field} in ${JSON.stringify(body)}`, async (t) => {
    t.throws(() => readAppliedReport(body), { code: 'JOURNAL_BAD_MESSAGE', message: field });
  });
}
