/** Dry runs of purges at a node: which questions are read, and what they count. */
import { type Test, test } from 'tap';
import type { PurgeRecord } from '../../cache/ledger.ts';
import { limitsSchema } from '../../config/schema.ts';
import { listen } from '../../http/listener/listener.ts';
import { answerMatches } from '../../tier/dry-run.ts';
import { STARTED } from '../support/started.ts';
import { ask } from '../support/visitor.ts';

async function asking(t: Test) {
  const asked: (readonly PurgeRecord[])[] = [];
  const listener = await listen(STARTED, {
    address: '127.0.0.1:0',
    limits: limitsSchema.parse({}),
    onRequest: (exchange) =>
      void answerMatches((records) => {
        asked.push(records);
        return records.length;
      }, exchange),
  });
  t.teardown(() => listener.close());
  return {
    asked,
    count: (body: unknown) => ask(listener.address, '/', { method: 'POST', body: JSON.stringify(body) }),
  };
}

const SELECTOR = { site: 'shop', kind: 'tag', selector: 'a' };

test('selectors become records in their order, and nothing else of them is taken', async (t) => {
  const { asked, count } = await asking(t);
  const given = [SELECTOR, { ...SELECTOR, kind: 'url', selector: '//shop.test/', seq: 99, soft: true, extra: {} }];
  const reply = await count({ selectors: given });
  t.equal(reply.text, '{"matches":2}');
  t.strictSame(asked, [
    [
      { ...SELECTOR, seq: 1, soft: false },
      { site: 'shop', kind: 'url', selector: '//shop.test/', seq: 2, soft: false },
    ],
  ]);
});

test('no selector matches nothing; a thousand are taken, one more is not', async (t) => {
  const { count } = await asking(t);
  t.equal((await count({ selectors: [] })).text, '{"matches":0}');
  const many = Array.from({ length: 1_000 }, () => SELECTOR);
  t.equal((await count({ selectors: many })).text, '{"matches":1000}');
  t.equal((await count({ selectors: [...many, SELECTOR] })).status, 400);
});

test('what is no question is refused, and counts nothing', async (t) => {
  const { asked, count } = await asking(t);
  for (const body of [
    null,
    7,
    'selectors',
    [],
    {},
    { selectors: null },
    { selectors: { length: 1, 0: SELECTOR } },
    { selectors: [null] },
    { selectors: [7] },
    { selectors: [{}] },
    { selectors: [SELECTOR, { ...SELECTOR, site: 7 }] },
    { selectors: [{ ...SELECTOR, kind: 'constructor' }] },
    { selectors: [{ ...SELECTOR, kind: 'toString' }] },
    { selectors: [{ ...SELECTOR, kind: ['tag'] }] },
    { selectors: [{ ...SELECTOR, selector: { toString: 'a' } }] },
  ]) {
    const reply = await count(body);
    t.equal(reply.status, 400, JSON.stringify(body));
  }
  t.same(asked, []);
});
