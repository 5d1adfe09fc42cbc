/**
 * HTTP dates (RFC 9110, section 5.6.7): three forms are read, one is written.
 *
 * Reading is lenient in case only. A date that another recipient might read
 * differently (another zone, a missing comma, doubled spaces) is no date, and
 * RFC 9111, section 5.3 then makes an `Expires` stale.
 * @module
 */
import type { EpochMs } from '../../lib/clock.ts';

/**
 * @param now - Milliseconds since the epoch; decides the century of a two-digit year.
 * @returns Milliseconds since the epoch, or `undefined` if the text is not an HTTP date.
 */
export function parseHttpDate(text: string, now: EpochMs): number | undefined {
  if (text === lastText) return lastInstant;
  const imf = IMF_FIXDATE.exec(text);
  if (imf !== null) {
    const [, day, month, year, time] = imf as unknown as Captures;
    lastInstant = instant(Number(year), monthIndex(month), Number(day), time);
    lastText = text;
    return lastInstant;
  }
  const rfc850 = RFC850_DATE.exec(text);
  if (rfc850 !== null) {
    const [, day, month, year, time] = rfc850 as unknown as Captures;
    const index = monthIndex(month);
    return instant(fullYear(Number(year), index, Number(day), time, now), index, Number(day), time);
  }
  const asctime = ASCTIME_DATE.exec(text);
  if (asctime !== null) {
    const [, month, day, time, year] = asctime as unknown as Captures;
    return instant(Number(year), monthIndex(month), Number(day), time);
  }
  return undefined;
}

/** The last IMF-fixdate that was read: responses of one second have one Date. */
let lastText: string | undefined;
let lastInstant: number | undefined;

/**
 * @param ms - Milliseconds since the epoch, in the years 0 to 9999; fractions of a second are cut off.
 * @returns An IMF-fixdate: `Sun, 06 Nov 1994 08:49:37 GMT`.
 * @throws {RangeError} if `ms` is not such a time: the form has four digits for the year.
 */
export function formatHttpDate(ms: number): string {
  if (!(ms >= YEAR_0_MS && ms < YEAR_10000_MS)) throw new RangeError(`not a time that HTTP can write: ${ms}`);
  // ECMA-262 defines exactly this form for `toUTCString` (section 21.4.4.43).
  return new Date(ms).toUTCString();
}

type Captures = [string, string, string, string, string];

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const MONTH = `(${MONTHS.join('|')})`;
const DAY_NAME = '(?:mon|tue|wed|thu|fri|sat|sun)';
const LONG_DAY_NAME = '(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)';
// Second 60 is a leap second, which the grammar permits (section 5.6.7: "second = 2DIGIT; 00-60").
const TIME = '((?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60))';

/** `Sun, 06 Nov 1994 08:49:37 GMT` */
const IMF_FIXDATE = new RegExp(`^${DAY_NAME}, ([0-9]{2}) ${MONTH} ([0-9]{4}) ${TIME} GMT$`, 'i');
/** `Sunday, 06-Nov-94 08:49:37 GMT` */
const RFC850_DATE = new RegExp(`^${LONG_DAY_NAME}, ([0-9]{2})-${MONTH}-([0-9]{2}) ${TIME} GMT$`, 'i');
/** `Sun Nov  6 08:49:37 1994` */
const ASCTIME_DATE = new RegExp(`^${DAY_NAME} ${MONTH} ([0-9]{2}| [0-9]) ${TIME} ([0-9]{4})$`, 'i');

const YEAR_0_MS = utc(0, 0, 1, 0, 0, 0);
const YEAR_10000_MS = utc(10_000, 0, 1, 0, 0, 0);

function monthIndex(name: string): number {
  return MONTHS.indexOf(name.toLowerCase());
}

/** @returns `undefined` if the month has no such day. */
function instant(year: number, month: number, day: number, time: string): number | undefined {
  const ms = instantOrOverflow(year, month, day, time);
  return new Date(ms).getUTCDate() === day ? ms : undefined;
}

/** Like {@link instant}, but lets 31 February become a day in March. */
function instantOrOverflow(year: number, month: number, day: number, time: string): number {
  // A day of 86,400 seconds has no second 60; the one before it is nearest.
  const second = Math.min(Number(time.slice(6, 8)), 59);
  return utc(year, month, day, Number(time.slice(0, 2)), Number(time.slice(3, 5)), second);
}

/**
 * Section 5.6.7: a two-digit year "that appears to be more than 50 years in
 * the future" is "the most recent year in the past that had the same last two
 * digits".
 */
function fullYear(twoDigits: number, month: number, day: number, time: string, now: EpochMs): number {
  const limit = new Date(now);
  limit.setUTCFullYear(limit.getUTCFullYear() + 50);
  let year = limit.getUTCFullYear() - (limit.getUTCFullYear() % 100) + twoDigits;
  while (instantOrOverflow(year, month, day, time) > limit.getTime()) year -= 100;
  return year;
}

/** `Date.UTC`, without its reading of the years 0 to 99 as 1900 to 1999. */
function utc(year: number, month: number, day: number, hour: number, minute: number, second: number): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month, day);
  return date.setUTCHours(hour, minute, second);
}
