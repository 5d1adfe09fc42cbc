/**
 * Faults of the threads of a real program, for tests: loaded with `--import` before the program, and so in each of its
 * threads. The main thread takes orders at a socket; a thread is asked by its number over a channel, or ended by the
 * main thread.
 * @module
 */
import { subscribe } from 'node:diagnostics_channel';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { BroadcastChannel, isMainThread, threadId, type Worker } from 'node:worker_threads';

/** Path of the socket, in the environment of the program. */
export const FAULTS_SOCKET = 'SEAWALL_TEST_FAULTS';

/**
 * `hang`: its event loop stands still. `throw`: an error that nothing catches. `heap`: it allocates without end.
 * `terminate`: it is ended from outside.
 */
export type ThreadFault = 'hang' | 'throw' | 'heap' | 'terminate';

/** A connection that a thread took. */
export interface Accepted {
  /** Ports of both ends: of the server, and of the other one. */
  readonly port: number;
  readonly remotePort: number;
  readonly thread: number;
  /** Milliseconds since the epoch. A port may be used again later. */
  readonly time: number;
}

interface Order {
  readonly thread: number;
  readonly fault: ThreadFault;
}

const CHANNEL = 'faults';
const CONNECTIONS = 'connections';

function suffer(fault: ThreadFault): void {
  if (fault === 'throw') setImmediate(() => Promise.reject(new Error('a fault that a test asked for')));
  if (fault === 'heap') for (const held: object[] = []; ; ) held.push({ length: held.length });
  if (fault === 'hang') for (;;);
}

const path = process.env[FAULTS_SOCKET];
if (path !== undefined) {
  const channel = new BroadcastChannel(CHANNEL);
  channel.unref();
  if (isMainThread) {
    const workers = new Map<number, Worker>();
    const connections: Accepted[] = [];
    const accepted = new BroadcastChannel(CONNECTIONS);
    accepted.unref();
    accepted.onmessage = (event: unknown) => {
      connections.push((event as { readonly data: Accepted }).data);
    };
    process.on('worker', (worker) => {
      const { threadId: thread } = worker;
      workers.set(thread, worker);
      worker.once('exit', () => workers.delete(thread));
    });
    const server = createServer(async (request, response) => {
      if (request.method === 'GET') {
        response.end(JSON.stringify(connections));
        return;
      }
      const order = JSON.parse(await text(request)) as Order;
      if (order.fault === 'terminate') void workers.get(order.thread)?.terminate();
      else channel.postMessage(order);
      response.end();
    }).listen(path);
    server.unref();
  } else {
    const accepted = new BroadcastChannel(CONNECTIONS);
    accepted.unref();
    subscribe('net.server.socket', (message) => {
      const { localPort = 0, remotePort = 0 } = (message as { readonly socket: Socket }).socket;
      accepted.postMessage({ port: localPort, remotePort, thread: threadId, time: Date.now() } satisfies Accepted);
    });
    channel.onmessage = (event: unknown) => {
      const { thread, fault } = (event as { readonly data: Order }).data;
      if (thread === threadId) suffer(fault);
    };
  }
}
