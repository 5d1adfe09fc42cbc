/**
 * The program of one worker of an edge: started by the edge's supervisor, which
 * tells it everything it has to know.
 * @module
 */
import '../ignored-signals.ts';
import { once } from 'node:events';
import type { RegionConfig } from '../../config/schema.ts';
import type { EdgeNode, WorkerOptions } from '../../edge/node.ts';
import { monotonicNow } from '../../lib/clock.ts';
import { createLog, isLogLevel } from '../../telemetry/log.ts';
import { countMatches } from '../../tier/dry-run.ts';
import { startEdgeProcess } from '../edge-process.ts';
import { isSystemError } from '../failure.ts';
import { closeLimitMs } from '../run.ts';
import { runUntilStopped, type Service } from '../signals.ts';
import { ALIVE_MS, type FromWorker, type Metrics, type Question, type ToWorker } from './messages.ts';

function send(message: FromWorker): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  // Without a supervisor there is no receiver; its end is noticed elsewhere.
  if (process.send === undefined || !process.connected) resolve();
  else process.send(message, undefined, undefined, () => resolve());
  return promise;
}

process.stdout.on('error', () => undefined); // the supervisor is gone: it hears of that elsewhere

const [first] = (await once(process, 'message')) as [ToWorker];
if (first.kind !== 'start') throw new TypeError('the first message has to be `start`');
const { edge: name, worker, logLevel, certificates } = first;
const ticketKeys = Buffer.from(first.ticketKeys);
let { region } = first;
const log = createLog({ name: worker.split('/')[0] as string, ...(isLogLevel(logLevel) && { level: logLevel }) });

const shared: WorkerOptions = {
  name: worker,
  ticketKeys,
  certificates,
  onCertificate: (known) => void send({ kind: 'certificate', known }),
};

async function start(): Promise<Service> {
  const edge = region.edges.find((one) => one.name === name);
  if (edge === undefined) throw new TypeError(`no edge ${name}`);
  let node: EdgeNode;
  try {
    node = await startEdgeProcess({ region, edge, log, worker: shared });
  } catch (error) {
    await fail(error);
    throw error;
  }
  process.on('message', (message: ToWorker) => void onMessage(node, message));
  const { listen, listen_tls, tier, worker: own = '' } = node.addresses;
  await send({ kind: 'ready', addresses: { listen, listen_tls, tier, worker: own } });
  setInterval(() => void send({ kind: 'alive' }), ALIVE_MS).unref();
  return {
    get closeLimitMs() {
      return closeLimitMs([region]);
    },
    reload: () => undefined, // the supervisor reads the config, and tells
    close: () => node.close(),
  };
}

async function fail(error: unknown): Promise<void> {
  const { message } = error as Error;
  if (!isSystemError(error)) {
    await send({ kind: 'failed', message: (error as Error).stack ?? message });
    return;
  }
  const { code, syscall } = error;
  const { address, port } = error as { address?: string; port?: number };
  await send({ kind: 'failed', message, code, syscall, address, port });
}

async function onMessage(node: EdgeNode, message: ToWorker): Promise<void> {
  switch (message.kind) {
    case 'reload':
      region = message.region as RegionConfig;
      node.reload(region);
      break;
    case 'workers':
      node.setWorkers(message.all);
      break;
    case 'tickets':
      node.setTicketKeys(Buffer.from(message.keys));
      break;
    case 'ask':
      await send({ kind: 'answer', id: message.id, answer: await answer(node, message.question) });
      break;
    case 'start':
      break;
  }
}

async function answer({ core }: EdgeNode, question: Question): Promise<Metrics | number> {
  if (question.about === 'matches') return countMatches(core, question.records);
  return (await core.metrics.registry.getMetricsAsJSON()) as Metrics;
}

try {
  process.exit(await runUntilStopped(start, { process, exit: process.exit, log, now: monotonicNow }));
} catch {
  process.exit(1); // the supervisor knows why
}
