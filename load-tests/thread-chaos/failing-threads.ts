/**
 * An edge whose threads fail while visitors ask it.
 * @module
 */
import { createHash } from 'node:crypto';
import { Agent, get, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { Accepted } from '../../test/support/thread-faults.ts';
import { startEdgeWithFaults } from './edge.ts';
import { bodyOf, isLongLived, startChaosOrigin } from './origin.ts';

export interface ChaosOptions {
  readonly seconds: number;
  readonly workers: number;
  /** From 0 to below 1. */
  readonly random: () => number;
}

export type Outcome = Readonly<
  Record<
    | 'answers'
    | 'faults'
    | 'threads replaced'
    | 'wrong bodies'
    | 'answers lost with their thread'
    | 'answers lost before a thread took the connection'
    | 'answers lost elsewhere'
    | 'stored objects lost'
    | 'requests at the origin',
    number
  >
>;

const VISITORS = 24;
const PATHS = 200;
const FAULTS = ['terminate', 'throw', 'heap', 'hang'] as const;
/** Longer than a hung thread goes on. */
const SETTLE_MS = 10_000;

interface Loss {
  /** Port of the visitor's end. */
  readonly port: number | undefined;
  readonly error: string;
  /** Milliseconds since the epoch: its socket was made, the answer was lost. */
  readonly began: number;
  readonly lost: number;
}

/**
 * @param connections At all ports of the edge: its threads take connections from each other as well, from ports that
 * visitors may have at the same time.
 * @returns The thread that took the connection on which an answer was lost, or undefined if none did.
 */
export function threadOf(loss: Loss, edgePort: number, connections: readonly Accepted[]): number | undefined {
  const { port, began, lost } = loss;
  const took = (one: Accepted): boolean =>
    one.port === edgePort && one.remotePort === port && began <= one.time && one.time <= lost;
  return connections.findLast(took)?.thread;
}

export async function chaos({ seconds, workers, random }: ChaosOptions): Promise<Outcome> {
  const origin = await startChaosOrigin();
  const edge = await startEdgeWithFaults(origin.url, workers);
  const losses: Loss[] = [];
  /** Time at which each path was first answered from the store. */
  const stored = new Map<string, number>();
  let answers = 0;
  let wrong = 0;
  let isOver = false;
  const visit = async (): Promise<void> => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (!isOver) {
      const path = `/${Math.floor(random() * PATHS)}`;
      const answer = await ask(edge.address, path, agent);
      if ('error' in answer) losses.push(answer);
      else if (answer.status !== 200 || answer.digest !== digestOf(bodyOf(path))) wrong++;
      else {
        answers++;
        if (answer.isHit && !stored.has(path)) stored.set(path, performance.now());
      }
    }
    agent.destroy();
  };
  const visitors = Array.from({ length: VISITORS }, visit);
  let faults = 0;
  const failing = new Set<number>();
  for (const end = performance.now() + seconds * 1_000; performance.now() < end; ) {
    await wait(200 + random() * 800);
    const threads = (await edge.threads()).filter((thread) => thread !== undefined && !failing.has(thread));
    // One always goes on: it is the one that answers the visitors of the others.
    if (threads.length < 2) continue;
    const thread = threads[Math.floor(random() * threads.length)] as number;
    failing.add(thread);
    await edge.cause(thread, FAULTS[Math.floor(random() * FAULTS.length)] as (typeof FAULTS)[number]);
    faults++;
  }
  isOver = true;
  await Promise.all(visitors);
  // Visitors hear of the end of a thread before the main thread does.
  do await wait(SETTLE_MS);
  while ((await edge.threads()).length < workers);
  const [connections, ended, replaced] = await Promise.all([edge.connections(), edge.ended(), edge.restarts()]);
  const edgePort = Number(edge.address.split(':').at(-1));
  const kinds = losses.map((loss) => {
    const thread = threadOf(loss, edgePort, connections);
    if (thread === undefined) return 'unaccepted';
    return ended.has(thread) ? 'ended' : 'elsewhere';
  });
  const count = (kind: string): number => kinds.filter((one) => one === kind).length;
  for (const [index, kind] of kinds.entries()) {
    if (kind === 'elsewhere') console.error(`lost: ${JSON.stringify(losses[index])}`);
  }
  await edge.close();
  const outcome: Outcome = {
    answers,
    faults,
    'threads replaced': replaced,
    'wrong bodies': wrong,
    'answers lost with their thread': count('ended'),
    'answers lost before a thread took the connection': count('unaccepted'),
    'answers lost elsewhere': count('elsewhere'),
    'stored objects lost': origin.requests.filter(
      ({ path, at }) => isLongLived(path) && at > (stored.get(path) ?? Number.POSITIVE_INFINITY),
    ).length,
    'requests at the origin': origin.requests.length,
  };
  await origin.close();
  return outcome;
}

type Answer = { readonly status: number; readonly digest: string; readonly isHit: boolean } | Loss;

/** Milliseconds since the epoch at which each socket was made, and the port that it got. */
const sockets = new WeakMap<Socket, { readonly began: number; port: number | undefined }>();

/** Never rejects. */
async function ask(address: string, path: string, agent: Agent): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>();
  const began = Date.now();
  let socket: Socket | undefined;
  const lost = ({ message }: Error): void => {
    const made = socket && sockets.get(socket);
    resolve({ port: made?.port, began: made?.began ?? began, lost: Date.now(), error: message });
  };
  const sent = get(`http://${address}${path}`, { agent }, (response: IncomingMessage) => {
    const hash = createHash('sha256');
    response.on('data', (chunk: Buffer) => hash.update(chunk));
    response.once('error', lost);
    const isHit = String(response.headers['cache-status']).includes('; hit');
    response.once('end', () => resolve({ status: response.statusCode ?? 0, digest: hash.digest('hex'), isHit }));
  });
  sent.once('socket', (own) => {
    socket = own;
    if (sockets.has(own)) return;
    const made = { began, port: own.localPort };
    sockets.set(own, made);
    own.once('connect', () => {
      made.port = own.localPort;
    });
  });
  sent.once('error', lost);
  return promise;
}

const digests = new Map<string, string>();

function digestOf(body: Buffer): string {
  const name = body.subarray(0, 32).toString();
  const known = digests.get(name) ?? createHash('sha256').update(body).digest('hex');
  digests.set(name, known);
  return known;
}
