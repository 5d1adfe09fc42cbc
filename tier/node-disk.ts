/**
 * The disk of a node: opened beside its memory, and told of in log, metrics and health.
 *
 * The workers of an edge have parts of the keys, and each has a folder of its own within that of the node, such as
 * `2-of-4`. When their number changes the keys change their owners, so folders of another number are removed: their
 * responses may have been replaced meanwhile by another worker.
 * @module
 */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { DiskInUseError, openFolder, type Renewal } from '../cache/disk/folder.ts';
import { SegmentDisk } from '../cache/disk/segment-disk.ts';
import { siblingPath } from '../config/path.ts';
import { ConfigError, type ConfigProblem } from '../config/problem.ts';
import type { DiskConfig, RegionConfig } from '../config/schema.ts';
import { monotonicNow } from '../lib/clock.ts';
import type { NodeCore } from './node-core.ts';

/** Part of the memory that the index of the disk may take besides. */
const INDEX_OF_MEMORY = 1 / 8;

const RENEWALS: Readonly<Record<Renewal, string>> = {
  empty: 'the disk cache is new',
  format: 'the disk cache has another format: emptied',
  identity: 'the identity of the disk cache is damaged: emptied',
  copied: 'the disk cache is a copy, which may lack what was removed since: emptied',
  segments: 'the disk cache has other segments: emptied',
  removals: 'more was removed than is known of while the disk cache could not be written: emptied',
  journal: 'the journal is older than the purges that the disk cache has seen: emptied',
};

export interface NodeDisk {
  /** Goes by the new config; path and size are those of the start. */
  update(disk: DiskConfig | undefined): void;
  close(): Promise<void>;
}

/** Part of a node's disk that one of its workers has. */
export interface DiskPart {
  /** From 1 to `count`. */
  readonly index: number;
  readonly count: number;
}

const WHOLE: DiskPart = { index: 1, count: 1 };

/** @throws {ConfigError} when another process uses the folder. */
export async function openNodeDisk(
  core: NodeCore,
  region: RegionConfig,
  config: DiskConfig,
  { index, count }: DiskPart = WHOLE,
): Promise<NodeDisk> {
  const { log } = core;
  const path = siblingPath(region.file, config.path);
  const own = join(path, `${index}-of-${count}`);
  try {
    if (index === 1) await removeOthers(path, count);
    const disk = await SegmentDisk.open({
      path: own,
      maxBytes: Math.floor(config.size / count),
      writeBytesPerSecond: config.write_rate / count,
      maxIndexBytes: core.store.maxBytes * INDEX_OF_MEMORY,
      store: core.store,
      ledger: core.ledger,
      now: core.now,
      monotonic: monotonicNow,
      events: {
        failed: (error) =>
          log.error({ path: own, detail: error.message }, 'disk cache left out: responses are served from memory only'),
        opened: (renewal, objects) => {
          if (renewal === undefined) log.info({ path: own, objects }, 'disk cache in use');
          else log[renewal === 'empty' ? 'info' : 'warn']({ path: own }, RENEWALS[renewal]);
        },
      },
    });
    core.useDisk(disk);
    await upToDate(core); // what is on disk may have been purged meanwhile
    return {
      update: (next) => {
        if (next !== undefined) disk.writeBytesPerSecond = next.write_rate / count;
      },
      close: () => disk.close(),
    };
  } catch (error) {
    if (error instanceof DiskInUseError) throw new ConfigError([diskInUse(region, error.path)]);
    throw error;
  }
}

export function diskInUse({ file }: RegionConfig, path: string): ConfigProblem {
  const message = `${path} is used by another process`;
  const fix = 'Stop that process, or give each node a folder of its own.';
  return { file, line: 0, column: 0, key: 'disk.path', message, fix };
}

/** A journal that cannot be reached does not hold up the start for longer: what is stored is revalidated then. */
const MAX_JOURNAL_WAIT_MS = 2_000;

async function upToDate({ ledger, now }: NodeCore): Promise<void> {
  if (ledger.holdsLease(now(), monotonicNow())) return;
  await Promise.race([ledger.whenUpToDate, wait(MAX_JOURNAL_WAIT_MS, undefined, { ref: false })]);
}

const OF_A_PROCESS = /^\d+-of-(\d+)$/;

/** Removes the folders of another number of workers. @throws {DiskInUseError} */
async function removeOthers(path: string, count: number): Promise<void> {
  for (const name of await readdir(path).catch(() => [])) {
    const of = OF_A_PROCESS.exec(name)?.[1];
    if (of === undefined || Number(of) === count) continue;
    const other = join(path, name);
    const folder = await openFolder(other, 0); // no process uses it
    await rm(other, { recursive: true, force: true });
    folder.release();
  }
}
