import { test } from 'tap';
import { ThreadTraffic } from '../../../cli/workers/traffic.ts';

const part = { sites: [{ site: 'www', answers: [['hit', 2, 5, 500]] as const, durations: [5], origin: 0 }] };

test('reports of threads are added up, and taken once', async (t) => {
  const traffic = new ThreadTraffic();
  t.equal(traffic.take(), undefined);
  traffic.add(part);
  traffic.add(part);
  t.match(traffic.take(), { sites: [{ site: 'www', answers: [['hit', 2, 10, 1_000]], durations: [10] }] });
  t.equal(traffic.take(), undefined);
});

test('reports that nothing takes are bounded', async (t) => {
  const traffic = new ThreadTraffic();
  for (let i = 0; i < 1_000; i++) traffic.add(part);
  t.match(traffic.take(), { sites: [{ answers: [['hit', 2, 256 * 5, 256 * 500]] }] });
});
