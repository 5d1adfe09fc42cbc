/**
 * `npm start`: a whole network on this machine, each node a process of its own,
 * in front of a small demo site or of the user's own.
 * @module
 */
import '../ignored-signals.ts';
import { randomBytes } from 'node:crypto';
import { monotonicNow } from '../../lib/clock.ts';
import { createLog } from '../../telemetry/log.ts';
import { defineCommand } from '../command.ts';
import { describeFailure, Failure, UsageError } from '../failure.ts';
import { CLOSING_ORDER, type NodePlan, plansOf } from '../nodes.ts';
import { runUntilStopped, type Service, watchNpm } from '../signals.ts';
import { type Child, startChild } from './child.ts';
import { checkEtcd, etcdAddresses, startDemoEtcd } from './etcd.ts';
import { type GuideNode, guide } from './guide.ts';
import { type DemoNetwork, prepareNetwork } from './network.ts';
import { type DemoOrigin, startDemoOrigin } from './origin.ts';
import { takenAddresses } from './ports.ts';

const ORIGIN_PATIENCE_MS = 2_000;
/** Longer than a node may take by itself. */
const CLOSE_LIMIT_MS = 40_000;
const MAX_PORT_OFFSET = 50_000;

const command = defineCommand({
  name: 'start',
  call: 'npm start --',
  summary: 'A whole network to try.',
  about: `
Runs two regions with two edges each, a shield, a control node and an origin on
this machine, and prints where they are and what to try. With --replicated each
region has a control node, on an etcd of three members: one of them, and one
control node, can be killed, and purges go on.`,
  options: {
    origin: { type: 'text', value: 'URL', help: 'Your own site instead of the demo’s, such as http://127.0.0.1:3000.' },
    'port-offset': { type: 'text', value: 'N', help: 'Add N to every port, for when some are taken.' },
    replicated: { type: 'flag', help: 'Two control nodes and three members of etcd, which has to be installed.' },
    verbose: { type: 'flag', help: 'Print every request to the demo’s origin.' },
    json: { type: 'flag', help: 'When ready, print one line of JSON instead of the table and the commands.' },
  },
  examples: ['--origin http://127.0.0.1:3000', '--port-offset 1000 --verbose'],

  async run({ origin, 'port-offset': offset, replicated, verbose, json }) {
    if (replicated) checkEtcd();
    const env = {
      ...process.env,
      SEAWALL_TIER_SECRET: process.env['SEAWALL_TIER_SECRET'] || randomBytes(32).toString('base64url'),
    };
    const moveBy = portOffset(offset);
    const etcd = replicated ? etcdAddresses(moveBy) : undefined;
    const network = prepareNetwork({ origin, portOffset: moveBy, etcd, env });
    try {
      watchNpm(process);
      return await runUntilStopped(
        () => startNetwork(network, { ownSite: origin, etcd, portOffset: moveBy, env, verbose, json }),
        {
          process,
          exit(code) {
            network.dispose();
            process.exit(code);
          },
          log: createLog({ name: 'start', level: 'warn' }),
          now: monotonicNow,
        },
      );
    } finally {
      network.dispose();
    }
  },
});

interface StartOptions {
  readonly ownSite: string | undefined;
  /** HOST:PORT of the members of etcd to start. */
  readonly etcd: readonly string[] | undefined;
  readonly portOffset: number;
  readonly env: NodeJS.ProcessEnv;
  readonly verbose: boolean;
  readonly json: boolean;
}

