/**
 * An edge of one thread, the main one. With a disk cache and without a control node it keeps a journal of its own, so
 * that a restart undoes no purge.
 * @module
 */
import type { EdgeConfig, RegionConfig } from '../config/schema.ts';
import { memoryOf } from '../config/workers.ts';
import type { EdgeNode } from '../edge/node.ts';
import type { Logger } from '../telemetry/log.ts';
import { startEdgeThread } from './edge-thread.ts';
import { boundMemory, withStoreBytes } from './process-memory.ts';
import { startOwnJournal, withJournal } from './workers/journal.ts';

export interface LoneEdgeOptions {
  readonly region: RegionConfig;
  readonly edge: EdgeConfig;
  readonly log: Logger;
}

export async function startLoneEdge({
  region,
  edge,
  log,
}: LoneEdgeOptions): Promise<Pick<EdgeNode, 'name' | 'addresses' | 'reload' | 'release' | 'close'>> {
  let current = region;
  const seen = (by: RegionConfig): RegionConfig => withStoreBytes(withJournal(by, journal), edge);
  const journal = await startOwnJournal({ region, edge, current: () => current, log });
  try {
    const node = await startEdgeThread({ region: seen(region), edge, log });
    const unbound = boundMemory({ memoryBytes: () => memoryOf(current, edge) });
    return {
      name: node.name,
      addresses: node.addresses,
      reload(next) {
        current = next;
        node.reload(seen(next));
      },
      async release() {
        await node.release();
        await journal?.close();
      },
      async close() {
        unbound();
        await node.close();
        await journal?.close();
      },
    };
  } catch (error) {
    await journal?.close();
    throw error;
  }
}
