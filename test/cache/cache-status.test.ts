import { test } from 'tap';
import { type CacheStatus, formatCacheStatus } from '../../cache/cache-status.ts';

const CASES: readonly { rule: string; status: CacheStatus; text: string }[] = [
  { rule: 'a hit', status: { hit: true, ttlMs: 60_000 }, text: '"eu-1";hit;ttl=60' },
  {
    rule: 'a miss that is stored',
    status: { hit: false, fwd: 'uri-miss', stored: true },
    text: '"eu-1";fwd=uri-miss;stored',
  },
  { rule: 'a lifetime is rounded down', status: { hit: true, ttlMs: 1_999 }, text: '"eu-1";hit;ttl=1' },
  { rule: 'a stale response has a ttl below zero', status: { hit: true, ttlMs: -1 }, text: '"eu-1";hit;ttl=-1' },
  { rule: 'a response that was not stored says nothing of it', status: { hit: false, stored: false }, text: '"eu-1"' },
  {
    rule: 'every parameter, in one order',
    status: { hit: false, fwd: 'stale', fwdStatus: 304, ttlMs: 0, stored: true, collapsed: true, detail: 'no-memory' },
    text: '"eu-1";fwd=stale;fwd-status=304;ttl=0;stored;collapsed;detail=no-memory',
  },
];

for (const { rule, status, text } of CASES) {
  test(`RFC 9211 2: ${rule}`, async (t) => {
    t.equal(formatCacheStatus('eu-1', status), text);
  });
}
