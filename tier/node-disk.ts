/**
 * The disk of a node: opened beside its memory, and told of in log, metrics and health.
 *
 * It lies in the folder `1-of-1`. Others, such as `2-of-4`, are of versions whose workers each had a part of the keys:
 * they are removed, as they may be older than what this one has stored since.
 * @module
 */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { DiskInUseError, openFolder, type Renewal } from '../cache/disk/folder.ts';
import { SegmentDisk, type SegmentDiskOptions } from '../cache/disk/segment-disk.ts';
import type { Ledger } from '../cache/ledger.ts';
import { siblingPath } from '../config/path.ts';
import { ConfigError, type ConfigProblem } from '../config/problem.ts';
import type { DiskConfig, RegionConfig } from '../config/schema.ts';
import type { DiskState } from '../journal/wire.ts';
import { type EpochMs, monotonicNow } from '../lib/clock.ts';
import type { Logger } from '../telemetry/log.ts';
import { DISK_INDEX } from './process-memory.ts';

const RENEWALS: Readonly<Record<Renewal, string>> = {
  empty: 'the disk cache is new',
  format: 'the disk cache has another format: emptied',
  identity: 'the identity of the disk cache is damaged: emptied',
  copied: 'the disk cache is a copy, which may lack what was removed since: emptied',
  segments: 'the disk cache has other segments: emptied',
  removals: 'more was removed than is known of while the disk cache could not be written: emptied',
  journal: 'the journal is older than the purges that the disk cache has seen: emptied',
};

export type DiskHealth =
  | { readonly status: 'ok'; readonly objects: number }
  | { readonly status: 'left out'; readonly detail: string };

/** Health of a disk, for `/healthz`. */
export function diskHealth({ failure, objects }: SegmentDisk): DiskHealth {
  return failure === undefined ? { status: 'ok', objects } : { status: 'left out', detail: failure.message };
}

/** State of a disk, for control nodes. */
export function diskState({ failure, objects, maxBytes: size }: SegmentDisk): DiskState {
  return { size, objects, ok: failure === undefined };
}

export interface NodeDisk {
  readonly disk: SegmentDisk;
  /** Goes by the new config; path and size are those of the start. */
  update(disk: DiskConfig | undefined): void;
  close(): Promise<void>;
}

/** Folder of a node's disk, within the one that the config names. */
const FOLDER = '1-of-1';

/** Memory and purges of the node, as the thread has them that opens its disk. */
export interface DiskOwner extends Pick<SegmentDiskOptions, 'store' | 'ledger' | 'now' | 'changes' | 'filter'> {
  readonly log: Logger;
}

/** Bytes that the index of a disk may take beside a store of so many. */
export function diskIndexBytes(memoryBytes: number): number {
  return memoryBytes * DISK_INDEX;
}

/** @throws {ConfigError} when another process uses the folder. */
export async function openNodeDisk(
  { log, store, ledger, now, changes, filter }: DiskOwner,
  region: RegionConfig,
  config: DiskConfig,
): Promise<NodeDisk> {
  const path = siblingPath(region.file, config.path);
  const own = join(path, FOLDER);
  try {
    await removeOthers(path);
    const disk = await SegmentDisk.open({
      path: own,
      maxBytes: config.size,
      writeBytesPerSecond: config.write_rate,
      maxIndexBytes: diskIndexBytes(store.maxBytes),
      store,
      ledger,
      now,
      monotonic: monotonicNow,
      changes,
      filter,
      events: {
        failed: (error) =>
          log.error({ path: own, detail: error.message }, 'disk cache left out: responses are served from memory only'),
        opened: (renewal, objects) => {
          if (renewal === undefined) log.info({ path: own, objects }, 'disk cache in use');
          else log[renewal === 'empty' ? 'info' : 'warn']({ path: own }, RENEWALS[renewal]);
        },
      },
    });
    await upToDate(ledger, now()); // what is on disk may have been purged meanwhile
    return {
      disk,
      update: (next) => {
        if (next !== undefined) disk.writeBytesPerSecond = next.write_rate;
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

async function upToDate(ledger: Ledger, now: EpochMs): Promise<void> {
  if (ledger.holdsLease(now, monotonicNow())) return;
  await Promise.race([ledger.whenUpToDate, wait(MAX_JOURNAL_WAIT_MS, undefined, { ref: false })]);
}

const OF_A_PART = /^\d+-of-\d+$/;

/** Removes folders of parts of the keys. @throws {DiskInUseError} */
async function removeOthers(path: string): Promise<void> {
  for (const name of await readdir(path).catch(() => [])) {
    if (name === FOLDER || !OF_A_PART.test(name)) continue;
    const other = join(path, name);
    const folder = await openFolder(other, 0); // no process uses it
    await rm(other, { recursive: true, force: true });
    folder.release();
  }
}
