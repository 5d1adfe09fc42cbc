/**
 * Origin of `npm run bench:overload`, in a process of its own: an application that answers most requests with some of
 * them at a time, and ever fewer with more, as one does whose requests wait for each other's memory and locks.
 * @module
 */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Capacity of the application. */
export interface Capacity {
  /** Requests a second. */
  readonly perSecond: number;
  /** Number of requests at a time with which it answers as many. */
  readonly best: number;
  /** Share of the requests that as many more at a time cost. */
  readonly cost: number;
}

const STEP_MS = 4;
const PAGE = Buffer.alloc(2_000, 'page ');

function serve({ perSecond, best, cost }: Capacity): void {
  const working = new Set<{ left: number; readonly response: ServerResponse }>();
  let answered = 0;
  let before = performance.now();
  setInterval(() => {
    const now = performance.now();
    const seconds = (now - before) / 1_000;
    before = now;
    const count = working.size;
    const rate = count <= best ? (perSecond * count) / best : perSecond / (1 + ((count - best) / best) * cost);
    for (const one of working) {
      one.left -= (rate * seconds) / count;
      if (one.left > 0) continue;
      working.delete(one);
      answered++;
      one.response.writeHead(200, { 'Content-Length': PAGE.length, 'Cache-Control': 'max-age=3600' }).end(PAGE);
    }
  }, STEP_MS);
  // One whose client has gone works on, as applications do.
  const server = createServer({ keepAliveTimeout: 60_000 }, (_request, response) => {
    working.add({ left: -Math.log(1 - Math.random()), response });
  });
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, () => {
    process.send?.({ port: (server.address() as AddressInfo).port });
  });
  process.on('message', () => process.send?.({ answered, inFlight: working.size }));
}

process.once('message', serve);
process.on('disconnect', () => process.exit());
