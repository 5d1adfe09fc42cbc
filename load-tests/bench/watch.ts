/**
 * Loaded into a Seawall process with `--import`: measures its event loop and its
 * memory from inside, and answers on a socket in the folder that
 * `SEAWALL_BENCH_WATCH` names. It has no part in what the process does.
 * @module
 */
import { createServer } from 'node:net';
import { join } from 'node:path';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';

/** A line to the socket: `reset` begins a new histogram, `collect` has garbage collected first. */
export type Question = 'read' | 'reset' | 'collect';

export interface Inside {
  readonly stallMaxMillis: number;
  readonly stallP99Millis: number;
  /**
   * Processor time of the main thread itself in the longest turn; in the rest of it, other threads and processes had
   * the core.
   */
  readonly stallOwnMillis: number;
  /** Live bytes after a garbage collection: heap and external buffers. */
  readonly liveBytes: number;
  readonly residentBytes: number;
}

const RESOLUTION_MS = 1;

const folder = process.env['SEAWALL_BENCH_WATCH'];
if (folder !== undefined) {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delays.enable();
  let longest = { elapsedMillis: 0, ownMillis: 0 };
  let last = { at: performance.now(), ownMillis: ownMillis() };
  setInterval(() => {
    const now = { at: performance.now(), ownMillis: ownMillis() };
    const elapsedMillis = now.at - last.at;
    if (elapsedMillis > longest.elapsedMillis) longest = { elapsedMillis, ownMillis: now.ownMillis - last.ownMillis };
    last = now;
  }, RESOLUTION_MS).unref();
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy()); // the client has gone
    createInterface({ input: socket }).on('line', (question) => {
      if (question === 'collect') globalThis.gc?.();
      const { heapUsed, external, rss } = process.memoryUsage();
      const inside: Inside = {
        // It notes the time from one tick of a timer to the next, the timer's own interval included.
        stallMaxMillis: Math.max(0, delays.max / 1e6 - RESOLUTION_MS),
        stallP99Millis: Math.max(0, delays.percentile(99) / 1e6 - RESOLUTION_MS),
        stallOwnMillis: longest.ownMillis,
        liveBytes: heapUsed + external,
        residentBytes: rss,
      };
      socket.write(`${JSON.stringify(inside)}\n`);
      if (question === 'read') return;
      delays.reset();
      longest = { elapsedMillis: 0, ownMillis: 0 };
    });
  });
  server.listen(join(folder, `${process.pid}.sock`));
  server.unref();
}

function ownMillis(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1e3;
}
