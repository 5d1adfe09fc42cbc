import { test } from 'tap';
import { Ledger } from '../../cache/ledger.ts';
import { MAX_SITES, OTHER_SITES, type Traffic } from '../../lib/traffic.ts';
import { NodeMetrics } from '../../telemetry/metrics.ts';

function meter() {
  const metrics = new NodeMetrics('eu-1', 'edge', undefined, new Ledger({ leaseMs: 1_000 }), () => 0);
  return { metrics, traffic: metrics.traffic };
}

const request = (target: string) => ({ target, headers: ['Host', 'www.example.com'] });

test('what was counted since the last report is reported, and nothing twice', async (t) => {
  const { metrics, traffic } = meter();
  const hits = metrics.answers('public', 'www', 'hit');
  const misses = metrics.answers('public', 'www', 'uri-miss');
  metrics.answers('tier', 'www', 'hit').add(200, 10, 0.001);
  const origin = new Map([['www', { value: 2 }]]);
  traffic.origin = origin;
  hits.add(200, 100, 0.0004);
  hits.add(304, 0, 0.0004);
  misses.add(502, 7, 100);
  const durations = new Array<number>(16).fill(0);
  durations[0] = 2;
  durations[15] = 1;
  t.strictSame(traffic.take(), {
    sites: [
      {
        site: 'www',
        answers: [
          ['hit', 2, 1, 100],
          ['hit', 3, 1, 0],
          ['uri-miss', 5, 1, 7],
        ],
        durations,
        origin: 2,
      },
    ],
  });
  t.equal(traffic.take(), undefined);
  hits.add(200, 5, 0.0004);
  t.match(traffic.take(), { sites: [{ answers: [['hit', 2, 1, 5]], durations: [1, 0], origin: 0 }] });
});

test('each tenth report has URLs, misses with their reason, and failures', async (t) => {
  const { metrics, traffic } = meter();
  const hits = metrics.answers('public', 'www', 'hit');
  const misses = metrics.answers('public', 'www', 'uri-miss');
  for (let i = 0; i < 3; i++) traffic.note(hits, request('/a'));
  traffic.note(misses, request('/b?token=1'), ['Cache-Status', '"s";fwd=uri-miss, "eu-1";fwd=uri-miss;detail=private']);
  traffic.failed('origin_unreachable', 'refused');
  let last: Traffic | undefined;
  for (let i = 0; i < 10; i++) last = traffic.take();
  t.match(last, {
    urls: [
      ['www.example.com/a', 'www', 3],
      ['www.example.com/b?…', 'www', 1],
    ],
    misses: [['www.example.com/b?…', 'www', 'uri-miss, private', 1]],
    failures: [['origin_unreachable', 'refused', 1]],
  });
});

test('of many requests samples are taken, which stand for the others', async (t) => {
  const { metrics, traffic } = meter();
  const hits = metrics.answers('public', 'www', 'hit');
  const second = (): void => {
    for (let i = 0; i < 20_000; i++) {
      hits.add(200, 1, 0.001);
      traffic.note(hits, request(i % 4 === 0 ? '/rare' : '/often'));
    }
  };
  second();
  for (let i = 0; i < 10; i++) traffic.take();
  t.equal(hits.sampling.stride, 1, 'a second without traffic: all are sampled again');
  second();
  traffic.take();
  t.ok(hits.sampling.stride > 50, `one of ${hits.sampling.stride}`);
  let samples = 0;
  for (let i = 0; i < 20_000; i++) {
    traffic.note(hits, request('/often'));
    samples = hits.sampling.samples;
  }
  t.ok(samples > 100 && samples < 600, `${samples} samples of 20,000`);
});

test('without reports ever fewer are sampled', async (t) => {
  const { metrics, traffic } = meter();
  const hits = metrics.answers('public', 'www', 'hit');
  for (let i = 0; i < 2_000_000; i++) traffic.note(hits, request('/often'));
  t.ok(hits.sampling.samples < 8_000, `${hits.sampling.samples} samples of 2,000,000`);
  t.ok(Math.abs(hits.sampling.answers / 2_000_000 - 1) < 0.3, `they stand for ${hits.sampling.answers}`);
});

test('of other answers than those to visitors none is sampled', async (t) => {
  const { metrics, traffic } = meter();
  const answers = metrics.answers('tier', 'www', 'hit');
  answers.sampling.left = 1;
  traffic.note(answers, request('/tier'));
  let last: Traffic | undefined;
  for (let i = 0; i < 10; i++) last = traffic.take();
  t.equal(last, undefined);
  t.ok(answers.sampling.left > 1_000_000);
});

test('sites beyond the bound are added up', async (t) => {
  const { metrics, traffic } = meter();
  for (let i = 0; i < MAX_SITES + 50; i++) metrics.answers('public', `site-${i}`, 'hit').add(200, 1, 0.001);
  const { sites } = traffic.take() as Traffic;
  t.equal(sites.length, MAX_SITES + 1);
  t.match(sites.at(-1), { site: OTHER_SITES, answers: [['hit', 2, 50, 50]] });
});

test('certificates are reported each minute', async (t) => {
  const { traffic } = meter();
  traffic.certificates = { expiries: () => [['www', 1_000]] } as never;
  t.match(traffic.take(), { certificates: [['www', 1_000]] });
  for (let i = 0; i < 59; i++) t.equal(traffic.take(), undefined);
  t.match(traffic.take(), { certificates: [['www', 1_000]] });
});
