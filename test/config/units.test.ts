import { test } from 'tap';
import { duration, parseDuration } from '../../config/units.ts';

for (const { text, ms } of [
  { text: '250ms', ms: 250 },
  { text: '1.5s', ms: 1_500 },
  { text: '90d', ms: 7_776_000_000 },
  { text: '99999d', ms: 8_639_913_600_000 },
  { text: '9999999h', ms: 35_999_996_400_000 },
  { text: '999999999m', ms: 59_999_999_940_000 },
  { text: '100000d', ms: undefined },
  { text: '10000000h', ms: undefined },
  { text: '999999999d', ms: undefined },
  { text: '1.2345d', ms: undefined },
  { text: '-1s', ms: undefined },
  { text: '5', ms: undefined },
  { text: '5mm', ms: undefined },
]) {
  test(`${text} is ${ms === undefined ? 'no duration' : `${ms} ms`}`, async (t) => {
    t.equal(parseDuration(text), ms);
    t.equal(duration.safeParse(text).success, ms !== undefined);
    if (ms !== undefined) t.doesNotThrow(() => new Date(Date.now() + ms).toISOString(), 'a time that can be said');
  });
}
