/**
 * An edge of several threads, as one node: starts the workers, follows the journal of purges for all of them, and
 * answers operators. It is not on a request's path; what it holds, in the main thread, is the control listener.
 * @module
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { Registry } from 'prom-client';
import { KeyFilter } from '../../cache/disk/key-filter.ts';
import { ThreadChanges, ThreadDisks } from '../../cache/disk/thread-disk.ts';
import { attach, createSharedMemory, type SupervisedMemory } from '../../cache/shared/shared-memory.ts';
import { MAX_THREADS } from '../../cache/shared/threads.ts';
import { splitAddress } from '../../config/listener.ts';
import type { DiskConfig, EdgeConfig, RegionConfig } from '../../config/schema.ts';
import { memoryOf } from '../../config/workers.ts';
import { countInherited } from '../../http/listener/sockets.ts';
import { TicketKeys } from '../../http/listener/tls.ts';
import { checkNodeInternals } from '../../http/node-internals/checks.ts';
import type { NodeCondition } from '../../journal/wire.ts';
import { wallNow } from '../../lib/clock.ts';
import { Components, CurrentConfig } from '../../lib/components.ts';
import { CONTROL_LIFETIME, listenForControl } from '../../telemetry/control-listener.ts';
import type { Logger } from '../../telemetry/log.ts';
import { openNodeTrust } from '../../telemetry/node-certificates.ts';
import { diskIndexBytes, diskState, type NodeDisk, openNodeDisk } from '../../tier/node-disk.ts';
import { storeBytes } from '../../tier/process-memory.ts';
import { PurgeRelay } from '../../tier/purge-relay.ts';
import { followPurges } from '../../tier/purges.ts';
import { boundMemory } from '../process-memory.ts';
import { type OwnJournal, startOwnJournal, withJournal } from './journal.ts';
import type { WorkerAddresses } from './messages.ts';
import { ThreadTraffic } from './traffic.ts';
import { WorkerGroup, type WorkerState } from './worker-group.ts';

export interface WorkersOptions {
  readonly region: RegionConfig;
  readonly edge: EdgeConfig;
  /** At least two. */
  readonly count: number;
  readonly log: Logger;
}

export interface RunningWorkers {
  readonly name: string;
  readonly addresses: WorkerAddresses & { readonly control: string | undefined };
  readonly workers: readonly WorkerState[];
  readonly threads: Pick<WorkerGroup, 'sockets' | 'retire'>;
  /** Closes what only one process may use: disks, and the journal beside them. */
  release(): Promise<void>;
  reload(region: RegionConfig): void;
  close(): Promise<void>;
}

