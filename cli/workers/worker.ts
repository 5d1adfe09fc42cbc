/**
 * The program of one worker of an edge: a thread, started by the edge's supervisor, which tells it everything it has to
 * know.
 * @module
 */
import { flushCompileCache } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import { type FromDisk, ThreadDisk } from '../../cache/disk/thread-disk.ts';
import { attach } from '../../cache/shared/shared-memory.ts';
import { SharedThreadFills } from '../../cache/shared/thread-fills.ts';
import type { EdgeNode, WorkerOptions } from '../../edge/node.ts';
import { inheritSockets, listeningSockets, retireSockets } from '../../http/listener/sockets.ts';
import { createLog, isLogLevel } from '../../telemetry/log.ts';
import type { SharedByThreads } from '../../tier/node-core.ts';
import { RelayedPurges, type ToPurgedThread } from '../../tier/purge-relay.ts';
import { watchThreadMemory } from '../../tier/thread-memory.ts';
import { startEdgeThread } from '../edge-thread.ts';
import { isSystemError } from '../failure.ts';
import {
  type FromWorker,
  type Metrics,
  type StartMessage,
  type ToWorker,
  TRAFFIC_MS,
  TURN_MS,
  type WorkerData,
} from './messages.ts';

if (parentPort === null) throw new TypeError('a worker is a thread of a process');
const port = parentPort;
const { start, turns, scarcity } = workerData as WorkerData;
const { region, edge: name, worker, logLevel, certificates, nodeTexts } = start;
const log = createLog({ name: worker, ...(isLogLevel(logLevel) && { level: logLevel }) });

setInterval(() => Atomics.add(turns, 0, 1), TURN_MS).unref();
watchThreadMemory(() => Atomics.load(scarcity, 0) === 1);

function send(message: FromWorker): void {
  port.postMessage(message);
}

inheritSockets(start.sockets);
const purges = new RelayedPurges(start.purges, send);

const disk = start.disk && new ThreadDisk(start.disk, send);

const shared: WorkerOptions = {
  name: worker,
  worksOnJobs: start.worksOnJobs,
  shared: openShared(start.shared),
  disk,
  follow: purges.follow,
  ticketKeys: Buffer.from(start.ticketKeys),
  nodeTexts,
  certificates,
  onCertificate: (known) => send({ kind: 'certificate', known }),
};

function openShared({ buffers, token }: StartMessage['shared']): SharedByThreads {
  const store = attach(buffers, token);
  return { store, fills: new SharedThreadFills(store, token) };
}

/** Messages are kept until there is a node for them: one may come while it starts. */
const started = startNode();
port.on('message', (message: ToWorker) => {
  // Purges count before the first request does.
  if (message.kind === 'change' || message.kind === 'purged') purges.onMessage(message);
  else if (message.kind === 'disk') disk?.onMessage(message);
  else void started.then((node) => node && onMessage(node, message));
});

async function startNode(): Promise<EdgeNode | undefined> {
  try {
    const edge = region.edges.find((one) => one.name === name);
    if (edge === undefined) throw new TypeError(`no edge ${name}`);
    const node = await startEdgeThread({ region, edge, log, worker: shared });
    const { listen, listen_tls, tier } = node.addresses;
    flushCompileCache();
    send({ kind: 'ready', addresses: { listen, listen_tls, tier } });
    setInterval(() => {
      const traffic = node.core.traffic();
      if (traffic !== undefined) send({ kind: 'traffic', traffic });
    }, TRAFFIC_MS).unref();
    return node;
  } catch (error) {
    send(failure(error));
    process.exit(1);
  }
}

function failure(error: unknown): FromWorker {
  const { message, stack } = error as Error;
  if (!isSystemError(error)) return { kind: 'failed', message: stack ?? message };
  const { code, syscall } = error;
  const { address, port } = error as { address?: string; port?: number };
  return { kind: 'failed', message, code, syscall, address, port };
}

async function onMessage(node: EdgeNode, message: Exclude<ToWorker, ToPurgedThread | FromDisk>): Promise<void> {
  switch (message.kind) {
    case 'reload':
      node.reload(message.region);
      break;
    case 'tickets':
      node.setTicketKeys(Buffer.from(message.keys));
      break;
    case 'ask':
      send({
        kind: 'answer',
        id: message.id,
        answer: message.about === 'sockets' ? listeningSockets() : await metricsOf(node),
      });
      break;
    case 'retire':
      retireSockets();
      break;
    case 'close':
      log.info('stopping: draining requests in flight');
      await node.close();
      send({ kind: 'metrics', metrics: await metricsOf(node) });
      process.exit(0);
  }
}

async function metricsOf({ core }: Pick<EdgeNode, 'core'>): Promise<Metrics> {
  return (await core.metrics.registry.getMetricsAsJSON()) as Metrics;
}
