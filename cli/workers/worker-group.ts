/**
 * The workers of an edge: as many as the config says, each with its share.
 * @module
 */
import { Registry } from 'prom-client';
import type { SegmentDisk } from '../../cache/disk/segment-disk.ts';
import type { ThreadDisks } from '../../cache/disk/thread-disk.ts';
import type { SupervisedMemory } from '../../cache/shared/shared-memory.ts';
import type { EdgeConfig, RegionConfig, SiteConfig } from '../../config/schema.ts';
import { memoryOf, shareOf, workerName, workersOf } from '../../config/workers.ts';
import type { KnownCertificate } from '../../http/listener/certificates.ts';
import { type ListeningSocket, takeInherited } from '../../http/listener/sockets.ts';
import type { TicketKeys } from '../../http/listener/tls.ts';
import { monotonicNow } from '../../lib/clock.ts';
import type { Traffic } from '../../lib/traffic.ts';
import type { Health } from '../../telemetry/control-listener.ts';
import { counters, gauge } from '../../telemetry/instruments.ts';
import type { Logger } from '../../telemetry/log.ts';
import { watchDisk, watchStore } from '../../telemetry/metrics.ts';
import type { NodeTrust } from '../../telemetry/node-certificates.ts';
import { collectProcessMetrics } from '../../telemetry/registry.ts';
import { diskHealth } from '../../tier/node-disk.ts';
import { storeBytes, warnOfLess } from '../../tier/process-memory.ts';
import type { PurgeRelay } from '../../tier/purge-relay.ts';
import { Lines } from '../output.ts';
import type { StartMessage, WorkerAddresses } from './messages.ts';
import { WorkerMetrics } from './metrics.ts';
import { WorkerThread } from './worker-thread.ts';

export interface WorkerState {
  /** `eu-1#2`. */
  readonly name: string;
  /** Number of its thread in this process, as Node counts them. */
  readonly thread: number | undefined;
  readonly serving: boolean;
}

export interface WorkerGroupOptions {
  readonly config: () => RegionConfig;
  /** Name of the edge. */
  readonly name: string;
  /** Workers to begin with. */
  readonly count: number;
  readonly log: Logger;
  readonly tickets: TicketKeys;
  readonly relay: PurgeRelay;
  /** Memory of the store that the workers share. */
  readonly memory: SupervisedMemory;
  /** Disk of the edge, and the workers' use of it. */
  readonly disk: { readonly disk: SegmentDisk; readonly threads: ThreadDisks } | undefined;
  readonly trust: NodeTrust;
  readonly onTraffic: (traffic: Traffic) => void;
}

export class WorkerGroup {
  readonly #options: WorkerGroupOptions;
  readonly #output = new Lines(process.stdout);
  readonly #metrics = new WorkerMetrics();
  readonly #own = new Registry();
  /** Number of workers by the config; each has a share of what the edge may use. */
  #count: number;
  /** In the order of their numbers. */
  readonly #workers: WorkerThread[] = [];
  /** Workers that finish what is in flight, and end. */
  readonly #leaving = new Set<WorkerThread>();
  /** Threads that took the place of one that ended, of workers that are gone. */
  #restartsBefore = 0;
  /** As bound by the first worker; the others share them. */
  #bound: WorkerAddresses | undefined;
  /** A worker that takes the place of another shows what that one did, though its files cannot be used any more. */
  #certificates: readonly KnownCertificate[] = [];

