/**
 * Visitors of `npm run bench:overload`, in a process of their own. They come at their rate, however long the answers
 * take, each from the next of the addresses, and leave when their patience is over.
 * @module
 */
import { Agent, type IncomingMessage, request } from 'node:http';
import { performance } from 'node:perf_hooks';

export interface Visits {
  readonly port: number;
  /** Requests a second. */
  readonly rate: number;
  readonly addresses: readonly string[];
  readonly patienceMs: number;
  /** Path of all requests; absent: each has a page of its own, under this name. */
  readonly page?: string;
  readonly pages: string;
}

/** Numbers of requests by what became of them. */
export interface Outcome {
  readonly waitsMs: number[];
  refused: number;
  left: number;
  failed: number;
}

const STEP_MS = 5;

let outcome: Outcome = { waitsMs: [], refused: 0, left: 0, failed: 0 };
let sent = 0;

function visit({ port, addresses, patienceMs, page, pages }: Visits, agents: readonly Agent[]): void {
  const number = sent++;
  const began = performance.now();
  const localAddress = addresses[number % addresses.length] as string;
  const visited = request({
    port,
    host: '127.0.0.1',
    localAddress,
    agent: agents[number % addresses.length] as Agent,
    path: page ?? `/${pages}/${number}`,
    headers: { Host: 'overload.test', ...(number % 3 === 0 && { 'Sec-Fetch-Mode': 'navigate' }) },
  });
  let isOver = false;
  const end = (count: () => void): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(patience);
    count();
  };
  const patience = setTimeout(() => {
    end(() => outcome.left++);
    visited.destroy();
  }, patienceMs);
  visited.on('error', () => end(() => outcome.failed++));
  visited.once('response', (response: IncomingMessage) => {
    response.resume();
    response.once('end', () => {
      const { statusCode } = response;
      if (statusCode === 200) end(() => void outcome.waitsMs.push(performance.now() - began));
      else end(() => outcome[statusCode === 503 ? 'refused' : 'failed']++);
    });
    response.once('error', () => end(() => outcome.failed++));
  });
  visited.end();
}

process.once('message', (visits: Visits) => {
  const agents = visits.addresses.map(() => new Agent({ keepAlive: true, scheduling: 'lifo' }));
  let due = 0;
  let before = performance.now();
  setInterval(() => {
    const now = performance.now();
    due += (visits.rate * (now - before)) / 1_000;
    before = now;
    for (; due >= 1; due--) visit(visits, agents);
  }, STEP_MS);
  // What was counted since it was asked last.
  process.on('message', () => {
    process.send?.(outcome);
    outcome = { waitsMs: [], refused: 0, left: 0, failed: 0 };
  });
});
process.on('disconnect', () => process.exit());
