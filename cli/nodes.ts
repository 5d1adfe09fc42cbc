/**
 * The nodes that region files name, started in one process: here the roles are
 * wired together, and nowhere else.
 * @module
 */
import { isDeepStrictEqual } from 'node:util';
import { readYaml } from '../config/document.ts';
import { splitAddress } from '../config/listener.ts';
import { ConfigError, type ConfigProblem, type KeyPath } from '../config/problem.ts';
import type { DnsConfig, RegionConfig } from '../config/schema.ts';
import { memoryOf, workersOf } from '../config/workers.ts';
import { locatesVisitors } from '../edge/edge-geo.ts';
import { countInherited, listeningSockets, retireSockets } from '../http/listener/sockets.ts';
import type { Logger } from '../telemetry/log.ts';
import { databaseProblems } from './databases.ts';
import { describeFailure, isSystemError } from './failure.ts';
import type { Handover } from './takeover/successor.ts';
import type { WorkerState } from './workers/worker-group.ts';

export type Role = 'shield' | 'edge' | 'control' | 'dns';

/** First who sends visitors, then edges: what they have under way may need the shields. */
export const CLOSING_ORDER: readonly Role[] = ['dns', 'edge', 'shield', 'control'];

/** HOST:PORT of each listener of a node; as bound once it runs. */
export interface Addresses {
  readonly listen?: string | undefined;
  readonly listen_tls?: string | undefined;
  readonly tier?: string | undefined;
  readonly control?: string | undefined;
}

export interface RunningNode {
  readonly name: string;
  readonly role: Role;
  readonly addresses: Addresses;
  /** Its workers, where it has several. */
  readonly workers?: readonly WorkerState[];
  /** Listening sockets of its threads, where it has several. */
  readonly threads?: Pick<Handover, 'sockets' | 'retire'>;
  /** Closes what only one process may use. */
  release?(): Promise<void>;
  /** Serves what the new configs say. */
  reload(regions: readonly RegionConfig[]): void;
  /** Takes nothing new, finishes what is under way. */
  close(): Promise<void>;
}

/** A node that a region file names, and how to start it. */
export interface NodePlan {
  readonly name: string;
  readonly role: Role;
  readonly region: RegionConfig;
  /** As written. */
  readonly addresses: Addresses;
  /** All that it listens on for visitors, where that may be more than one. */
  readonly entrances?: readonly string[];
  /** Number of workers of an edge. */
  readonly workers?: number;
  /** True if it opens the location databases of its region. */
  readonly locates: boolean;
  /** @returns Where in the file it is written. */
  pathOf(key: keyof Addresses | 'workers'): KeyPath;
  start(log: Logger): Promise<RunningNode>;
}

/**
 * @returns A plan for every node, in an order in which they find each other: control nodes, shields, edges, DNS
 * servers.
 */
export function plansOf(regions: readonly RegionConfig[]): NodePlan[] {
  return [
    ...regions.flatMap((region) => (region.control ? [controlPlan(region, region.control, regions)] : [])),
    ...regions.flatMap((region) => region.shields.map((_, index) => shieldPlan(region, index))),
    ...regions.flatMap((region) => region.edges.map((_, index) => edgePlan(region, index))),
    ...regions.flatMap((region) => (region.dns ? [dnsPlan(region, region.dns, regions)] : [])),
  ];
}

function shieldPlan(region: RegionConfig, index: number): NodePlan {
  const shield = at(region.shields, index);
  return {
    name: shield.name,
    role: 'shield',
    region,
    addresses: shield,
    locates: false,
    pathOf: (key) => ['shields', index, key],
    async start(log) {
      const { startShield } = await import('../origin-shield/node.ts');
      const { boundMemory, withStoreBytes } = await import('./process-memory.ts');
      let current = region;
      const { core, ...node } = await startShield({ region: withStoreBytes(region, shield), shield, log });
      const unbound = boundMemory({ memoryBytes: () => memoryOf(current, shield) });
      return {
        ...node,
        role: 'shield',
        reload(regions) {
          current = sameRegion(regions, region);
          node.reload(withStoreBytes(current, shield));
        },
        close() {
          unbound();
          return node.close();
        },
      };
    },
  };
}

function edgePlan(region: RegionConfig, index: number): NodePlan {
  const edge = at(region.edges, index);
  return {
    name: edge.name,
    role: 'edge',
    region,
    addresses: edge,
    workers: workersOf(edge),
    locates: locatesVisitors(region),
    pathOf: (key) => ['edges', index, key],
    async start(log) {
      const count = workersOf(edge);
      // What serves visitors is loaded where that is done: the thread that supervises others does without.
      const node = await (count === 1
        ? (await import('./lone-edge.ts')).startLoneEdge({ region, edge, log })
        : (await import('./workers/supervisor.ts')).startWorkers({ region, edge, count, log }));
      return {
        name: node.name,
        role: 'edge',
        addresses: node.addresses,
        ...('workers' in node && {
          get workers() {
            return node.workers;
          },
          threads: node.threads,
        }),
        release: () => node.release(),
        reload: (regions) => node.reload(sameRegion(regions, region)),
        close: () => node.close(),
      };
    },
  };
}

