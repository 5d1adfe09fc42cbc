import fc from 'fast-check';
import { test } from 'tap';
import { slopeOf } from '../../../load-tests/soak/slope.ts';

test('a line has its slope, whatever a quarter of the samples is', async (t) => {
  const cases = fc.record({
    slope: fc.double({ min: -1e3, max: 1e3, noNaN: true }),
    start: fc.double({ min: -1e6, max: 1e6, noNaN: true }),
    count: fc.integer({ min: 8, max: 900 }),
    wild: fc.double({ min: -1e9, max: 1e9, noNaN: true }),
  });
  fc.assert(
    fc.property(cases, ({ slope, start, count, wild }) => {
      // Every ninth sample is wild: about a fifth of the pairs.
      const samples = Array.from({ length: count }, (_, i) => ({
        seconds: i * 2,
        value: i % 9 === 4 ? wild : start + slope * i * 2,
      }));
      return Math.abs(slopeOf(samples) - slope) < 1e-3;
    }),
    { numRuns: 50 },
  );
  t.pass('no counterexample');
});

test('samples that only jitter have next to no slope, a leak has its own', async (t) => {
  const jitter = (i: number): number => ((i * 7_919) % 13) - 6;
  const flat = Array.from({ length: 300 }, (_, i) => ({ seconds: i, value: 100 + jitter(i) }));
  const leaking = flat.map(({ seconds, value }) => ({ seconds, value: value + seconds * 0.5 }));
  t.ok(Math.abs(slopeOf(flat)) < 0.01, `${slopeOf(flat)}`);
  t.ok(Math.abs(slopeOf(leaking) - 0.5) < 0.01, `${slopeOf(leaking)}`);
});

test('fewer than two samples, or two at one time, have no slope', async (t) => {
  t.equal(slopeOf([]), 0);
  t.equal(slopeOf([{ seconds: 1, value: 2 }]), 0);
  t.equal(
    slopeOf([
      { seconds: 1, value: 2 },
      { seconds: 1, value: 5 },
    ]),
    0,
  );
});
