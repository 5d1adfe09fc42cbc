import fc from 'fast-check';
import { test } from 'tap';
import { correctedInitialAge, parseAge } from '../../../cache/policy/age.ts';
import { MAX_DELTA_SECONDS } from '../../../cache/policy/directives.ts';
import { epochMs } from '../../../lib/clock.ts';

for (const { rule, value, seconds } of [
  { rule: 'absent', value: undefined, seconds: 0 },
  { rule: 'a number', value: '30', seconds: 30 },
  { rule: 'the first of a list', value: '30, 60', seconds: 30 },
  { rule: 'the first of a list, though it is no number', value: 'x, 60', seconds: 0 },
  { rule: 'empty members do not count', value: ', 60', seconds: 60 },
  { rule: 'overflow', value: '99999999999999999999', seconds: MAX_DELTA_SECONDS },
  { rule: 'negative', value: '-1', seconds: 0 },
  { rule: 'a fraction', value: '1.5', seconds: 0 },
  { rule: 'quoted', value: '"30"', seconds: 0 },
  { rule: 'a parameter', value: '30;x=1', seconds: 0 },
  { rule: 'empty', value: '', seconds: 0 },
]) {
  test(`RFC 9111 5.1: Age: ${rule}`, async (t) => {
    t.equal(parseAge(value), seconds * 1_000);
  });
}

for (const { rule, fields, age } of [
  {
    rule: 'nothing known',
    fields: { ageMs: 0, dateMs: 1_000, requestTime: epochMs(1_000), responseTime: epochMs(1_000) },
    age: 0,
  },
  {
    rule: 'apparent age',
    fields: { ageMs: 0, dateMs: 0, requestTime: epochMs(9_000), responseTime: epochMs(10_000) },
    age: 10_000,
  },
  {
    rule: 'a Date in the future',
    fields: { ageMs: 0, dateMs: 99_000, requestTime: epochMs(9_000), responseTime: epochMs(10_000) },
    age: 1_000,
  },
  {
    rule: 'the time on the way counts',
    fields: { ageMs: 5_000, dateMs: 10_000, requestTime: epochMs(8_000), responseTime: epochMs(10_000) },
    age: 7_000,
  },
  {
    rule: 'the larger counts',
    fields: { ageMs: 5_000, dateMs: 1_000, requestTime: epochMs(9_000), responseTime: epochMs(10_000) },
    age: 9_000,
  },
]) {
  test(`RFC 9111 4.2.3: ${rule}`, async (t) => {
    t.equal(correctedInitialAge(fields), age);
  });
}

test('an age is never negative, and never less than Age says', async (t) => {
  const anyTime = fc.integer({ min: 0, max: 4e12 });
  fc.assert(
    fc.property(fc.string(), anyTime, anyTime, fc.nat(1e6), (value, dateMs, requestTime, took) => {
      const ageMs = parseAge(value);
      return (
        correctedInitialAge({
          ageMs,
          dateMs,
          requestTime: epochMs(requestTime),
          responseTime: epochMs(requestTime + took),
        }) >= ageMs
      );
    }),
  );
  t.pass();
});
