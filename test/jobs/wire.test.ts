import { test } from 'tap';
import { detailOf, MAX_CLAIM_WAIT_MS, readGo, readStep, readWorkMessage, STEP_URLS } from '../../jobs/wire.ts';

const LEASE = { job: 'j', lane: 'eu', claim: 'c' };
const RESULT = { outcome: 'stored', status: 200, bytes: 1, ms: 1, detail: '' };

for (const message of [
  { type: 'claim', wait_ms: 0 },
  { type: 'renew', ...LEASE, done: 3 },
  { type: 'results', ...LEASE, results: [RESULT] },
  { type: 'failed', ...LEASE, reason: 'why' },
]) {
  test(`a message of the type ${message.type} is read as it was sent`, async (t) => {
    t.same(readWorkMessage(JSON.parse(JSON.stringify(message))), message);
  });
}

for (const [what, message] of Object.entries({
  nothing: undefined,
  'another type': { type: 'steal' },
  'a claim that waits too long': { type: 'claim', wait_ms: MAX_CLAIM_WAIT_MS + 1 },
  'a member that is not known': { type: 'claim', wait_ms: 0, more: 1 },
  'results without a lease': { type: 'results', results: [] },
  'more results than a step has': { type: 'results', ...LEASE, results: Array(STEP_URLS + 1).fill(RESULT) },
  'an outcome that is not known': { type: 'results', ...LEASE, results: [{ ...RESULT, outcome: 'fine' }] },
  'a long detail': { type: 'results', ...LEASE, results: [{ ...RESULT, detail: 'x'.repeat(201) }] },
})) {
  test(`no message is ${what}`, async (t) => {
    t.equal(readWorkMessage(message), undefined);
  });
}

test('a step of a kind that this version does not know is none', async (t) => {
  const task = { kind: 'warm', urls: ['https://a.test/'], rate: 1, accept_encoding: ['br'] };
  t.match(readStep({ ...LEASE, lease_ms: 5, task, more: 1 }), { task });
  t.equal(readStep({ ...LEASE, lease_ms: 5, task: { ...task, kind: 'cool' } }), undefined);
  t.equal(readStep('x'), undefined);
});

test('a lease is lost unless the control node says that it is not', async (t) => {
  t.equal(readGo({ go: true }), true);
  for (const other of [undefined, null, {}, { go: false }, { go: 1 }]) t.equal(readGo(other), false);
});

test('a detail fits into a message, however long it was', async (t) => {
  t.ok(readWorkMessage({ type: 'failed', ...LEASE, reason: detailOf('x'.repeat(9_999)) }));
});
