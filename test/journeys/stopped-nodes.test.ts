/**
 * Nodes that are stopped (SIGSTOP): real processes, as a relay that hangs is not all of what a process does. Requests
 * that wait for one are answered by another, long before a time limit (promise P4).
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Test, test } from 'tap';
import { samplesOf } from '../support/network.ts';
import { type NodeProcess, startNode, temporaryFolder } from '../support/node-processes.ts';
import { startOrigin, text } from '../support/origin.ts';
import { freePorts } from '../support/ports.ts';
import { ask } from '../support/visitor.ts';

const NODES = ['eu-1', 'eu-2', 'shield-1', 'shield-2'] as const;
type Name = (typeof NODES)[number];

/** A heartbeat is sent after half a tenth of a second, and late after a whole one; as much again is for answering. */
const MOST_MS = 300;
const ROUNDS = 3;
const EVERY_MS = 8;

interface Stage {
  readonly nodes: Readonly<Record<Name, NodeProcess>>;
  /** HOST:PORT of eu-1, for visitors and for metrics. */
  readonly edge: string;
  readonly control: string;
}

async function startNodes(t: Test): Promise<Stage> {
  const origin = await startOrigin(text('hello', { 'Cache-Control': 'max-age=60' }));
  const [listen, other, control, ...tiers] = (await freePorts(3 + NODES.length)).map((port) => `127.0.0.1:${port}`);
  const tierOf = (name: Name): string => tiers[NODES.indexOf(name)] as string;
  const file = join(temporaryFolder(), 'eu.yaml');
  writeFileSync(
    file,
    JSON.stringify({
      region: 'eu',
      tier_secret: 'only-for-this-test-of-nodes',
      memory: '32MiB',
      edges: [
        { name: 'eu-1', listen, control, tier: tierOf('eu-1'), workers: 1 },
        { name: 'eu-2', listen: other, tier: tierOf('eu-2'), workers: 1 },
      ],
      shields: [
        { name: 'shield-1', tier: tierOf('shield-1') },
        { name: 'shield-2', tier: tierOf('shield-2') },
      ],
      sites: [{ name: 'site', hosts: ['*'], origin: { servers: [{ url: origin.url }] } }],
    }),
  );
  const started = await Promise.all(NODES.map((name) => startNode(name, [file])));
  t.teardown(async () => {
    for (const node of started) node.signal('SIGCONT');
    await Promise.all(started.map((node) => node.kill()));
    await origin.close();
  });
  const nodes = Object.fromEntries(NODES.map((name, index) => [name, started[index]])) as Record<Name, NodeProcess>;
  return { nodes, edge: listen as string, control: control as string };
}

async function untilAllUp({ control }: Stage): Promise<void> {
  for (;;) {
    const samples = samplesOf(await (await fetch(`http://${control}/metrics`)).text());
    const up = samples.filter(({ name }) => name === 'seawall_target_up');
    if (up.length > 0 && up.every(({ value }) => value === 1)) return;
    await pause(50);
  }
}

function middleOf(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

test('a shield or the owner of a key is stopped: a request that waits for it is soon answered by another', async (t) => {
  const stage = await startNodes(t);
  let keys = 0;
  /** Requests for what no node has, one after the other, whether those before are answered or not. */
  const visitFor = async (ms: number): Promise<number[]> => {
    const visits: Promise<number>[] = [];
    for (const end = performance.now() + ms; performance.now() < end; await pause(EVERY_MS)) {
      const since = performance.now();
      visits.push(
        ask(stage.edge, `/${keys++}`).then((reply) => {
          t.match(reply, { status: 200, text: 'hello', complete: true });
          return performance.now() - since;
        }),
      );
    }
    return Promise.all(visits);
  };
  await untilAllUp(stage);
  await visitFor(1_500);
  for (const victim of ['shield-1', 'eu-2'] as const) {
    const longest: number[] = [];
    const undisturbed: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      undisturbed.push(Math.max(...(await visitFor(300))));
      stage.nodes[victim].signal('SIGSTOP');
      longest.push(Math.max(...(await visitFor(500))));
      stage.nodes[victim].signal('SIGCONT');
      await untilAllUp(stage);
    }
    // A machine that stands still for a moment is no fault of a node's: the middle one tells.
    // On one that is always busy everything waits, and a heartbeat is late later.
    const mostMs = MOST_MS + 4 * middleOf(undisturbed);
    const waits = longest.map(Math.round).join(', ');
    t.ok(middleOf(longest) < mostMs, `${victim}: the longest waits were ${waits} ms; allowed: ${Math.round(mostMs)}`);
  }
});