  private constructor(options: WorkerGroupOptions) {
    this.#options = options;
    this.#count = options.count;
    const { name, tickets, memory, disk } = options;
    this.#resize();
    this.#own.setDefaultLabels({ node: name, role: 'edge' });
    collectProcessMetrics(this.#own);
    watchStore(this.#own, memory);
    if (disk !== undefined) watchDisk(this.#own, disk.disk);
    gauge(this.#own, 'seawall_workers', () => this.#serving);
    counters(this.#own, 'seawall_worker_restarts_total', () => [
      [{}, this.#workers.reduce((sum, one) => sum + one.restarts, this.#restartsBefore)],
    ]);
    tickets.onChange(() => {
      for (const worker of this.#workers) worker.send({ kind: 'tickets', keys: tickets.current });
    });
  }

  /** @throws What the first worker that cannot start fails with; none runs then. */
  static async start(options: WorkerGroupOptions): Promise<WorkerGroup> {
    const group = new WorkerGroup(options);
    const workers = group.#workers;
    for (let i = 0; i < options.count; i++) workers.push(group.#make(i + 1));
    try {
      const [first, ...others] = workers as [WorkerThread, ...WorkerThread[]];
      group.#bound = await first.start();
      const started = await Promise.allSettled(others.map((worker) => worker.start()));
      for (const result of started) if (result.status === 'rejected') throw result.reason;
    } catch (error) {
      await Promise.all(workers.map((worker) => worker.kill()));
      throw error;
    }
    return group;
  }

  /** Addresses as bound. */
  get addresses(): WorkerAddresses {
    return this.#bound as WorkerAddresses;
  }

  get states(): WorkerState[] {
    return this.#workers.map(({ name, thread, addresses }) => ({ name, thread, serving: addresses !== undefined }));
  }

  get health(): Health {
    const list = this.states;
    const serving = this.#serving;
    const { disk } = this.#options;
    const workers = { serving, of: list.length, list };
    return { isServing: serving > 0, details: { workers, ...(disk && { disk: diskHealth(disk.disk) }) } };
  }

  get #serving(): number {
    return this.#workers.filter(({ addresses }) => addresses !== undefined).length;
  }

  /** Goes by the new config: workers that are new in it start, those beyond its number finish and end. */
  update(): void {
    this.#count = workersOf(this.#edge);
    this.#resize();
    for (const worker of this.#workers.splice(this.#count)) void this.#leave(worker);
    const region = this.#share;
    for (const worker of this.#workers) worker.send({ kind: 'reload', region });
    while (this.#workers.length < this.#count) {
      const worker = this.#make(this.#workers.length + 1);
      this.#workers.push(worker);
      worker.startAnew();
    }
  }

  /** Listening sockets of all workers. */
  readonly sockets = async (): Promise<readonly ListeningSocket[]> => {
    const answers = await Promise.all(this.#workers.map((worker) => worker.askSockets()));
    return answers.flatMap((answer) => answer ?? []);
  };

  /** Takes no more connections: another process does. */
  readonly retire = (): void => {
    for (const worker of this.#workers) worker.send({ kind: 'retire' });
  };

  async close(): Promise<void> {
    await Promise.all([...this.#workers, ...this.#leaving].map((worker) => worker.close()));
  }

  /** @returns Metrics of all workers in the Prometheus text format. */
  async metrics(): Promise<string> {
    // Each when it comes: one that ends while others are waited for has been told of by then, and counts once.
    await Promise.all(
      [...this.#workers, ...this.#leaving].map(async (worker) => {
        const answer = await worker.askMetrics();
        if (answer !== undefined) this.#metrics.onReply(worker, answer);
      }),
    );
    return `${await this.#metrics.text()}\n${await this.#own.metrics()}`;
  }

  get #edge(): EdgeConfig {
    const { config, name } = this.#options;
    const { edges, file } = config();
    const edge = edges.find((one) => one.name === name);
    if (edge === undefined) throw new Error(`${file} names no edge ${name}`);
    return edge;
  }

  /** `memory` of the edge. */
  get memoryBytes(): number {
    return memoryOf(this.#options.config(), this.#edge);
  }

  /** Gives the store of all workers the room that the config leaves for it. */
  #resize(): void {
    const { memory, disk } = this.#options;
    const asked = storeBytes(this.memoryBytes, {
      workers: this.#count,
      isSupervised: true,
      hasDisk: disk !== undefined,
    });
    memory.resize(asked, this.#count);
    warnOfLess(this.#options.log, asked, memory);
  }

  /** The config as a worker is to see it. */
  get #share(): RegionConfig {
    const { config, name } = this.#options;
    const region = shareOf(config(), this.#count);
    return this.#bound === undefined ? region : withAddresses(region, name, this.#bound);
  }

  #make(index: number): WorkerThread {
    const { config, name, log, tickets, relay, memory, disk, trust } = this.#options;
    const tokens = new Map<number, number>();
    const shareMemory = (thread: number): StartMessage['shared'] => {
      const token = memory.addThread();
      tokens.set(thread, token);
      return { buffers: memory.buffers, token };
    };
    const worker: WorkerThread = new WorkerThread({
      name: workerName(name, index),
      log,
      now: monotonicNow,
      output: this.#output,
      memoryBytes: () => this.memoryBytes / this.#count,
      starting: (thread, send) => ({
        region: this.#share,
        edge: name,
        worker: worker.name,
        worksOnJobs: index === 0,
        shared: shareMemory(thread),
        disk: disk?.threads.add(thread, send),
        purges: relay.add(thread, send),
        logLevel: log.level,
        ticketKeys: tickets.current,
        nodeTexts: trust.certificates?.texts,
        sockets: takeInherited(addressesOf(this.#edge)),
        certificates: certificatesOf(config(), this.#certificates),
      }),
      onEnded: (thread) => {
        const token = tokens.get(thread);
        if (token !== undefined) memory.ended(token);
        tokens.delete(thread);
        disk?.threads.ended(thread);
        relay.ended(thread);
        this.#metrics.ended(worker);
      },
      onMetrics: (metrics) => this.#metrics.onReply(worker, metrics),
      onTraffic: (traffic) => this.#options.onTraffic(traffic),
      onPurges: (thread, message) => relay.onMessage(thread, message),
      onDisk: (thread, message) => disk?.threads.onMessage(thread, message),
      onCertificate: (known) => {
        const others = certificatesOf(config(), this.#certificates).filter((one) => !isOfSameFiles(one, known));
        this.#certificates = [...others, known];
      },
    });
    return worker;
  }

  async #leave(worker: WorkerThread): Promise<void> {
    this.#restartsBefore += worker.restarts;
    this.#leaving.add(worker);
    await worker.close();
    this.#leaving.delete(worker);
  }
}

/** Addresses of an edge that its workers share. */
function addressesOf({ listen, listen_tls, tier }: EdgeConfig): string[] {
  return [listen, ...(listen_tls === undefined ? [] : [listen_tls]), tier];
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
