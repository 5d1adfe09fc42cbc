/** Questions in JSON: what is no question, and what an answer throws, has a status. */
import { test } from 'tap';
import { limitsSchema } from '../../config/schema.ts';
import { HttpError } from '../../http/errors.ts';
import { listen } from '../../http/listener/listener.ts';
import { answerJson } from '../../tier/json-answer.ts';
import { STARTED } from '../support/started.ts';
import { ask } from '../support/visitor.ts';

const LIMITS = limitsSchema.parse({});

const ROWS: readonly (readonly [body: string, status: number, text?: string])[] = [
  ['{"a":1}', 200, '{"got":{"a":1}}'],
  ['', 200, '{}'],
  ['{"a":', 400],
  ['"refuse"', 403],
  ['"break"', 400],
  [JSON.stringify('x'.repeat(200)), 413],
];

test('a body is answered as it is, refused by the status of the error, or 400', async (t) => {
  const listener = await listen(STARTED, {
    address: '127.0.0.1:0',
    limits: LIMITS,
    onRequest: (exchange) =>
      void answerJson(exchange, 100, async (body) => {
        if (body === 'refuse') throw new HttpError('unauthorised_tier');
        if (body === 'break') throw new TypeError('a fault of the answer');
        return { got: body };
      }),
  });
  t.teardown(() => listener.close());
  for (const [body, status, text] of ROWS) {
    const answer = await ask(listener.address, '/', { method: 'POST', body });
    t.equal(answer.status, status, body.slice(0, 20));
    if (text !== undefined) t.equal(answer.text, text);
  }
});
