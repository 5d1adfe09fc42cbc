/** Connections that do little: idle ones, slow ones. @module */
import { setTimeout as sleep } from 'node:timers/promises';
import { openFileLimit } from '../../herd/processes.ts';
import { BenchError } from '../errors.ts';
import { missing, pace } from '../loads.ts';
import { whileUsed } from '../measure.ts';
import { usageOf } from '../proc.ts';
import { BROWSER, headOf, KILOBYTE, objectPath, TEN_MEGABYTES } from '../requests.ts';
import type { Scenario } from '../scenario.ts';
import { fill } from '../stage.ts';
import { startIdle, startSlow } from '../visitors.ts';

/** Time for a server to settle before its memory is read. */
const SETTLE_MS = 2_000;

/** Files besides connections. */
const SPARE_FILES = 300;

const SLOW = { connections: 64, bytesPerSecond: 1_000_000 };

/** Visitors who are not slow, while others are. */
const QUICK = { rate: 500, connections: 16 };

export const idle: Scenario = {
  name: 'idle',
  title: 'Idle keep-alive connections',
  about:
    'Connections that have asked once and stay open: how much the resident memory of the server’s processes grows for each. What the kernel keeps for a socket comes on top, and is the same for all.',
  primary: 'bytesPerConnection',
  metrics: ['connections'],
  setup: { name: 'idle', memoryMebibytes: 256 },
  needs: ['cache'],
  // A server that had connections before has memory for the next ones: only the first time counts.
  rounds: () => 1,
  unavailable: () => undefined,
  async prepare(server, { stage }) {
    // Not warmed up: what a load leaves behind for reuse would be taken for nothing afterwards.
    await fill(server, stage, objectPath(KILOBYTE), KILOBYTE);
    await sleep(SETTLE_MS);
  },
  async measure(server, { options }) {
    const most = Math.min(openFileLimit() - SPARE_FILES, server.mostConnections ?? Number.POSITIVE_INFINITY);
    const connections = Math.min(options.connections, most);
    const before = usageOf(server.running.pid).residentBytes;
    const visitors = await startIdle(server.port, connections, headOf(server.port, objectPath(KILOBYTE), BROWSER));
    try {
      await sleep(SETTLE_MS);
      const after = usageOf(server.running.pid).residentBytes;
      const { open } = await visitors.report();
      if (open < connections) throw new BenchError(`closed ${connections - open} of ${connections} idle connections`);
      return { bytesPerConnection: (after - before) / connections, connections };
    } finally {
      await visitors.stop();
    }
  },
};

export const slow: Scenario = {
  name: 'slow',
  title: '64 slow clients',
  about:
    '64 clients pull the 10 MB object at 1 MB a second each: processor time for a megabyte, and what memory the server takes for it. The latencies are those of visitors who ask for the 1 KB object meanwhile, 500 times a second.',
  primary: 'cpuMicrosPerMegabyte',
  metrics: ['grownMebibytes', 'p50Millis', 'p99Millis', 'othersPercent', 'heldPercent'],
  setup: { name: 'hits', memoryMebibytes: 256 },
  needs: ['cache'],
  unavailable: missing.pace,
  async prepare(server, { stage }) {
    await fill(server, stage, objectPath(TEN_MEGABYTES), TEN_MEGABYTES);
    await fill(server, stage, objectPath(KILOBYTE), KILOBYTE);
  },
  async measure(server, { options: { seconds } }) {
    const { pid } = server.running;
    const before = usageOf(pid).residentBytes;
    const head = headOf(server.port, objectPath(TEN_MEGABYTES), BROWSER);
    const visitors = await startSlow(server.port, SLOW, head);
    try {
      const quick = { port: server.port, head: headOf(server.port, objectPath(KILOBYTE), BROWSER), seconds, ...QUICK };
      const received = (await visitors.report()).bytes;
      const { result, used } = await whileUsed([pid], () => pace(quick));
      const { bytes, open } = await visitors.report();
      if (open < SLOW.connections) throw new BenchError(`closed ${SLOW.connections - open} slow connections`);
      return {
        cpuMicrosPerMegabyte: used.cpuMicros / ((bytes - received) / 1e6),
        grownMebibytes: (usageOf(pid).residentBytes - before) / 2 ** 20,
        p50Millis: result.p50Micros / 1e3,
        p99Millis: result.p99Micros / 1e3,
        heldPercent: result.held * 100,
        ...(used.othersPercent === undefined ? {} : { othersPercent: used.othersPercent }),
      };
    } finally {
      await visitors.stop();
    }
  },
};
