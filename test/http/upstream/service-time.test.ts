import { test } from 'tap';
import { ServiceTime } from '../../../http/upstream/service-time.ts';
import { seededRandom } from '../../support/random.ts';

for (const { meanMs, patienceMs } of [
  { meanMs: 50, patienceMs: 1e9 },
  { meanMs: 50, patienceMs: 20 },
  { meanMs: 5_000, patienceMs: 3_000 },
]) {
  test(`a server that takes ${meanMs} ms, with clients that wait for ${patienceMs} ms`, async (t) => {
    const random = seededRandom(3);
    const time = new ServiceTime();
    const means: number[] = [];
    for (let i = 0; i < 3_000; i++) {
      const ms = -Math.log(1 - random()) * meanMs;
      time.observe(Math.min(ms, patienceMs), ms <= patienceMs);
      if (i >= 200) means.push(time.meanMs as number);
    }
    const average = means.reduce((sum, one) => sum + one, 0) / means.length;
    t.ok(average > meanMs * 0.85 && average < meanMs * 1.15, `${average} ms`);
  });
}

test('a server that has answered none of the last requests is not known', async (t) => {
  const time = new ServiceTime();
  t.equal(time.meanMs, undefined);
  time.observe(10, true);
  t.equal(time.meanMs, 10);
  for (let i = 0; i < 100; i++) time.observe(1_000, false);
  t.equal(time.meanMs, undefined);
});
