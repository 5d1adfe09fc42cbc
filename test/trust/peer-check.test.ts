/** Certificates of nodes: each reason to refuse one, and which counts of several. */
import type { X509Certificate } from 'node:crypto';
import { test } from 'tap';
import { epochMs } from '../../lib/clock.ts';
import { expectationRefusal, revocationKey, timeRefusal } from '../../trust/peer-check.ts';

const at = (text: string) => new Date(text);
const SPAN = { validFromDate: at('2026-01-01'), validToDate: at('2026-12-31') };

for (const { now, refusal } of [
  { now: '2025-12-31T23:59:59.999Z', refusal: 'peer_not_yet_valid' },
  { now: '2026-01-01T00:00:00.000Z', refusal: undefined },
  { now: '2026-12-31T00:00:00.000Z', refusal: undefined },
  { now: '2026-12-31T00:00:00.001Z', refusal: 'peer_expired' },
]) {
  test(`a certificate of 2026 at ${now} ${refusal === undefined ? 'is valid' : `is refused: ${refusal}`}`, async (t) => {
    t.equal(timeRefusal(SPAN, epochMs(at(now).getTime())), refusal);
  });
}

for (const { role, name, expected, refusal } of [
  { role: 'edge', name: 'a', expected: { role: 'edge' }, refusal: undefined },
  { role: 'edge', name: 'a', expected: { role: 'edge', name: 'a' }, refusal: undefined },
  { role: 'edge', name: 'b', expected: { role: 'edge', name: 'a' }, refusal: 'peer_wrong_name' },
  { role: 'shield', name: 'b', expected: { role: 'edge', name: 'a' }, refusal: 'peer_wrong_role' },
] as const) {
  test(`the ${role} ${name} where ${JSON.stringify(expected)} is expected ${refusal === undefined ? 'is taken' : `is refused: ${refusal}`}`, async (t) => {
    t.equal(expectationRefusal({ role, name, network: 'n' } as never, expected), refusal);
  });
}

test('a serial number is revoked for one authority only', async (t) => {
  const [a, b] = [{ fingerprint256: 'AA' }, { fingerprint256: 'BB' }] as X509Certificate[];
  t.not(revocationKey(a as X509Certificate, '01'), revocationKey(b as X509Certificate, '01'));
});