function controlPlan(
  region: RegionConfig,
  control: NonNullable<RegionConfig['control']>,
  regions: readonly RegionConfig[],
): NodePlan {
  return {
    name: control.name,
    role: 'control',
    region,
    addresses: { control: control.listen, tier: control.tier },
    locates: true,
    pathOf: (key) => ['control', key === 'tier' ? 'tier' : 'listen'],
    async start(log) {
      // Only here: what a control node is made of takes memory that edges and shields have better use for.
      const { startControl } = await import('../control/node.ts');
      const { address, tier, ...node } = await startControl({ region, control, regions, log });
      return { ...node, role: 'control', addresses: { control: address, tier }, release: () => node.close() };
    },
  };
}

function dnsPlan(region: RegionConfig, dns: DnsConfig, regions: readonly RegionConfig[]): NodePlan {
  return {
    name: dns.name,
    role: 'dns',
    region,
    addresses: { listen: dns.listen[0], control: dns.control },
    entrances: dns.listen,
    locates: true,
    pathOf: (key) => ['dns', key],
    async start(log) {
      // Only here: what it is made of takes memory that edges and shields have better use for.
      const { startDns } = await import('../geo/dns/node.ts');
      const node = await startDns({ region, dns, regions, log });
      return { ...node, role: 'dns', reload: (next) => node.reload(sameRegion(next, region), next) };
    },
  };
}

/** Reports an address that cannot be bound. */
type Refuse = (key: keyof Addresses | 'workers', message: string, fix: string) => ConfigProblem;

/**
 * Starts a node.
 *
 * @param refuse - Where its addresses come from, if not from the region file.
 * @throws {ConfigError} when an address cannot be listened on.
 */
export async function startNode(plan: NodePlan, log: Logger, refuse: Refuse = inFile(plan)): Promise<RunningNode> {
  const surplus = surplusProblem(plan, refuse);
  if (surplus !== undefined) throw new ConfigError([surplus]);
  try {
    return await plan.start(log);
  } catch (error) {
    throw isSystemError(error) ? new ConfigError([listenProblem(plan, error, refuse)]) : error;
  }
}

const LISTEN_FAILURES: Record<string, readonly [message: string, fix: string]> = {
  EADDRINUSE: ['is taken by another program', 'Stop that program, or choose another port.'],
  EACCES: ['is not for this user', 'Choose a port from 1024 up, or let the program use low ports.'],
  EADDRNOTAVAIL: ['is not an address of this machine', 'Write one that it has, such as 127.0.0.1 or 0.0.0.0.'],
  ENOTFOUND: ['has a name that leads nowhere', 'Write an address such as 127.0.0.1.'],
};

function listenProblem(
  plan: NodePlan,
  error: NodeJS.ErrnoException & { address?: string; port?: number },
  refuse: Refuse,
): ConfigProblem {
  const { key, address } = refusedListener(plan, error);
  const [message, fix] = LISTEN_FAILURES[error.code ?? ''] ?? [
    `cannot be listened on (${error.message})`,
    'Choose another.',
  ];
  return refuse(key, `${address} ${message}`, fix);
}

/** @returns The listener that the system's error is about: several may share a port, at other addresses. */
function refusedListener(
  { addresses, entrances }: NodePlan,
  error: { readonly address?: string; readonly port?: number },
): { key: keyof Addresses; address: string | undefined } {
  const keys = ['listen', 'listen_tls', 'tier', 'control'] as const;
  const written = keys.flatMap((key) => {
    const list = (key === 'listen' && entrances) || [addresses[key]];
    return list.flatMap((address) => (address === undefined ? [] : [{ key, address, ...splitAddress(address) }]));
  });
  const ofPort = written.filter(({ port }) => port === error.port);
  return (
    ofPort.find(({ host }) => host === error.address) ??
    ofPort[0] ??
    written[0] ?? { key: 'listen', address: addresses.listen }
  );
}

/**
 * Returns why the sockets of the process before cannot be taken over, if they cannot: the system goes on giving
 * connections to each of them, also to those that no thread would listen on.
 */
function surplusProblem({ name, addresses, workers = 1 }: NodePlan, refuse: Refuse): ConfigProblem | undefined {
  const before = Math.max(
    ...Object.values(addresses).map((address) => (address === undefined ? 0 : countInherited(address))),
  );
  if (before <= workers) return undefined;
  const message = `the process that runs has ${before} threads for ${name}, and ${workers} cannot take over from them`;
  return refuse('workers', message, 'Reload it first (SIGHUP), or restart it.');
}

/** Returns why a running edge cannot have another number of workers, if it cannot. */
function workersProblem(plan: NodePlan, before: NodePlan, running: RunningNode): ConfigProblem | undefined {
  const { workers: count } = before;
  if (plan.workers === count) return undefined;
  const why = running.workers === undefined ? 'has one worker, and no other can join it while it runs' : undefined;
  const fix = `Write \`workers: ${count}\`, or restart ${plan.name}.`;
  return why === undefined ? undefined : inFile(plan)('workers', `${plan.name} ${why}`, fix);
}

