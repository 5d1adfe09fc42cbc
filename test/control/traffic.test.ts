/** Traffic of the network at a control node: kept for five minutes by the second, for a day by five minutes. */
import { test } from 'tap';
import { rateNow, TrafficStore } from '../../control/traffic/traffic-store.ts';
import { WindowedTop } from '../../control/traffic/windowed-top.ts';
import { TIER_FIELD } from '../../http/fields/tier-field.ts';
import { formatNodeField, JOURNAL_CONTENT_TYPE, TRAFFIC_PATH } from '../../journal/wire.ts';
import type { Traffic } from '../../lib/traffic.ts';
import { SECRET, startTestControl } from './control.ts';

const ALL = { mayRead: () => true };

function report(hits: number, misses: number, site = 'www'): Traffic {
  const durations = new Array<number>(16).fill(0);
  durations[0] = hits;
  durations[9] = misses;
  return {
    sites: [
      {
        site,
        answers: [
          ['hit', 2, hits, hits * 100],
          ['uri-miss', 5, misses, misses * 10],
        ],
        durations,
        origin: misses,
      },
    ],
    urls: [[`${site}/`, site, hits]],
    misses: [[`${site}/m`, site, 'uri-miss', misses]],
    failures: [['origin_unreachable', 'refused', misses]],
    certificates: [[site, 5_000]],
  };
}

function store() {
  let now = 1_800_000_000_000;
  const traffic = new TrafficStore(() => now);
  const pass = (ms: number): void => {
    now += ms;
  };
  return { traffic, pass };
}

test('seconds of nodes and regions are added up, by region and by site', async (t) => {
  const { traffic, pass } = store();
  for (let second = 0; second < 10; second++) {
    traffic.report({ name: 'eu-1', region: 'eu' }, report(90, 10));
    traffic.report({ name: 'us-1', region: 'us' }, report(40, 0, 'shop'));
    pass(1_000);
  }
  t.match(rateNow(traffic.view('live', ALL)), {
    requests: 140,
    hits: 130,
    bytes: 13_100,
    hitBytes: 13_000,
    errors: 10,
    origin: 10,
  });
  t.equal(rateNow(traffic.view('live', { ...ALL, region: 'us' })).requests, 40);
  t.equal(rateNow(traffic.view('live', { ...ALL, site: 'www' })).requests, 100);
  t.equal(rateNow(traffic.view('live', { mayRead: (site) => site === 'shop' })).requests, 40, 'what may be read');
  const { sum } = traffic.view('live', { ...ALL, site: 'www' });
  t.equal(sum.quantile(0.5), 0.0005);
  t.equal(sum.quantile(0.99), 0.5);
  t.equal(traffic.view('day', ALL).sum.get('requests'), 1_400);
  t.match(traffic.node('eu-1'), { requests: 100, hits: 90, errors: 10 });
  t.equal(traffic.node('nobody').requests, 0);
  t.strictSame(
    [...traffic.certificates],
    [
      ['www', 5_000],
      ['shop', 5_000],
    ],
  );
});

test('what is older than the window is gone', async (t) => {
  const { traffic, pass } = store();
  traffic.report({ name: 'eu-1', region: 'eu' }, report(1, 1));
  pass(299_000);
  t.equal(traffic.view('live', ALL).sum.get('requests'), 2);
  pass(1_000);
  t.equal(traffic.view('live', ALL).sum.get('requests'), 0);
  t.equal(traffic.view('day', ALL).sum.get('requests'), 2);
  pass(86_400_000);
  t.equal(traffic.view('day', ALL).sum.get('requests'), 0);
  t.strictSame(traffic.top('urls', 'day'), []);
});

test('no time of an answer, no quantile', async (t) => {
  t.equal(store().traffic.view('live', ALL).sum.quantile(0.5), undefined);
});

test('what is most frequent, with its site, its reason or its node', async (t) => {
  const { traffic } = store();
  traffic.report({ name: 'eu-1', region: 'eu' }, report(3, 2));
  traffic.report({ name: 'eu-2', region: 'eu' }, report(1, 1, 'shop'));
  t.strictSame(traffic.top('urls', 'live'), [
    { names: ['www/', 'www'], count: 3 },
    { names: ['shop/', 'shop'], count: 1 },
  ]);
  t.strictSame(traffic.top('misses', 'day')[0], { names: ['www/m', 'www', 'uri-miss'], count: 2 });
  t.strictSame(traffic.top('answers', 'live')[0], { names: ['www', 'eu', 'hit', '2xx'], count: 3 });
  t.strictSame(traffic.top('failures', 'live')[0], { names: ['eu-1', 'origin_unreachable', 'refused'], count: 2 });
});

test('series are bounded: sites beyond the bound are added up', async (t) => {
  const { traffic } = store();
  for (let i = 0; i < 1_000; i++) traffic.report({ name: 'eu-1', region: 'eu' }, report(1, 0, `s${i}`));
  t.equal(traffic.known.length, 401);
  t.equal(traffic.view('live', ALL).sum.get('requests'), 1_000);
});

test('periods that a clock has set back are forgotten', async (t) => {
  const top = new WindowedTop(10);
  top.add('a', 5, 7_200_000);
  top.add('b', 1, 0);
  t.strictSame(top.top('live', 0), [['b', 1]]);
});

const LINE = JSON.stringify(report(3, 1, 'shop'));

async function send(url: string, body: string, node = 'eu-1', secret = SECRET): Promise<number> {
  const headers = { [TIER_FIELD]: formatNodeField(node, secret), 'content-type': JOURNAL_CONTENT_TYPE };
  const { status } = await fetch(`${url}${TRAFFIC_PATH}`, { method: 'POST', headers, body });
  return status;
}

test('nodes of the network report; others, and what is no report, are refused', async (t) => {
  const control = await startTestControl(t);
  t.equal(await send(control.url, `${LINE}\n`), 204);
  t.equal(await send(control.url, `${LINE}\n`, 'unknown-1'), 403);
  t.equal(await send(control.url, `${LINE}\n`, 'eu-1', 'another-secret-of-16'), 403);
  t.equal(await send(control.url, '{"sites":[{}]}\n'), 400);
  t.equal(await send(control.url, 'no JSON\n'), 400);
  t.equal(await send(control.url, `${'x'.repeat(300_000)}\n`), 400);
  t.equal((await control.get('/healthz')).status, 200);
});
