/**
 * A disk cache in a folder where something fails; what it does is written as lines of JSON.
 *
 * Commands come as lines: `fill` stores until something is refused for good, `remove KEY`, `has KEY`, `state`.
 */
import { createInterface } from 'node:readline';
import { SegmentDisk } from '../../../cache/disk/segment-disk.ts';
import { MemoryStore } from '../../../cache/store/memory-store.ts';
import { monotonicNow, wallNow } from '../../../lib/clock.ts';
import { ledger, responseOf } from './responses.ts';

const [path = '', bytes = '0'] = process.argv.slice(2);
const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
const store = new MemoryStore(64 * 1024 * 1024);
const disk = await SegmentDisk.open({
  path,
  maxBytes: Number(bytes),
  writeBytesPerSecond: Number.MAX_SAFE_INTEGER,
  maxIndexBytes: 16 * 1024 * 1024,
  store,
  ledger,
  now: wallNow,
  monotonic: monotonicNow,
  events: {
    failed: (error) => say({ failed: (error as NodeJS.ErrnoException).code ?? error.message }),
    opened: (renewal, objects) => say({ opened: renewal ?? 'as it was', objects }),
  },
  segmentBytes: 256 * 1024,
  bufferBytes: 64 * 1024,
  retryMs: { firstMs: 50, maxMs: 200 },
});
say({ ready: disk.failure === undefined });

async function fill(): Promise<number> {
  for (let i = 0; ; i++) {
    const key = `k${i}`;
    disk.put(key, [responseOf(store, key, 20_000)]);
    if (disk.failure !== undefined || i > 5_000) return i;
    await new Promise((resolve) => setTimeout(resolve, 1)); // at the pace of a disk
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const [command, key = ''] = line.split(' ');
  switch (command) {
    case 'fill':
      say({ filled: await fill() });
      break;
    case 'put':
      disk.put(key, [responseOf(store, key, 1_000)]);
      say({ put: key });
      break;
    case 'remove':
      disk.remove(key);
      say({ removed: key });
      break;
    case 'has': {
      store.delete(key);
      const has = (await disk.lookup(key)) === true;
      const body = has ? store.get(key)[0]?.body : undefined;
      const piece = body?.open({ start: 0, end: 5 }).next();
      say({ has, key, begins: piece instanceof Buffer ? piece.toString() : undefined });
      break;
    }
    case 'state':
      say({ failure: disk.failure?.message ?? 'none', objects: disk.objects });
      break;
    case 'end':
      await disk.close();
      say({ closed: true });
      process.exit(0);
  }
}
