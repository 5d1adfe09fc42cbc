/**
 * `npm run bench:memory`: the memory of an edge under loads that need much of it (promise P5). Prints the peak and what
 * is left when the visitors have gone, beside the goal.
 * @module
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { readArguments } from '../test/support/arguments.ts';
import { startNode, temporaryFolder, watch } from '../test/support/node-processes.ts';
import { freePorts } from '../test/support/ports.ts';
import { LOADS, type Load } from './memory/loads.ts';
import type { Outcome } from './memory/visitors.ts';
import { number, print, type Row } from './report.ts';

const HELP = `Usage: npm run bench:memory -- [options]

An edge, its origin and its visitors, each in a process of its own; the edge is a new one for each load.

${LOADS.map(({ name, what }) => `  ${name.padEnd(11)}${what}`).join('\n')}

Prints the memory of the edge's process: before the first request, at most, and ten seconds after the visitors have
gone. The goal for the most is \`memory\` and a quarter, and 64 MiB. Exits 1 when it is passed by more than --margin.

Options:
  --only LIST      Loads, such as mixed,uploads. By default all.
  --memory SIZE    Memory of the edge. By default 256MiB.
  --workers LIST   Numbers of workers. By default 1,2.
  --margin SIZE    Passed goals that are no failure. By default 16MiB.
  --help           Say this.
`;

const MIB = 2 ** 20;

/** Time in which an edge gives back what it does not need. */
const AFTER_MS = 10_000;

const args = readArguments('bench:memory', HELP, {
  only: LOADS.map(({ name }) => name).join(),
  memory: '256MiB',
  workers: '1,2',
  margin: '16MiB',
});
const loads = args.names(
  'only',
  'load',
  LOADS.map(({ name }) => name),
);
const goal = args.bytes('memory') * 1.25 + 64 * MIB;
const limit = goal + args.bytes('margin');

const start = (file: string, ...given: string[]) => {
  const child = fork(join(import.meta.dirname, 'memory', file), given);
  watch(child, file);
  return child;
};

const origin = start('origin.ts');
const [originPort] = (await once(origin, 'message')) as [number];
const folder = temporaryFolder();
const mib = (bytes: number): string => `${number(Math.round(bytes / MIB))} MiB`;

async function measure(load: Load, workers: string): Promise<void> {
  const [listen, tier] = (await freePorts(2)) as [number, number];
  const file = join(folder, `${load.name}-${workers}.yaml`);
  writeFileSync(
    file,
    `region: memory
tier_secret: only-for-this-measurement-on-this-machine
memory: ${args.values.memory}
limits: { connections_per_address: 0 }
edges: [{ name: edge, listen: '127.0.0.1:${listen}', tier: '127.0.0.1:${tier}', workers: ${workers} }]
sites:
  - name: memory
    hosts: ['*']
    max_request_body: 2GiB
    request_buffering: false
    origin: { servers: [{ url: 'http://127.0.0.1:${originPort}' }], max_connections: 4096, visitor_share: 1 }
`,
  );
  const node = await startNode('edge', [file]);
  const bytesOf = (field: 'VmHWM' | 'VmRSS'): number => {
    const status = readFileSync(`/proc/${node.pid}/status`, 'utf8');
    return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1]) * 1_024;
  };
  const idle = bytesOf('VmRSS');
  const began = performance.now();
  const visitors = fork(join(import.meta.dirname, 'memory', 'visitors.ts'), [String(listen), JSON.stringify(load)]);
  const [outcome] = (await Promise.race([
    once(visitors, 'message'),
    once(visitors, 'exit').then(() => Promise.reject(new Error('the visitors ended'))),
  ])) as [Outcome];
  const seconds = (performance.now() - began) / 1_000;
  visitors.send('leave');
  await once(visitors, 'exit');
  const peak = bytesOf('VmHWM');
  await wait(AFTER_MS);
  const rows: Row[] = [
    { what: 'to visitors, MB/s', value: number(Math.round(outcome.bytes / 1e6 / seconds)) },
    { what: 'whole answers', value: number(outcome.answers) },
    { what: 'broken answers', value: number(outcome.broken) },
    { what: 'memory before the first request', value: mib(idle) },
    { what: 'at most', value: mib(peak), promise: { text: `≤ ${mib(limit)}`, kept: peak <= limit } },
    { what: 'goal', value: mib(goal) },
    { what: 'ten seconds after the visitors have gone', value: mib(bytesOf('VmRSS')) },
  ];
  print(`${load.what}; \`workers: ${workers}\`, \`memory: ${args.values.memory}\``, rows);
  await node.kill();
}

for (const workers of args.values.workers.split(',')) {
  for (const load of LOADS) if (loads.includes(load.name)) await measure(load, workers);
}
process.exit();