/** @throws What the first worker that cannot start fails with, such as `EADDRINUSE`; nothing runs then. */
export async function startWorkers(options: WorkersOptions): Promise<RunningWorkers> {
  const { region, edge, count, log } = options;
  const { name } = edge;
  // Workers share an address with any program that shares it, such as another edge that was started by mistake.
  // The control listener opens last: a port that is taken should be known before workers start.
  for (const address of [edge.listen, edge.listen_tls, edge.tier, edge.control]) await checkFree(address);
  await checkNodeInternals(log);
  const components = new Components<RegionConfig>();
  const config = await components.start('config', () => new CurrentConfig(region));
  const tickets = await components.start('tickets', () => new TicketKeys(), { close: (part) => part.close() });
  const journal = await components.start(
    'journal',
    () => startOwnJournal({ region, edge, current: () => config.value, log }),
    { close: (part: OwnJournal | undefined) => part?.close() },
  );
  const trust = await components.start('node certificates', () => openNodeTrust({ region, name, role: 'edge', log }), {
    update: (part, next) => part.update(next),
    close: (part) => part.close(),
  });
  const { certificates } = trust;
  const relay = new PurgeRelay();
  /** Once they are open: the journal is followed before. */
  let stores: Stores | undefined;
  const condition = (): NodeCondition => ({ workers: count, ...(stores && storesState(stores)) });
  const traffic = new ThreadTraffic();
  const purging = await components.start(
    'purging',
    () =>
      relay.start((node) =>
        followPurges(
          { ...node, member: name, role: 'edge', log, certificates, condition, traffic: () => traffic.take() },
          withJournal(region, journal),
        ),
      ),
    { update: (part, next) => part.reload(withJournal(next, journal)), close: (part) => part.close() },
  );
  const memory = await components.start('memory', () => openMemory(options), { close: () => undefined });
  const disk =
    edge.disk === undefined
      ? undefined
      : await components.start('disk', () => openDisk(options, edge.disk as DiskConfig, memory, relay), {
          update: (part, next) => part.update(next.edges.find((other) => other.name === name)?.disk),
          close: (part) => part.close(),
        });
  stores = { memory, disk };
  const group = await components.start(
    'workers',
    () =>
      WorkerGroup.start({
        config: () => config.value,
        name,
        count,
        log,
        tickets,
        relay,
        memory,
        disk,
        trust,
        onTraffic: (part) => traffic.add(part),
      }),
    { update: (part) => part.update(), close: (part) => part.close() },
  );
  await components.start('bound of memory', () => boundMemory({ memoryBytes: () => group.memoryBytes }), {
    close: (end) => end(),
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
                hosts: () => config.value.control_hosts,
                health: () => group.health,
                registry: { contentType: Registry.PROMETHEUS_CONTENT_TYPE, metrics: () => group.metrics() },
              }),
    },
    CONTROL_LIFETIME,
  );
  const { listen, listen_tls, tier } = group.addresses;
  return {
    name,
    addresses: { listen, listen_tls, tier, control: control?.address },
    get workers() {
      return group.states;
    },
    threads: group,
    async release() {
      purging.release();
      await disk?.close();
      await journal?.close();
    },
    reload: (next) => components.update(next),
    close: () => components.close(),
  };
}

/** Makes the memory of the workers' store, with the room that the config leaves for it. */
function openMemory({ region, edge, count }: WorkersOptions): SupervisedMemory {
  const maxBytes = memoryOf(region, edge);
  const memory = createSharedMemory({ maxBytes, threads: MAX_THREADS });
  const shape = { workers: count, isSupervised: true, hasDisk: edge.disk !== undefined };
  memory.resize(storeBytes(maxBytes, shape), count);
  return memory;
}

interface Stores {
  readonly memory: SupervisedMemory;
  readonly disk: NodeDisk | undefined;
}

function storesState({ memory: { bytesInUse: used, maxBytes: size }, disk }: Stores): NodeCondition {
  return { memory: { used, size }, ...(disk && { disk: diskState(disk.disk) }) };
}

interface SharedDisk extends NodeDisk {
  readonly threads: ThreadDisks;
}

/** Opens the disk in this thread, for all workers. @throws {ConfigError} when another process uses the folder. */
async function openDisk(
  { region, log }: WorkersOptions,
  config: DiskConfig,
  memory: SupervisedMemory,
  { ledger }: PurgeRelay,
): Promise<SharedDisk> {
  const store = attach(memory.buffers, memory.addThread());
  const changes = new ThreadChanges();
  const filter = KeyFilter.make(diskIndexBytes(memory.maxBytes));
  const owner = { log, store, ledger, now: wallNow, changes: (key: string) => changes.of(key), filter };
  const opened = await openNodeDisk(owner, region, config);
  return { ...opened, threads: new ThreadDisks({ disk: opened.disk, store, changes, filter }) };
}

/** @throws The system's error when the address is in use. */
async function checkFree(address: string | undefined): Promise<void> {
  if (address === undefined || countInherited(address) > 0) return;
  const { host, port } = splitAddress(address);
  if (port === 0) return;
  const server = createServer().listen({ host, port });
  await once(server, 'listening'); // or throws what 'error' brings
  await once(server.close(), 'close');
}
