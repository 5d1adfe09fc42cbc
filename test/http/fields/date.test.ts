import fc from 'fast-check';
import { test } from 'tap';
import { formatHttpDate, parseHttpDate } from '../../../http/fields/date.ts';
import { epochMs } from '../../../lib/clock.ts';
import { fuzzer } from '../../support/fuzz.ts';

const fuzz = fuzzer(import.meta.filename);

const NOW = Date.UTC(2026, 6, 1, 12);
/** The example of RFC 9110, section 5.6.7, in all three forms. */
const EXAMPLE = Date.UTC(1994, 10, 6, 8, 49, 37);

for (const { rule, text, ms } of [
  { rule: 'IMF-fixdate', text: 'Sun, 06 Nov 1994 08:49:37 GMT', ms: EXAMPLE },
  { rule: 'rfc850-date', text: 'Sunday, 06-Nov-94 08:49:37 GMT', ms: EXAMPLE },
  { rule: 'asctime-date', text: 'Sun Nov  6 08:49:37 1994', ms: EXAMPLE },
  {
    rule: 'asctime-date with a two-digit day',
    text: 'Wed Nov 16 08:49:37 1994',
    ms: Date.UTC(1994, 10, 16, 8, 49, 37),
  },
  { rule: 'any case', text: 'sUN, 06 nOV 1994 08:49:37 gmt', ms: EXAMPLE },
  { rule: 'any case in rfc850-date', text: 'SUNDAY, 06-NOV-94 08:49:37 gMT', ms: EXAMPLE },
  { rule: 'a weekday that is not that of the date', text: 'Mon, 06 Nov 1994 08:49:37 GMT', ms: EXAMPLE },
  {
    rule: 'a leap second is the second before it',
    text: 'Sat, 31 Dec 2016 23:59:60 GMT',
    ms: Date.UTC(2016, 11, 31, 23, 59, 59),
  },
  { rule: '29 February of a leap year', text: 'Sat, 29 Feb 2020 00:00:00 GMT', ms: Date.UTC(2020, 1, 29) },
  { rule: 'beyond 32 bits', text: 'Sun, 21 Nov 2286 04:46:39 GMT', ms: Date.UTC(2286, 10, 21, 4, 46, 39) },
  {
    rule: 'a year below 100 with four digits',
    text: 'Sun, 06 Nov 0094 08:49:37 GMT',
    ms: Date.parse('0094-11-06T08:49:37Z'),
  },
  { rule: 'two digits, 24 years ahead', text: 'Thursday, 18-Aug-50 02:01:18 GMT', ms: Date.UTC(2050, 7, 18, 2, 1, 18) },
  {
    rule: 'two digits, exactly 50 years ahead',
    text: 'Wednesday, 01-Jul-76 12:00:00 GMT',
    ms: Date.UTC(2076, 6, 1, 12),
  },
  {
    rule: 'two digits, a second more than 50 years ahead',
    text: 'Thursday, 01-Jul-76 12:00:01 GMT',
    ms: Date.UTC(1976, 6, 1, 12, 0, 1),
  },
  { rule: 'two digits, a leap day of 2000', text: 'Tuesday, 29-Feb-00 00:00:00 GMT', ms: Date.UTC(2000, 1, 29) },
]) {
  test(`RFC 9110 5.6.7: ${rule}`, async (t) => {
    t.equal(parseHttpDate(text, epochMs(NOW)), ms);
  });
}

test('RFC 9110 5.6.7: a two-digit year in the near future keeps its century', async (t) => {
  t.equal(
    parseHttpDate('Friday, 06-Nov-10 08:49:37 GMT', epochMs(Date.UTC(2090, 0, 1))),
    Date.UTC(2110, 10, 6, 8, 49, 37),
  );
  t.equal(
    parseHttpDate('Tuesday, 06-Nov-90 08:49:37 GMT', epochMs(Date.UTC(2000, 0, 1))),
    Date.UTC(1990, 10, 6, 8, 49, 37),
  );
});

