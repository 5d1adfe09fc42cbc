import { test } from 'tap';
import { isHeuristicallyCacheable, isOriginError, isUnderstood } from '../../../cache/policy/status.ts';

const ALL = Array.from({ length: 500 }, (_, i) => 100 + i);

test('RFC 9110 15.1: heuristically cacheable statuses; 206 has rules of its own', async (t) => {
  t.same(ALL.filter(isHeuristicallyCacheable), [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]);
});

test('RFC 5861 4: stale-if-error covers these errors', async (t) => {
  t.same(ALL.filter(isOriginError), [500, 502, 503, 504]);
});

test('RFC 9111 5.2.2.3: interim and unassigned statuses are not understood', async (t) => {
  t.same([100, 199, 200, 206, 299, 306, 404, 418, 451, 499, 503, 599].filter(isUnderstood), [200, 206, 404, 451, 503]);
});
