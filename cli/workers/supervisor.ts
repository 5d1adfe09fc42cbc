/**
 * An edge of several threads, as one node: starts the workers, replaces those that end, and answers operators for all
 * of them. It is not on a request's path; what it holds, in the main thread, is the control listener.
 * @module
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { Registry } from 'prom-client';
import { splitAddress } from '../../config/listener.ts';
import type { EdgeConfig, RegionConfig, SiteConfig } from '../../config/schema.ts';
import { shareOf, workerName } from '../../config/workers.ts';
import type { KnownCertificate } from '../../http/listener/certificates.ts';
import { LISTENER_LIFETIME } from '../../http/listener/listener.ts';
import { TicketKeys } from '../../http/listener/tls.ts';
import { checkNodeInternals } from '../../http/node-internals/checks.ts';
import { monotonicNow } from '../../lib/clock.ts';
import { Components } from '../../lib/components.ts';
import { type Health, listenForControl } from '../../telemetry/control-listener.ts';
import { counters, gauge } from '../../telemetry/instruments.ts';
import type { Logger } from '../../telemetry/log.ts';
import { collectProcessMetrics } from '../../telemetry/registry.ts';
import { answerMatches } from '../../tier/dry-run.ts';
import { Lines } from '../output.ts';
import { startOwnJournal, type WorkerJournal, withJournal } from './journal.ts';
import type { Metrics, Question, WorkerAddresses } from './messages.ts';
import { CONTENT_TYPE, WorkerMetrics } from './metrics.ts';
import { WorkerThread } from './worker-thread.ts';

export interface WorkersOptions {
  readonly region: RegionConfig;
  readonly edge: EdgeConfig;
  /** At least two. */
  readonly count: number;
  readonly log: Logger;
}

export interface RunningWorkers {
  readonly name: string;
  readonly addresses: Omit<WorkerAddresses, 'worker'> & { readonly control: string | undefined };
  readonly workers: readonly WorkerState[];
  reload(region: RegionConfig): void;
  close(): Promise<void>;
}

export interface WorkerState {
  /** `eu-1#2`. */
  readonly name: string;
  /** Number of its thread, as in `/proc` and profiles. */
  readonly thread: number | undefined;
  readonly serving: boolean;
}

