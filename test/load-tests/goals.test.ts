import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { GOALS, judge } from '../../load-tests/bench/goals.ts';
import type { Measures } from '../../load-tests/bench/metrics.ts';
import { compare, type ScenarioResult } from '../../load-tests/bench/results.ts';
import { SCENARIOS } from '../../load-tests/bench/scenarios/all.ts';

function scenario(name: string, servers: Record<string, Measures[]>): ScenarioResult {
  const measured = Object.entries(servers).map(([server, rounds]) => ({ name: server, title: server, rounds }));
  return { name, title: name, primary: 'cpuMicros', metrics: [], servers: compare(measured, 'cpuMicros') };
}

const cpu = (...values: number[]): Measures[] => values.map((cpuMicros) => ({ cpuMicros }));
const goal = (id: string, ...scenarios: ScenarioResult[]) => judge(scenarios).find((one) => one.id === id);

test('every goal names an existing scenario', async (t) => {
  const names = new Set(SCENARIOS.map(({ name }) => name));
  t.same(
    GOALS.filter(({ scenario: name }) => !names.has(name)),
    [],
  );
  t.equal(new Set(GOALS.map(({ id }) => id)).size, GOALS.length);
});

test('the page lists every scenario of the code', async (t) => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/performance.md'), 'utf8').replaceAll('\n  ', ' ');
  for (const { name, title, about } of SCENARIOS) t.match(page, `\n- \`${name}\`: **${title}.** ${about}\n`);
});

test('numbers for few objects are not compared with a million', async (t) => {
  const stored = (objects: number) => scenario('stored-objects', { seawall: [{ stallMillis: 5, objects }] });
  t.match(goal('6c', stored(50_000)), { isReached: null });
  t.match(goal('6c', stored(1_000_000)), { isReached: true, shown: '5 ms' });
});

test('the better setting of a peer counts', async (t) => {
  const both = { seawall: cpu(9, 9, 9), nginx: cpu(10, 10, 10), 'nginx-sendfile': cpu(20, 20, 20) };
  t.match(goal('1a', scenario('hit-browser', both)), {
    measured: 0.9,
    isReached: false,
    shown: '0.90 ×',
    goal: '≤ 0.80 ×',
  });
});

test('for a larger-is-better scenario the setting with more counts', async (t) => {
  const rounds = (gigabytesPerSecond: number): Measures[] => [{ gigabytesPerSecond }];
  const both = { seawall: rounds(4), nginx: rounds(2), 'nginx-sendfile': rounds(4) };
  t.match(goal('3d', scenario('hit-10m', both)), { measured: 1, isReached: true, goal: '≥ 1.00 ×' });
});

test('a number that was not measured is neither reached nor missed', async (t) => {
  t.match(goal('1b', scenario('hit-browser', { seawall: cpu(9), nginx: cpu(10) })), {
    measured: null,
    isReached: null,
  });
  t.match(goal('6a'), { measured: null, shown: 'not measured', isReached: null });
});

test('an absolute bound is for the number itself', async (t) => {
  const idle = (bytesPerConnection: number) => scenario('idle', { seawall: [{ bytesPerConnection }] });
  t.match(goal('6a', idle(12_288)), { isReached: true, shown: '12,288 bytes' });
  t.match(goal('6a', idle(12_289)), { isReached: false });
});

test('a server with a problem has no numbers, and Seawall no ratio to it', async (t) => {
  const measured = [
    { name: 'seawall', title: 'Seawall', rounds: cpu(9, 11) },
    { name: 'nginx', title: 'nginx', rounds: cpu(10), problem: 'it ended' },
  ];
  const [ours, theirs] = compare(measured, 'cpuMicros');
  t.match(ours, { medians: { cpuMicros: 10 }, spread: { least: 9, most: 11 }, ratios: {} });
  t.match(theirs, { medians: {}, ratios: {}, problem: 'it ended' });
});
