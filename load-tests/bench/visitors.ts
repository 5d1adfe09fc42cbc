/** Idle and slow visitors, as a process of its own on the processor of the load. @module */
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { BenchError } from './errors.ts';
import { CORES, start } from './processes.ts';
import type { Orders, Report } from './visitors-process.ts';

const PROGRAM = join(import.meta.dirname, 'visitors-process.ts');

/** Time limit until each has had an answer, and for a report. */
const LIMIT_MS = 60_000;

export interface Visitors {
  report(): Promise<Report>;
  stop(): Promise<void>;
}

/** @returns once each of them has had one answer, and rests. */
export function startIdle(port: number, connections: number, head: string): Promise<Visitors> {
  return startVisitors({ port, connections, head, bytesPerSecond: 0 });
}

/** @returns once each of them reads. */
export function startSlow(
  port: number,
  { connections, bytesPerSecond }: { connections: number; bytesPerSecond: number },
  head: string,
): Promise<Visitors> {
  return startVisitors({ port, connections, head, bytesPerSecond });
}

async function startVisitors(orders: Orders): Promise<Visitors> {
  const visitors = start('visitors', [process.execPath, PROGRAM, JSON.stringify(orders)], {
    core: CORES.load,
    stdin: 'pipe',
    stdout: 'pipe',
  });
  const { stdin, stdout } = visitors.child;
  if (!stdin || !stdout) throw new Error('the visitors cannot be talked to');
  stdin.on('error', () => undefined); // they have ended, which shows in the next report that does not arrive
  const lines = createInterface({ input: stdout });
  const next = async (): Promise<Report> => {
    const signal = AbortSignal.timeout(LIMIT_MS);
    const ended = once(visitors.child, 'exit', { signal }).then(() => []);
    ended.catch(() => undefined); // it is not awaited after its time
    const [line] = (await Promise.race([once(lines, 'line', { signal }), ended])) as [string?];
    if (line === undefined) throw new BenchError(`the clients ended: ${visitors.outputTail()}`);
    return JSON.parse(line);
  };
  try {
    await next();
  } catch (error) {
    await visitors.stop();
    throw error;
  }
  return {
    report() {
      stdin.write('report\n');
      return next();
    },
    stop: () => visitors.stop(),
  };
}
