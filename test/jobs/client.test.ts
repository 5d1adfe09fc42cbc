import { test } from 'tap';
import { workClient } from '../../jobs/client.ts';
import { UNREACHABLE } from '../support/origin.ts';
import { aStep, scriptedControl } from '../tier/jobs/control.ts';

const NODE = { secret: 'a-secret-of-the-tests', node: 'eu-1' };
const { signal } = new AbortController();

test('a control node that does not answer, or refuses, is left for the next one, which is asked first from then on', async (t) => {
  const first = await scriptedControl(t, () => ({ status: 503 }));
  const second = await scriptedControl(t, () => ({ status: 200, body: aStep() }));
  const client = workClient({ urls: [UNREACHABLE, first.url, second.url], ...NODE });
  t.teardown(() => client.close());
  t.match(await client.claim(signal), { claim: 'c' });
  t.match(await client.claim(signal), { claim: 'c' });
  t.equal(first.messages.length, 1);
  t.equal(second.messages.length, 2);
});

test('a call fails when no control node answers', async (t) => {
  const client = workClient({ urls: [UNREACHABLE], ...NODE });
  t.teardown(() => client.close());
  await t.rejects(client.claim(signal), { code: 'journal_unreachable' });
});

test('no work is no error, and a lease is lost when the control node says so', async (t) => {
  const control = await scriptedControl(t, ({ type }) =>
    type === 'claim' ? { status: 204 } : { status: 200, body: { go: false } },
  );
  const client = workClient({ urls: [control.url], ...NODE });
  t.teardown(() => client.close());
  t.equal(await client.claim(signal), undefined);
  t.equal(await client.tell({ type: 'renew', job: 'j', lane: 'eu', claim: 'c', done: 1 }, signal), false);
});

test('an aborted call is not made at the next control node', async (t) => {
  const aborting = new AbortController();
  const first = await scriptedControl(t, () => {
    aborting.abort();
    return undefined;
  });
  const second = await scriptedControl(t, () => ({ status: 204 }));
  const client = workClient({ urls: [first.url, second.url], ...NODE });
  t.teardown(() => client.close());
  await t.rejects(client.claim(aborting.signal));
  t.equal(second.messages.length, 0);
});
