import fc from 'fast-check';
import { test } from 'tap';
import { RoundTrip } from '../../lib/round-trip.ts';

test('RFC 6298 2.2: the first round trip counts three times; before it nothing is late', async (t) => {
  const roundTrip = new RoundTrip();
  t.equal(roundTrip.lateAfterMs, undefined);
  roundTrip.observe(20);
  t.equal(roundTrip.lateAfterMs, 60);
});

test('RFC 6298 2.3: mean and deviation follow what is measured', async (t) => {
  const roundTrip = new RoundTrip();
  for (let i = 0; i < 100; i++) roundTrip.observe(10);
  t.ok(Math.abs((roundTrip.lateAfterMs ?? 0) - 10) < 0.1, 'steady: the mean itself');
  roundTrip.observe(50, 100);
  t.ok((roundTrip.lateAfterMs ?? 0) > 50, 'one that is slow makes room for more like it');
});

test('property: what is always the same is never late', async () => {
  fc.assert(
    fc.property(fc.double({ min: 0.01, max: 10_000, noNaN: true }), fc.integer({ min: 1, max: 200 }), (ms, times) => {
      const roundTrip = new RoundTrip();
      for (let i = 0; i < times; i++) roundTrip.observe(ms);
      return (roundTrip.lateAfterMs ?? 0) >= ms * 0.999;
    }),
  );
});

test('a long pause of the other side makes the limit little longer, for a second', async (t) => {
  const roundTrip = new RoundTrip();
  for (let i = 0; i < 100; i++) roundTrip.observe(2, 100);
  roundTrip.observe(5_000, 100);
  t.ok((roundTrip.lateAfterMs ?? 0) < 150, `${roundTrip.lateAfterMs}`);
  for (let i = 0; i < 4; i++) roundTrip.observe(2, 100);
  t.ok((roundTrip.lateAfterMs ?? 0) < 100, 'and is soon as short as before');
});

test('property: the limit gets to a way that has become longer', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 100, max: 10_000 }), (before, after) => {
      const roundTrip = new RoundTrip();
      for (let i = 0; i < 50; i++) roundTrip.observe(before, 100);
      for (let i = 0; i < 50; i++) roundTrip.observe(after, 100);
      return (roundTrip.lateAfterMs ?? 0) >= after * 0.99;
    }),
  );
});
