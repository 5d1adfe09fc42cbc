/**
 * Loaded into a Seawall process with `--import`: measures its event loop and its
 * memory from inside, and answers on a socket in the folder that
 * `SEAWALL_BENCH_WATCH` names. It has no part in what the process does.
 * @module
 */
import { createServer } from 'node:net';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createInterface } from 'node:readline';

/** A line to the socket: `reset` begins a new histogram, `collect` has garbage collected first. */
export type Question = 'read' | 'reset' | 'collect';

export interface Inside {
  readonly stallMaxMillis: number;
  readonly stallP99Millis: number;
  /** What is alive, after a collection: heap and what buffers hold outside of it. */
  readonly liveBytes: number;
  readonly residentBytes: number;
}

const RESOLUTION_MS = 1;

const folder = process.env['SEAWALL_BENCH_WATCH'];
if (folder !== undefined) {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delays.enable();
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy()); // whoever asked has gone
    createInterface({ input: socket }).on('line', (question) => {
      if (question === 'collect') globalThis.gc?.();
      const { heapUsed, external, rss } = process.memoryUsage();
      const inside: Inside = {
        // It notes the time from one tick of a timer to the next, the timer's own interval included.
        stallMaxMillis: Math.max(0, delays.max / 1e6 - RESOLUTION_MS),
        stallP99Millis: Math.max(0, delays.percentile(99) / 1e6 - RESOLUTION_MS),
        liveBytes: heapUsed + external,
        residentBytes: rss,
      };
      socket.write(`${JSON.stringify(inside)}\n`);
      if (question !== 'read') delays.reset();
    });
  });
  server.listen(join(folder, `${process.pid}.sock`));
  server.unref();
}
