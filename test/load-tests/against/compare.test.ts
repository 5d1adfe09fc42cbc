import { once } from 'node:events';
import { test } from 'tap';
import { comparisonOf, observe } from '../../../load-tests/against/compare.ts';
import { start } from '../../../load-tests/bench/processes.ts';
import type { Context, Scenario } from '../../../load-tests/bench/scenario.ts';
import type { ServerKind } from '../../../load-tests/bench/server.ts';

/** Two rounds; nothing here asks a server. */
const CONTEXT = { options: { rounds: 2, seconds: 1 } } as Context;

/** A version whose servers are processes that do nothing, and what happens to them in order. */
function version(name: string, events: string[]): ServerKind {
  return {
    name,
    title: name,
    version: '1',
    abilities: new Set(['cache']),
    configs: () => ({}),
    async start() {
      events.push(`start ${name}`);
      const running = start(name, ['sleep', '60'], { core: 0 });
      await once(running.child, 'spawn');
      return {
        kind: this,
        running,
        port: 0,
        tlsPort: undefined,
        async stop() {
          await running.stop();
          events.push(`stop ${name}`);
        },
      };
    },
  };
}

function scenarioOf(measure: (name: string) => Promise<number>): Scenario {
  return {
    name: 'scenario',
    title: 'Scenario',
    about: '',
    primary: 'cpuMicros',
    metrics: [],
    setup: { name: 'setup', memoryMebibytes: 1 },
    needs: [],
    unavailable: () => undefined,
    prepare: async () => undefined,
    measure: async ({ kind }) => ({ cpuMicros: await measure(kind.name), requestsPerSecond: 150_000 }),
  };
}

test('both versions are measured at the same time, in each round', async (t) => {
  let both = Promise.withResolvers<void>();
  let measured = 0;
  const scenario = scenarioOf(async (name) => {
    const round = both;
    if (++measured % 2 === 0) {
      both = Promise.withResolvers();
      round.resolve();
    }
    await round.promise;
    return name === 'ours' ? 12 : 10;
  });
  const versions = [version('ours', []), version('theirs', [])] as const;
  const round = { ours: 12, theirs: 10 };
  t.same(await observe(scenario, versions, CONTEXT, 0), [round, round]);
});

test('no round counts before both versions have answered as many requests as compiling takes', async (t) => {
  const measured: Record<string, number> = { ours: 0, theirs: 0 };
  const scenario = scenarioOf(async (name) => {
    measured[name] = (measured[name] ?? 0) + 1;
    return measured[name];
  });
  const versions = [version('ours', []), version('theirs', [])] as const;
  const rounds = await observe(scenario, versions, CONTEXT, 0);
  // 150,000 requests each are not enough, twice as many are.
  t.same(
    rounds.map(({ ours }) => ours),
    [3, 4],
  );
  const slow: Scenario = {
    ...scenario,
    measure: async () => ({ cpuMicros: ++(measured.ours as number), requestsPerSecond: 1 }),
  };
  measured.ours = 0;
  const slowRounds = await observe(slow, versions, CONTEXT, 0);
  t.same(
    slowRounds.map(({ theirs }) => theirs),
    [10, 12],
    'four loads of both at the most',
  );
});

test('the version that is started first is the other one each time', async (t) => {
  const events: string[] = [];
  const versions = [version('ours', events), version('theirs', events)] as const;
  for (const nth of [0, 1, 2]) {
    await observe(
      scenarioOf(async () => 1),
      versions,
      CONTEXT,
      nth,
    );
  }
  t.same(
    events.filter((event) => event.startsWith('start')),
    ['start ours', 'start theirs', 'start theirs', 'start ours', 'start ours', 'start theirs'],
  );
});

test('both are ended where a measurement fails', async (t) => {
  const events: string[] = [];
  const versions = [version('ours', events), version('theirs', events)] as const;
  const failing = scenarioOf(async (name) => {
    if (name === 'theirs') throw new Error('no request was answered');
    return 1;
  });
  await t.rejects(observe(failing, versions, CONTEXT, 0), /no request was answered/);
  t.same(events.slice(2).sort(), ['stop ours', 'stop theirs']);
});

test('ratios are taken start by start', async (t) => {
  // The machine was half as fast at the second start, for both.
  const comparison = comparisonOf([[{ ours: 11, theirs: 10 }], [{ ours: 22, theirs: 20 }], [{ ours: 11, theirs: 10 }]]);
  const ratio = { first: 1.1, median: 1.1, third: 1.1 };
  t.same(comparison, { ratio, together: 1.1, ours: 11, theirs: 10, starts: 3 });
});

test('a round in which one version collects its garbage does not decide', async (t) => {
  const usual = { ours: 10, theirs: 10 };
  const { ratio, together } = comparisonOf([
    [usual, { ours: 14, theirs: 10 }, usual],
    [usual, usual, { ours: 10, theirs: 12 }],
  ]);
  t.same(ratio, { first: 1, median: 1, third: 1 });
  t.equal(together.toFixed(3), '1.032');
});
