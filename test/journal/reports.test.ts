/** Reports of one call, taken as they arrive. */
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Test, test } from 'tap';
import { readReports } from '../../journal/reports.ts';

const LINE = '{"node":"eu-1","identity":"a","seq":3}\n';

/** A call to a control node that reads reports until the end of `signal`. */
async function call(t: Test, signal: AbortSignal) {
  const taken: number[] = [];
  const outcome = Promise.withResolvers<unknown>();
  const server = createServer((incoming, response) => {
    readReports(incoming, ({ seq }) => taken.push(seq), signal).then(outcome.resolve, (error) =>
      outcome.resolve(error),
    );
    outcome.promise.then(() => response.end('answered'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const outgoing = request({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', method: 'POST' });
  outgoing.on('error', () => undefined);
  outgoing.flushHeaders();
  return { taken, outcome: outcome.promise, outgoing };
}

const open = new AbortController().signal;

test('a call that ends has given all its reports, however they were cut', async (t) => {
  const { taken, outcome, outgoing } = await call(t, open);
  for (const char of LINE) outgoing.write(char);
  outgoing.end(LINE);
  t.equal(await outcome, true);
  t.same(taken, [3, 3]);
});

for (const { what, ending } of [
  { what: 'a node that goes', ending: undefined },
  { what: 'a control node that closes', ending: new AbortController() },
]) {
  test(`a call is broken off by ${what}: its reports count, and there is no caller to answer`, async (t) => {
    const { taken, outcome, outgoing } = await call(t, ending?.signal ?? open);
    outgoing.write(LINE);
    while (taken.length === 0) await new Promise((resolve) => setImmediate(resolve));
    if (ending === undefined) outgoing.destroy();
    else ending.abort();
    t.equal(await outcome, false);
    t.same(taken, [3]);
  });
}

test('a call to a control node that has closed is broken off at once', async (t) => {
  const { taken, outcome } = await call(t, AbortSignal.abort());
  t.equal(await outcome, false);
  t.same(taken, []);
});

for (const [what, bytes] of Object.entries({
  'that is none': '{"node":""}\n',
  'that is not JSON': 'hello\n',
  'that is too long': `{"node":"${'x'.repeat(5_000)}`,
})) {
  test(`a report ${what} is refused, and the call can still be answered`, async (t) => {
    const { taken, outcome, outgoing } = await call(t, open);
    const answered = once(outgoing, 'response');
    outgoing.write(LINE + bytes);
    t.match(await outcome, { code: 'journal_bad_message' });
    t.same(taken, [3], 'those before it count');
    const [response] = await answered;
    t.equal((response as { statusCode: number }).statusCode, 200);
  });
}
