/** Questions to a Seawall process that has watch.ts loaded. @module */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { BenchError } from './errors.ts';
import { familyPids, usageOf } from './proc.ts';
import type { Inside, Question } from './watch.ts';

/** A collection of a large heap takes a while. */
const LIMIT_MS = 60_000;

/**
 * @param root - What was started; of its processes the largest is asked. @param folder - As in `SEAWALL_BENCH_WATCH`.
 */
export async function askInside(root: number, folder: string, question: Question): Promise<Inside> {
  const [largest] = familyPids(root)
    .map((pid) => ({ pid, path: join(folder, `${pid}.sock`) }))
    .filter(({ path }) => existsSync(path))
    .sort((a, b) => usageOf(b.pid).residentBytes - usageOf(a.pid).residentBytes);
  if (!largest) throw new BenchError('no process of Seawall can be looked into');
  const socket = createConnection(largest.path);
  try {
    socket.write(`${question}\n`);
    const lines = createInterface({ input: socket });
    const [line] = (await once(lines, 'line', { signal: AbortSignal.timeout(LIMIT_MS) })) as [string];
    return JSON.parse(line);
  } finally {
    socket.destroy();
  }
}