async function startNetwork(
  { regions, originUrl, folder, refresh }: DemoNetwork,
  { ownSite, etcd: etcdWanted, portOffset: moveBy, env, verbose, json }: StartOptions,
): Promise<Service> {
  const plans = plansOf(regions);
  await checkPorts(plans, ownSite === undefined ? originUrl : undefined, etcdWanted ?? []);
  if (ownSite !== undefined) await warnIfSilent(ownSite);
  const demoSite = ownSite === undefined ? await serveDemoSite(originUrl, verbose) : undefined;
  const etcd = etcdWanted === undefined ? undefined : await startDemoEtcd(moveBy);

  const files = regions.map(({ file }) => file);
  const others = (own: string): string[] => files.filter((file) => file !== own);
  const launch = (chosen: readonly NodePlan[]) =>
    Promise.allSettled(
      chosen.map(({ name, role, region }) =>
        // The control node tells about every region.
        startChild({
          name,
          files: role === 'control' ? [region.file, ...others(region.file)] : [region.file],
          env,
          logLevel: 'warn',
        }),
      ),
    );
  // The others ask the control node for the journal as soon as they start.
  const started = [
    ...(await launch(plans.filter(({ role }) => role === 'control'))),
    ...(await launch(plans.filter(({ role }) => role !== 'control'))),
  ];
  const children = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  let isClosing = false;
  const close = async () => {
    isClosing = true;
    await stop(children);
    await etcd?.close();
    await demoSite?.close();
  };
  const failure = started.find((result) => result.status === 'rejected');
  if (failure) {
    await close();
    throw failure.reason;
  }

  let alive = children.length;
  for (const child of children) {
    void child.ended.then((how) => {
      alive--;
      const rest = alive > 0 ? 'The others go on.' : 'It was the last one.';
      if (!isClosing) say(`${child.name} (pid ${child.pid}) has ended: ${how}. ${rest}`);
    });
  }
  const nodes = children.map(({ name, pid, node }): GuideNode => {
    const region = plans.find((plan) => plan.name === name)?.region.region ?? '';
    return { ...node, region, pid };
  });
  process.stdout.write(
    json
      ? `${JSON.stringify({ ready: true, pid: process.pid, origin: originUrl, nodes, files, ...(etcd && { etcd: etcd.members }) })}\n`
      : guide({
          nodes,
          originUrl,
          isOwnSite: ownSite !== undefined,
          etcd: etcd?.members ?? [],
          file: files[0] ?? '',
          folder,
        }),
  );
  return {
    closeLimitMs: CLOSE_LIMIT_MS,
    reload: () => {
      refresh();
      for (const child of children) child.signal('SIGHUP');
    },
    close: () => {
      say('Stopping: requests under way are finished first. Ctrl-C again stops at once.');
      return close();
    },
  };
}

async function checkPorts(
  plans: readonly NodePlan[],
  demoSite: string | undefined,
  etcd: readonly string[],
): Promise<void> {
  const owners = new Map<string, string>();
  for (const { name, addresses } of plans) {
    for (const address of [addresses.listen, addresses.tier, addresses.control]) {
      if (address !== undefined) owners.set(address, name);
    }
  }
  for (const address of etcd) owners.set(address, 'etcd');
  if (demoSite !== undefined) owners.set(new URL(demoSite).host, 'the demo site');
  const taken = (await takenAddresses([...owners.keys()])).map((address) => `${address} (${owners.get(address)})`);
  if (taken.length === 0) return;
  throw new Failure(
    `taken by another program: ${taken.join(', ')}. Fix: stop that program, or move every port with npm start -- --port-offset 1000.`,
  );
}

function serveDemoSite(url: string, verbose: boolean): Promise<DemoOrigin> {
  const { hostname, port } = new URL(url);
  return startDemoOrigin({
    host: hostname,
    port: Number(port),
    ...(verbose && { onRequest: (line) => say(`origin: ${line}`) }),
  });
}

async function warnIfSilent(url: string): Promise<void> {
  try {
    const response = await fetch(url, {
      method: 'HEAD',
      redirect: 'manual',
      signal: AbortSignal.timeout(ORIGIN_PATIENCE_MS),
    });
    await response.body?.cancel();
  } catch {
    // Whatever the reason: it may start later, and the network answers 502 or 504 until then.
    say(`${url} does not answer yet. The network starts all the same.`);
  }
}

async function stop(children: readonly Child[]): Promise<void> {
  for (const role of CLOSING_ORDER) {
    const group = children.filter(({ node }) => node.role === role);
    for (const child of group) child.signal('SIGTERM');
    await Promise.all(group.map(({ ended }) => ended));
  }
}

function portOffset(option: string | undefined): number {
  if (option === undefined) return 0;
  const offset = Number(option);
  if (Number.isInteger(offset) && offset >= 0 && offset <= MAX_PORT_OFFSET) return offset;
  throw new UsageError(
    `--port-offset: expected a whole number from 0 to ${MAX_PORT_OFFSET}`,
    'Write for example --port-offset 1000.',
  );
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

try {
  process.exit(await command.run(process.argv.slice(2)));
} catch (error) {
  const { lines, exitCode } = describeFailure(error);
  for (const line of lines) say(`npm start: ${line}`);
  process.exit(exitCode);
}
