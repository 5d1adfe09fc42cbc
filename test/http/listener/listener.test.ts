/**
 * Refusals behind a request: the answer to the one before says that the connection closes, or the refusal
 * follows it. A client that is told of a connection that stays has an answer to each of its requests.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { test } from 'tap';
import { limitsSchema } from '../../../config/schema/limits.ts';
import { answerWhole } from '../../../http/exchange.ts';
import { listen } from '../../../http/listener/listener.ts';
import { exchange } from '../../support/raw-client.ts';
import { STARTED } from '../../support/started.ts';

const GET = 'GET / HTTP/1.1\r\nHost: site.test\r\n\r\n';

const REFUSED = [
  { what: 'an unknown method', text: 'FOO / HTTP/1.1\r\nHost: site.test\r\n\r\n', status: 501 },
  { what: 'a field that is none', text: 'GET / HTTP/1.1\r\nHost site.test\r\n\r\n', status: 400 },
  { what: 'a bare LF', text: 'GET / HTTP/1.1\nHost: site.test\n\n', status: 400 },
  {
    what: 'a body of two lengths',
    text: 'POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na',
    status: 400,
  },
] as const;

const ANSWERED: Readonly<Record<string, (answer: () => void) => unknown>> = {
  'at once': (answer) => answer(),
  'at the end of the turn': (answer) => queueMicrotask(answer),
  'a turn later': (answer) => nextTurn().then(answer),
};

for (const [when, answering] of Object.entries(ANSWERED)) {
  for (const { what, text, status } of REFUSED) {
    test(`a refused request ${what} behind a request that is answered ${when}`, async (t) => {
      const listener = await listen(STARTED, {
        address: '127.0.0.1:0',
        limits: limitsSchema.parse({ drain_timeout: '1s' }),
        onRequest: (asked) => {
          answering(() => answerWhole(asked, 200, [], 'hello'));
        },
      });
      t.teardown(() => listener.close());
      for (const before of [1, 2]) {
        const answers = await exchange(listener.address, GET.repeat(before) + text);
        const heads = [...answers.matchAll(/HTTP\/1\.1 (\d+)[\s\S]*?\r\nConnection: (\S+)/g)].map(
          ([, code, how]) => `${code} ${how}`,
        );
        const kept = new Array(before).fill('200 keep-alive');
        const isRefused = heads.join() === [...kept, `${status} close`].join();
        const isClosed = heads.join() === [...kept.slice(1), '200 close'].join();
        t.ok(isRefused || isClosed, heads.join());
      }
    });
  }
}
