/**
 * Server of `npm run bench:shared`: the HTTP/1.1 front in one or more threads, each with a listener at the same port
 * (SO_REUSEPORT), that answers GET requests from one kind of store.
 * @module
 */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { PerformanceObserver } from 'node:perf_hooks';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { makeSharedMemory, type SharedMemory } from '../../cache/shared/layout.ts';
import { SharedStore } from '../../cache/shared/shared-store.ts';
import { KeyBytes } from '../../cache/store/key-bytes.ts';
import type { LimitsConfig } from '../../config/schema.ts';
import { Recogniser } from '../../http/http1/recogniser.ts';
import { Http1Server } from '../../http/http1/server.ts';
import type { PreparedSink } from '../../http/prepared-delivery.ts';
import { fill, ORIGIN, type Pauses, payloadOf, type ServerOptions, TARGET } from './objects.ts';

interface ThreadData extends ServerOptions {
  readonly memory: SharedMemory;
  readonly token: number;
}

const MEMORY_BYTES = 128 * 1024 * 1024;
const PREFIX = Buffer.from(ORIGIN);
const NO_BYTES = Buffer.alloc(0);

const LIMITS = {
  header_timeout: 60_000,
  keep_alive_timeout: 60_000,
  write_timeout: 60_000,
  drain_timeout: 1_000,
  max_header: 16_384,
  max_headers: 100,
} as LimitsConfig;

/** Answers a request. @returns False if its object is not there. */
type Answer = (sink: PreparedSink, key: KeyBytes) => boolean;

function answerBy({ way, memory, token, objects }: ThreadData): Answer {
  if (way === 'private') {
    // The cheapest store there is: the answers as they are sent, found by the hash of their key.
    const own = new Map<number, Buffer>();
    const key = new KeyBytes();
    for (let i = 0; i < objects; i++) own.set(key.set(PREFIX + TARGET + i).hash, Buffer.from(payloadOf(i)));
    return (sink, { hash }) => {
      const bytes = own.get(hash);
      if (bytes !== undefined) sink.sendPrepared(bytes, 0);
      return bytes !== undefined;
    };
  }
  const store = new SharedStore(memory, token);
  return (sink, key) => {
    const [stored] = store.get(key);
    if (stored === undefined) return false;
    // As the edge keeps what it has prepared of a response: on the object that the store has decoded.
    if (!(stored.prepared instanceof Buffer)) {
      stored.prepared = stored.body.open({ start: 0, end: stored.length }).next() as Buffer;
    }
    sink.sendPrepared(stored.prepared as Buffer, 0);
    return true;
  };
}

async function serve(data: ThreadData): Promise<void> {
  const answer = answerBy(data);
  const key = new KeyBytes();
  const recogniser = new Recogniser({ maxBytes: 16_384, maxLines: 100 });
  const http1 = new Http1Server({
    recogniser: () => recogniser,
    limits: () => LIMITS,
    isPrepared: true,
    onRequest: (exchange) => {
      const sink = exchange.prepared;
      const target = sink?.targetBytes;
      if (target?.bytes === undefined) key.set(PREFIX + exchange.target);
      else key.join(PREFIX, target.bytes, target.targetFrom, target.targetTo, NO_BYTES);
      if (sink === undefined || !answer(sink, key)) exchange.abort();
    },
  });
  const refuse = (socket: Socket): void => void socket.destroy();
  const server = createServer({ noDelay: true }, (socket) => {
    http1.accept(socket, { handOff: refuse, reject: refuse });
  });
  let pauses: Pauses = { collections: 0, totalMs: 0, longestMs: 0 };
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      const { collections, totalMs, longestMs } = pauses;
      const longest = Math.max(longestMs, duration);
      pauses = { collections: collections + 1, totalMs: totalMs + duration, longestMs: longest };
    }
  }).observe({ entryTypes: ['gc'] });
  parentPort?.on('message', () => parentPort?.postMessage(pauses));
  server.listen({ port: data.port, host: '127.0.0.1', backlog: 4_096, reusePort: true });
  await once(server, 'listening');
  parentPort?.postMessage('listening');
}

async function supervise(options: ServerOptions): Promise<void> {
  const memory = makeSharedMemory({ maxBytes: MEMORY_BYTES, threads: options.threads + 1 });
  const supervisor = SharedStore.supervise(memory, MEMORY_BYTES);
  if (options.way !== 'private') {
    const filler = new SharedStore(memory, supervisor.addThread());
    for (let i = 0; i < options.objects; i++) fill(filler, i);
    if (filler.size !== options.objects) throw new Error(`${filler.size} of ${options.objects} objects are stored`);
  }
  const workers = Array.from({ length: options.threads }, () => {
    const data: ThreadData = { ...options, memory, token: supervisor.addThread() };
    return new Worker(new URL(import.meta.url), { workerData: data });
  });
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  process.stdout.write('ready\n');
  process.stdin.on('data', () => {
    const asked = workers.map(async (worker) => {
      worker.postMessage('pauses');
      return ((await once(worker, 'message')) as [Pauses])[0];
    });
    void Promise.all(asked).then((all) => process.stdout.write(`${JSON.stringify(all)}\n`));
  });
}

if (isMainThread) await supervise(JSON.parse(process.argv[2] ?? '') as ServerOptions);
else await serve(workerData as ThreadData);