for (const { rule, text } of [
  { rule: 'empty', text: '' },
  { rule: 'zero, as some send in Expires', text: '0' },
  { rule: 'ISO 8601', text: '1994-11-06T08:49:37Z' },
  { rule: 'UTC', text: 'Sun, 06 Nov 1994 08:49:37 UTC' },
  { rule: 'another zone', text: 'Sun, 06 Nov 1994 08:49:37 AEST' },
  { rule: 'a numeric zone', text: 'Sun, 06 Nov 1994 08:49:37 +0000' },
  { rule: 'no zone', text: 'Sun, 06 Nov 1994 08:49:37' },
  { rule: 'asctime-date with a zone', text: 'Sun Nov  6 08:49:37 1994 GMT' },
  { rule: 'two-digit year in IMF-fixdate', text: 'Sun, 06 Nov 94 08:49:37 GMT' },
  { rule: 'four-digit year in rfc850-date', text: 'Sunday, 06-Nov-1994 08:49:37 GMT' },
  { rule: 'five-digit year', text: 'Sun, 06 Nov 11994 08:49:37 GMT' },
  { rule: 'no comma', text: 'Sun 06 Nov 1994 08:49:37 GMT' },
  { rule: 'two spaces', text: 'Sun, 06  Nov  1994 08:49:37 GMT' },
  { rule: 'space before', text: ' Sun, 06 Nov 1994 08:49:37 GMT' },
  { rule: 'something before rfc850-date', text: 'xSunday, 06-Nov-94 08:49:37 GMT' },
  { rule: 'something before asctime-date', text: 'xSun Nov  6 08:49:37 1994' },
  { rule: 'space after', text: 'Sun, 06 Nov 1994 08:49:37 GMT ' },
  { rule: 'line feed after', text: 'Sun, 06 Nov 1994 08:49:37 GMT\n' },
  { rule: 'dashes in IMF-fixdate', text: 'Sun, 06-Nov-1994 08:49:37 GMT' },
  { rule: 'full stops in the time', text: 'Sun, 06 Nov 1994 08.49.37 GMT' },
  { rule: 'one-digit hour', text: 'Sun, 06 Nov 1994 8:49:37 GMT' },
  { rule: 'one-digit day', text: 'Sun, 6 Nov 1994 08:49:37 GMT' },
  { rule: 'asctime-date with an unpadded day', text: 'Sun Nov 6 08:49:37 1994' },
  { rule: 'hour 24', text: 'Sun, 06 Nov 1994 24:00:00 GMT' },
  { rule: 'minute 60', text: 'Sun, 06 Nov 1994 08:60:00 GMT' },
  { rule: 'second 61', text: 'Sun, 06 Nov 1994 08:49:61 GMT' },
  { rule: '31 February', text: 'Wed, 31 Feb 2021 00:00:00 GMT' },
  { rule: '29 February of a common year', text: 'Mon, 29 Feb 2021 00:00:00 GMT' },
  { rule: '29 February of 1900', text: 'Thu, 29 Feb 1900 00:00:00 GMT' },
  { rule: '31 April', text: 'Sat Apr 31 00:00:00 2021' },
  { rule: 'day 0', text: 'Sun, 00 Nov 1994 08:49:37 GMT' },
  { rule: 'day 32', text: 'Sunday, 32-Jan-94 08:49:37 GMT' },
  { rule: 'an unknown weekday', text: 'Foo, 06 Nov 1994 08:49:37 GMT' },
  { rule: 'a long weekday in IMF-fixdate', text: 'Sunday, 06 Nov 1994 08:49:37 GMT' },
  { rule: 'an unknown month', text: 'Sun, 06 Foo 1994 08:49:37 GMT' },
  { rule: 'two dates', text: 'Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT' },
]) {
  test(`RFC 9110 5.6.7: not a date: ${rule}`, async (t) => {
    t.equal(parseHttpDate(text, epochMs(NOW)), undefined);
  });
}

test('RFC 9110 5.6.7: dates are written as IMF-fixdate', async (t) => {
  t.equal(formatHttpDate(EXAMPLE), 'Sun, 06 Nov 1994 08:49:37 GMT');
  t.equal(formatHttpDate(EXAMPLE + 999), 'Sun, 06 Nov 1994 08:49:37 GMT', 'fractions are cut off');
  t.equal(formatHttpDate(YEAR_0), 'Sat, 01 Jan 0000 00:00:00 GMT');
});

test('a year without four digits cannot be written', async (t) => {
  for (const ms of [Number.NaN, Infinity, -Infinity, YEAR_0 - 1, YEAR_10000]) {
    t.throws(() => formatHttpDate(ms), RangeError);
  }
  t.equal(formatHttpDate(YEAR_10000 - 1), 'Fri, 31 Dec 9999 23:59:59 GMT');
});

const YEAR_0 = Date.parse('0000-01-01T00:00:00Z');
const YEAR_10000 = Date.parse('9999-12-31T23:59:59Z') + 1000;
const wholeSecond = fc.integer({ min: YEAR_0 / 1000, max: YEAR_10000 / 1000 - 1 }).map((seconds) => seconds * 1000);

test('property: a written date is read back', async () => {
  fuzz(
    'property: a written date is read back',
    fc.property(wholeSecond, (ms) => parseHttpDate(formatHttpDate(ms), epochMs(NOW)) === ms),
  );
});

test('property: the asctime form of a time is the same time', async () => {
  fuzz(
    'property: the asctime form of a time is the same time',
    fc.property(wholeSecond, (ms) => {
      const [weekday, day, month, year, time] = formatHttpDate(ms).replace(',', '').split(' ') as string[];
      return parseHttpDate(`${weekday} ${month} ${day?.replace(/^0/, ' ')} ${time} ${year}`, epochMs(NOW)) === ms;
    }),
  );
});

test('property: the rfc850 form is read as that time while it is less than 50 years away', async () => {
  const span = 49 * 365 * 24 * 3600;
  fuzz(
    'property: the rfc850 form is read as that time while it is less than 50 years away',
    fc.property(fc.integer({ min: -span, max: span }), (seconds) => {
      const ms = NOW + seconds * 1000;
      const [, day, month, year, time] = formatHttpDate(ms).split(' ') as string[];
      return parseHttpDate(`Monday, ${day}-${month}-${year?.slice(2)} ${time} GMT`, epochMs(NOW)) === ms;
    }),
  );
});

test('property: one character added, removed or changed makes another date or none', async () => {
  const text = 'Sun, 06 Nov 1994 08:49:37 GMT';
  fuzz(
    'property: one character added, removed or changed makes another date or none',
    fc.property(fc.nat(text.length - 1), fc.string({ maxLength: 2 }), (at, insert) => {
      const changed = text.slice(0, at) + insert + text.slice(at + 1);
      const sameLetters = changed.toLowerCase() === text.toLowerCase();
      const anotherWeekday =
        /^(mon|tue|wed|thu|fri|sat|sun)$/i.test(changed.slice(0, 3)) && changed.slice(3) === text.slice(3);
      return sameLetters || anotherWeekday || parseHttpDate(changed, epochMs(NOW)) !== EXAMPLE;
    }),
  );
});
