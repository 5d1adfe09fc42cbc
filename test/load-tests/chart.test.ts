import { test } from 'tap';
import { chart } from '../../load-tests/bench/chart.ts';
import { compare, type Results } from '../../load-tests/bench/results.ts';

const servers = [
  { name: 'seawall', title: 'Seawall', rounds: [{ cpuMicros: 10 }] },
  { name: 'nginx', title: 'nginx <sendfile> & co', rounds: [{ cpuMicros: 20 }] },
  { name: 'floor', title: 'the floor', rounds: [{ cpuMicros: 5 }] },
  { name: 'varnish', title: 'Varnish', rounds: [], problem: 'not available' },
];

function results(measured = servers): Pick<Results, 'scenarios' | 'commit' | 'date' | 'machine'> {
  const machine = { processor: 'A <&> B', cores: 2, memoryBytes: 1, system: 'Linux', node: 'v26', isPinned: true };
  const scenario = { name: 'hit-browser', title: '1 KB hit', primary: 'cpuMicros', metrics: [] } as const;
  return {
    commit: 'abcdef',
    date: '2026-01-01T00:00:00.000Z',
    machine,
    scenarios: [{ ...scenario, servers: compare(measured, 'cpuMicros') }],
  };
}

test('bars are as long as their values', async (t) => {
  const widths = [...chart(results()).matchAll(/<rect class="(\w+)"[^>]* width="([\d.]+)"/g)].map(([, kind, width]) => [
    kind,
    Number(width),
  ]);
  t.same(widths, [
    ['ours', 240],
    ['theirs', 480],
    ['floor', 120],
  ]);
});

test('the chart is well-formed, whatever the names', async (t) => {
  const svg = chart(results());
  const open: string[] = [];
  for (const [, slash, name, rest] of svg.matchAll(/<(\/?)([a-z]+)([^<>]*)>/g)) {
    if (slash) t.equal(open.pop(), name);
    else if (!rest?.endsWith('/')) open.push(String(name));
  }
  t.same(open, []);
  t.match(svg, 'nginx &lt;sendfile&gt; &amp; co');
  t.notMatch(svg.replace(/<[^<>]*>/g, ''), /[<>]/);
});

test('the chart has colours for dark mode', async (t) => {
  t.match(chart(results()), 'prefers-color-scheme: dark');
});

test('a scenario without Seawall is not drawn', async (t) => {
  t.notMatch(chart(results(servers.slice(1))), '<rect');
});