/** @throws What the first worker that cannot start fails with, such as `EADDRINUSE`; nothing runs then. */
export async function startWorkers(options: WorkersOptions): Promise<RunningWorkers> {
  const { edge, count, log } = options;
  const { name } = edge;
  let { region } = options;
  // Workers share an address with any program that shares it, such as another edge that was started by mistake.
  // The control listener opens last: a port that is taken should be known before workers start.
  for (const address of [edge.listen, edge.listen_tls, edge.tier, edge.control]) await checkFree(address);
  await checkNodeInternals(log);
  const components = new Components<RegionConfig>();
  const tickets = await components.start('tickets', () => new TicketKeys(), { close: (part) => part.close() });
  const journal = await components.start(
    'journal',
    () => startOwnJournal({ region, edge, current: () => region, log }),
    {
      close: (part: WorkerJournal | undefined) => part?.close(),
    },
  );
  const metrics = new WorkerMetrics();
  const own = new Registry();
  own.setDefaultLabels({ node: name, role: 'edge' });
  collectProcessMetrics(own);
  gauge(own, 'seawall_workers', () => workers.filter(({ addresses }) => addresses !== undefined).length);
  counters(own, 'seawall_worker_restarts_total', () => [[{}, workers.reduce((sum, one) => sum + one.restarts, 0)]]);
  /** A worker that takes the place of another shows what that one did, though its files cannot be used any more. */
  let certificates: readonly KnownCertificate[] = [];
  let bound: WorkerAddresses | undefined;

  const configNow = (): RegionConfig => {
    const share = shareOf(withJournal(region, journal), edgeOf(region, name), count);
    return bound === undefined ? share : withAddresses(share, name, bound);
  };
  const output = new Lines(process.stdout);
  const workers = Array.from({ length: count }, (_, index) => {
    const worker = workerName(name, index + 1, count);
    return new WorkerThread({
      name: worker,
      log,
      now: monotonicNow,
      output,
      memoryBytes: () => memoryOf(configNow(), name),
      startMessage: () => ({
        region: configNow(),
        edge: name,
        worker,
        logLevel: log.level,
        ticketKeys: tickets.current,
        certificates: certificatesOf(region, certificates),
      }),
      onReady: () => introduce(),
      onEnded: () => void metrics.ended(worker),
      onCertificate: (known) => {
        certificates = [...certificatesOf(region, certificates).filter((other) => !isOfSameFiles(other, known)), known];
      },
    });
  });
  /** Tells all of all; one that has ended keeps its place on the ring until another thread takes it. */
  const known = new Map<string, string>();
  const introduce = (): void => {
    for (const worker of workers) {
      if (worker.addresses !== undefined) known.set(worker.name, worker.addresses.worker);
    }
    if (known.size < count) return;
    const all = [...known].map(([worker, tier]) => ({ name: worker, tier }));
    for (const worker of workers) worker.send({ kind: 'workers', all });
  };
  tickets.onChange(() => {
    for (const worker of workers) worker.send({ kind: 'tickets', keys: tickets.current });
  });
  const askAll = (question: Question): Promise<(Metrics | number | undefined)[]> =>
    Promise.all(workers.map((worker) => worker.ask(question)));
  const stateOf = (): WorkerState[] =>
    workers.map((worker) => ({
      name: worker.name.split('/')[0] as string,
      thread: worker.thread,
      serving: worker.addresses !== undefined,
    }));

  /** The first one takes the ports where the config leaves them open; the others share them. */
  async function startAll(): Promise<void> {
    try {
      const [first, ...others] = workers as [WorkerThread, ...WorkerThread[]];
      bound = await first.start();
      const started = await Promise.allSettled(others.map((worker) => worker.start()));
      for (const result of started) if (result.status === 'rejected') throw result.reason;
      await askAll({ about: 'matches', records: [] }); // messages keep their order: by then each knows all others
    } catch (error) {
      await Promise.all(workers.map((worker) => worker.kill()));
      throw error;
    }
  }

  await components.start('workers', startAll, {
    update: () => {
      for (const worker of workers) worker.send({ kind: 'reload', region: configNow() });
    },
    close: async () => {
      await Promise.all(workers.map((worker) => worker.close()));
    },
  });
  const { control: address } = edge;
  const { control } = await components.listen(
    {
      control:
        address === undefined
          ? undefined
          : (started) =>
              listenForControl(started, {
                address,
                limits: region.limits,
                node: name,
                hosts: () => region.control_hosts,
                health,
                registry: { contentType: CONTENT_TYPE, metrics: readMetrics } as never,
                posts: { '/v1/matches': answerMatches(countMatches, () => region.tier_secret) },
              }),
    },
    LISTENER_LIFETIME,
  );

  function health(): Health {
    const list = stateOf();
    const serving = list.filter((worker) => worker.serving).length;
    return { isServing: serving > 0, details: { workers: { serving, of: count, list } } };
  }

  async function readMetrics(): Promise<string> {
    // Each when it comes: one that ends while others are waited for has been told of by then, and counts once.
    await Promise.all(
      workers.map(async (worker) => {
        const answer = await worker.ask({ about: 'metrics' });
        if (typeof answer === 'object') metrics.onReply(worker.name, answer);
      }),
    );
    return `${await metrics.text()}\n${await own.metrics()}`;
  }

  async function countMatches(records: Extract<Question, { about: 'matches' }>['records']): Promise<number> {
    const answers = await askAll({ about: 'matches', records });
    return answers.reduce<number>((sum, answer) => sum + (typeof answer === 'number' ? answer : 0), 0);
  }

  const { worker: _own, ...shared } = bound as unknown as WorkerAddresses;
  return {
    name,
    addresses: { ...shared, control: control?.address },
    get workers() {
      return stateOf();
    },
    reload(next) {
      region = next;
      components.update(next);
    },
    close: () => components.close(),
  };
}

function withAddresses(region: RegionConfig, name: string, addresses: WorkerAddresses): RegionConfig {
  const { listen, listen_tls, tier } = addresses;
  return {
    ...region,
    edges: region.edges.map((edge) => (edge.name === name ? { ...edge, listen, listen_tls, tier } : edge)),
  };
}

/** @returns Of these, what the region still names. */
function certificatesOf({ sites }: RegionConfig, known: readonly KnownCertificate[]): readonly KnownCertificate[] {
  return known.filter((one) => sites.some(({ tls }) => tls !== undefined && isOfSameFiles(one, tls)));
}

function isOfSameFiles(one: NonNullable<SiteConfig['tls']>, other: NonNullable<SiteConfig['tls']>): boolean {
  return one.cert_file === other.cert_file && one.key_file === other.key_file;
}

function memoryOf(region: RegionConfig, name: string): number {
  return edgeOf(region, name).memory ?? region.memory;
}

function edgeOf({ edges, file }: RegionConfig, name: string): EdgeConfig {
  const edge = edges.find((one) => one.name === name);
  if (edge === undefined) throw new Error(`${file} names no edge ${name}`);
  return edge;
}

/** @throws The system's error when the address is in use. */
async function checkFree(address: string | undefined): Promise<void> {
  if (address === undefined) return;
  const { host, port } = splitAddress(address);
  if (port === 0) return;
  const server = createServer().listen({ host, port });
  await once(server, 'listening'); // or throws what 'error' brings
  await once(server.close(), 'close');
}
