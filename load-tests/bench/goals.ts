/** The numbers that Seawall is to reach, and whether a run shows them. @module */
import type { Metric } from './metrics.ts';
import { type GoalResult, type Results, type ScenarioResult, SEAWALL, type ServerResult } from './results.ts';

interface Goal {
  readonly id: string;
  readonly what: string;
  readonly scenario: string;
  readonly metric: Metric;
  /** Compared with: the best of these servers that was measured. Absent: the number itself counts. */
  readonly against?: readonly string[];
  /** Objects that must have been stored, for the number to say anything about the goal. */
  readonly leastObjects?: number;
  readonly bound: { readonly kind: 'at most' | 'at least'; readonly value: number; readonly unit?: string };
}

const NGINX = ['nginx', 'nginx-sendfile'];
const atMost = (value: number, unit?: string): Goal['bound'] => ({
  kind: 'at most',
  value,
  ...(unit === undefined ? {} : { unit }),
});

/** Less what is lost on the way: a fill that was under way when the load ended. */
const MILLION = 999_000;

export const GOALS: readonly Goal[] = [
  ratio('1a', '1 KB hit, browser: CPU / nginx, better setting', 'hit-browser', 'cpuMicros', NGINX, 0.8),
  ratio('1b', '1 KB hit, browser: CPU / Varnish', 'hit-browser', 'cpuMicros', ['varnish'], 0.6),
  ratio('1c', '1 KB hit, browser: CPU / HAProxy', 'hit-browser', 'cpuMicros', ['haproxy'], 1.05),
  ratio('1d', '1 KB hit, browser: CPU / the C floor', 'hit-browser', 'cpuMicros', ['floor'], 1.75),
  ratio('2a', '1 KB hit, TLS 1.3: CPU / nginx', 'hit-tls', 'cpuMicros', NGINX, 0.8),
  ratio('2b', '1 KB hit, HTTP/2: CPU / nginx', 'hit-http2', 'cpuMicros', NGINX, 1.25),
  ratio('3a', '304: CPU / nginx', 'not-modified', 'cpuMicros', NGINX, 0.8),
  ratio('3b', '100 KB hit: CPU / Varnish', 'hit-100k', 'cpuMicros', ['varnish'], 1.05),
  ratio('3c', '100 KB hit: CPU / HAProxy', 'hit-100k', 'cpuMicros', ['haproxy'], 1),
  {
    ...ratio('3d', '10 MB hit: GB/s / nginx', 'hit-10m', 'gigabytesPerSecond', NGINX, 1),
    bound: { kind: 'at least', value: 1 },
  },
  ratio('4', 'Miss, 1 KB: CPU / nginx', 'miss', 'cpuMicros', NGINX, 2.2),
  ratio('5', 'p99 at half of the maximum rate / nginx', 'latency', 'p99Millis', NGINX, 1),
  own('6a', 'Memory of an idle connection', 'idle', 'bytesPerConnection', atMost(12 * 1024, 'bytes')),
  {
    ...own(
      '6b',
      'Memory of a 1 KB object above body and head',
      'stored-objects',
      'overheadBytes',
      atMost(700, 'bytes'),
    ),
    leastObjects: MILLION,
  },
  {
    ...own('6c', 'Longest stall with 1,000,000 objects', 'stored-objects', 'stallMillis', atMost(20, 'ms')),
    leastObjects: MILLION,
  },
  ratio('7a', '1 KB hit, 2 threads: CPU / one thread', 'hit-all-cores-2', 'cpuMicros', ['seawall-one'], 1.15),
  ratio('7b', '1 KB hit, 2 threads: CPU / nginx, 2 workers', 'hit-all-cores-2', 'cpuMicros', NGINX, 0.9),
  ratio('7c', '1 KB hit, 4 threads: CPU / one thread', 'hit-all-cores-4', 'cpuMicros', ['seawall-one'], 1.25),
  ratio('7d', 'Zipf hits, 2 threads: CPU / one thread', 'zipf-all-cores-2', 'cpuMicros', ['seawall-one'], 1.15),
  ratio('7e', 'Zipf hits, 2 threads: CPU / nginx, 2 workers', 'zipf-all-cores-2', 'cpuMicros', NGINX, 0.9),
  ratio('7f', 'Zipf hits, 4 threads: CPU / one thread', 'zipf-all-cores-4', 'cpuMicros', ['seawall-one'], 1.25),
];

function ratio(
  id: string,
  what: string,
  scenario: string,
  metric: Metric,
  against: readonly string[],
  value: number,
): Goal {
  return { id, what, scenario, metric, against, bound: atMost(value, '×') };
}

function own(id: string, what: string, scenario: string, metric: Metric, bound: Goal['bound']): Goal {
  return { id, what, scenario, metric, bound };
}

/** @param scenarios - Of one run; goals whose scenario or peer is not among them are not judged. */
export function judge(scenarios: Results['scenarios']): GoalResult[] {
  return GOALS.map((goal) => {
    const { id, what, bound } = goal;
    const { kind, value, unit = '×' } = bound;
    const text = (number: number): string => (unit === '×' ? `${number.toFixed(2)} ×` : `${round(number)} ${unit}`);
    const scenario = scenarios.find(({ name }) => name === goal.scenario);
    const measured = scenario && measure(goal, scenario);
    const common = { id, what, goal: `${kind === 'at most' ? '≤' : '≥'} ${text(value)}` };
    if (measured === undefined) return { ...common, measured: null, shown: 'not measured', isReached: null };
    const isReached = kind === 'at most' ? measured <= value : measured >= value;
    return { ...common, measured, shown: text(measured), isReached };
  });
}

function round(number: number): string {
  return number.toLocaleString('en', { maximumFractionDigits: Math.abs(number) < 100 ? 1 : 0 });
}

function measure({ metric, against, leastObjects = 0 }: Goal, { servers }: ScenarioResult): number | undefined {
  const medians = servers.find(({ name }) => name === SEAWALL)?.medians;
  if ((medians?.objects ?? leastObjects) < leastObjects) return undefined;
  if (against === undefined) return medians?.[metric];
  const ratios = servers.filter(({ name }) => against.includes(name)).flatMap((peer) => ratioTo(peer, metric));
  if (ratios.length === 0) return undefined;
  // The better setting of a peer is the one that makes us look worse.
  return metric === 'gigabytesPerSecond' ? Math.min(...ratios) : Math.max(...ratios);
}

function ratioTo({ ratios }: ServerResult, metric: Metric): number[] {
  const { median } = ratios[metric] ?? {};
  return median === undefined ? [] : [median];
}
