import { test } from 'tap';
import { parseRetryAfter } from '../../../http/fields/retry-after.ts';
import { epochMs } from '../../../lib/clock.ts';

const NOW = epochMs(Date.UTC(2026, 0, 31, 12));

for (const { value, ms } of [
  { value: undefined, ms: undefined },
  { value: '0', ms: 0 },
  { value: '120', ms: 120_000 },
  { value: 'Sat, 31 Jan 2026 12:02:00 GMT', ms: 120_000 },
  { value: 'Sat, 31 Jan 2026 11:00:00 GMT', ms: 0 },
  { value: '-5', ms: undefined },
  { value: '1.5', ms: undefined },
  { value: 'soon', ms: undefined },
]) {
  test(`RFC 9110 10.2.3: ${value} asks for ${ms === undefined ? 'nothing' : `${ms} ms`}`, async (t) => {
    t.equal(parseRetryAfter(value, NOW), ms);
  });
}