function inFile(plan: NodePlan): Refuse {
  return (key, message, fix) => {
    const { file } = plan.region;
    const path = plan.pathOf(key);
    const yaml = readYaml(file);
    if ('source' in yaml) return yaml.source.problem(path, message, fix);
    return { file, line: 0, column: 0, key: path.join('.'), message, fix };
  };
}

/** @param nodes - The nodes that run at the moment. */
export function handoverOf(nodes: () => readonly RunningNode[]): Handover {
  return {
    async sockets() {
      const ofThreads = await Promise.all(nodes().map(({ threads }) => threads?.sockets() ?? []));
      return [...listeningSockets(), ...ofThreads.flat()];
    },
    async release() {
      await Promise.all(nodes().map((node) => node.release?.()));
    },
    retire() {
      retireSockets();
      for (const { threads } of nodes()) threads?.retire();
    },
  };
}

/** Several nodes in one process. */
export interface RunningNodes {
  readonly list: readonly RunningNode[];
  /** @returns What of new configs running nodes cannot follow. */
  problems(regions: readonly RegionConfig[]): Promise<readonly ConfigProblem[]>;
  /** Serves new configs of the same files: starts nodes that are new in them, stops those that are gone. */
  update(regions: readonly RegionConfig[]): Promise<void>;
  close(): Promise<void>;
}

export interface StartNodesOptions {
  readonly regions: readonly RegionConfig[];
  /** Selects the nodes to run. */
  readonly wanted: (plan: NodePlan) => boolean;
  readonly logFor: (name: string) => Logger;
}

/** @throws {ConfigError} when one cannot start; those that had started are closed by then. */
export async function startNodes({ regions, wanted, logFor }: StartNodesOptions): Promise<RunningNodes> {
  const running = new Map<string, RunningNode>();
  /** Current plan of each node: as started, or as last reloaded. */
  const followed = new Map<string, NodePlan>();

  async function start(plan: NodePlan): Promise<void> {
    running.set(idOf(plan), await startNode(plan, logFor(plan.name)));
    followed.set(idOf(plan), plan);
  }

  /** Returns whether a reload makes the node open databases that it has not open yet. */
  function opensDatabases({ locates, region }: NodePlan, before: NodePlan): boolean {
    const isSame = isDeepStrictEqual(before.region.geo.databases, region.geo.databases);
    return locates && !(before.locates && isSame);
  }

  async function close(): Promise<void> {
    const nodes = [...running.values()];
    for (const role of CLOSING_ORDER) {
      await Promise.all(nodes.filter((node) => node.role === role).map((node) => node.close()));
    }
  }

  try {
    const plans = plansOf(regions).filter(wanted);
    const surplus = plans.flatMap((plan) => surplusProblem(plan, inFile(plan)) ?? []);
    if (surplus.length > 0) throw new ConfigError(surplus); // before any of them takes a connection
    for (const plan of plans) await start(plan);
  } catch (error) {
    await close();
    throw error;
  }

  return {
    get list() {
      return [...running.values()];
    },

    async problems(newRegions) {
      const changes = plansOf(newRegions).flatMap((plan) => {
        const before = running.has(idOf(plan)) ? followed.get(idOf(plan)) : undefined;
        return before ? [{ plan, before }] : [];
      });
      const located = changes.filter(({ plan, before }) => opensDatabases(plan, before));
      return [
        ...changes.flatMap(({ plan, before }) => {
          const problem = workersProblem(plan, before, running.get(idOf(plan)) as RunningNode);
          return problem === undefined ? [] : [problem];
        }),
        ...(await databaseProblems([...new Set(located.map(({ plan }) => plan.region))])),
      ];
    },

    async update(newRegions) {
      const plans = new Map(
        plansOf(newRegions)
          .filter(wanted)
          .map((plan) => [idOf(plan), plan]),
      );
      for (const [id, node] of running) {
        const plan = plans.get(id);
        if (plan) {
          node.reload(newRegions);
          followed.set(id, plan);
          continue;
        }
        logFor(node.name).warn('the config does not name this node any more: it stops');
        running.delete(id);
        await node.close();
      }
      for (const [id, plan] of plans) {
        if (running.has(id)) continue;
        try {
          await start(plan);
          logFor(plan.name).info('new in the config: started');
        } catch (error) {
          for (const line of describeFailure(error).lines) logFor(plan.name).error(line);
        }
      }
    },

    close,
  };
}

/** Names are unique within a network only, and files may be of different ones. */
function idOf({ region, name }: NodePlan): string {
  return `${region.file}\n${name}`;
}

function sameRegion(regions: readonly RegionConfig[], { file }: RegionConfig): RegionConfig {
  const region = regions.find((candidate) => candidate.file === file);
  if (!region) throw new Error(`${file} is not among the new configs`);
  return region;
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`no item ${index}`);
  return item;
}
