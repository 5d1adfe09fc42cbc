/** Latency of a server at half of its capacity. @module */
import { BenchError } from '../errors.ts';
import { missing, pace, wrk } from '../loads.ts';
import { checkSeen, whileUsed } from '../measure.ts';
import { BROWSER, headOf, KILOBYTE, objectPath } from '../requests.ts';
import type { Scenario } from '../scenario.ts';
import type { Server } from '../server.ts';
import { fill } from '../stage.ts';

const CONNECTIONS = 64;
const WARM_UP_SECONDS = 2;

/**
 * Times as many as elsewhere: what one request in a hundred meets differs more from round to round than what all of
 * them cost.
 */
const ROUNDS = 2;

/** Requests that may stay without an answer. */
const MAX_UNANSWERED = 0;

/** The most that each server answers in a second. */
const most = new Map<Server, number>();

export const latency: Scenario = {
  name: 'latency',
  title: '1 KB hit at half of the maximum rate',
  about:
    'The 1 KB hit with a browser’s headers at a constant rate: half of what the same server answers at the most, found right before; then at one rate for all: half of what the slowest of them answers. A request’s latency counts from the moment it was meant for (open loop), so a pause of the server counts for all who came meanwhile. Twice as many rounds as elsewhere.',
  primary: 'p99Millis',
  metrics: [
    'requestsPerSecond',
    'p50Millis',
    'p999Millis',
    'p99SameRateMillis',
    'cpuMicros',
    'othersPercent',
    'heldPercent',
  ],
  setup: { name: 'hits', memoryMebibytes: 256 },
  needs: ['cache', 'fixed'],
  rounds: (asked) => asked * ROUNDS,
  unavailable: () => missing.pace() ?? missing.wrk(),
  async prepare(server, { stage, options }) {
    await fill(server, stage, objectPath(KILOBYTE), KILOBYTE);
    await mostOf(server, WARM_UP_SECONDS);
    most.set(server, await mostOf(server, options.seconds));
  },
  async measure(server, { options }) {
    const rate = (await mostOf(server, options.seconds)) / 2;
    const head = headOf(server.port, objectPath(KILOBYTE), BROWSER);
    const load = { port: server.port, rate, seconds: options.seconds, connections: CONNECTIONS, head };
    const { result, used } = await whileUsed([server.running.pid], () => pace(load));
    const sameRate = await pace({ ...load, rate: Math.min(...most.values()) / 2 });
    const unanswered = result.unanswered + sameRate.unanswered;
    if (unanswered > MAX_UNANSWERED) throw new BenchError(`${unanswered} requests were not answered`);
    return {
      cpuMicros: used.cpuMicros / result.requests,
      requestsPerSecond: result.requests / result.seconds,
      p50Millis: result.p50Micros / 1e3,
      p99Millis: result.p99Micros / 1e3,
      p99SameRateMillis: sameRate.p99Micros / 1e3,
      heldPercent: result.held * 100,
      p999Millis: result.p999Micros / 1e3,
      ...(used.othersPercent === undefined ? {} : { othersPercent: used.othersPercent }),
    };
  },
};

/** @returns Requests a second that it answers at the most. */
async function mostOf({ port }: Server, seconds: number): Promise<number> {
  const requests = { kind: 'fixed', head: headOf(port, objectPath(KILOBYTE), BROWSER) } as const;
  const seen = await wrk({ port, seconds, connections: CONNECTIONS, requests });
  checkSeen(seen);
  return seen.requests / seen.seconds;
}
