/** Small stores of segments in temporary folders. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { type OpenedFolder, openFolder } from '../../../cache/disk/folder.ts';
import type { Content } from '../../../cache/disk/format.ts';
import { SegmentStore, type SegmentStoreOptions } from '../../../cache/disk/segment-store.ts';
import { Space } from '../../../cache/disk/space.ts';

export const SEGMENT_BYTES = 64 * 1024;

export interface OpenStore {
  readonly store: SegmentStore;
  readonly space: Space;
  readonly folder: OpenedFolder;
  /** Error that the disk failed with. */
  readonly failure: () => Error | undefined;
  /** Ends it as a process ends: what has not been handed over is lost. */
  close(): Promise<void>;
}

export function temporary(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'seawall-disk-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export async function openStore(path: string, options: Partial<SegmentStoreOptions> = {}): Promise<OpenStore> {
  const { segmentBytes = SEGMENT_BYTES, segments = 8, system } = options;
  const folder = await openFolder(path, segmentBytes, undefined, system);
  let failure: Error | undefined;
  const onFailed = (error: Error): void => {
    failure = error;
  };
  const space = await Space.open(folder.segmentsFile, segments * segmentBytes, onFailed, system);
  const store = new SegmentStore({
    space,
    identity: folder.identity,
    segments,
    segmentBytes,
    bufferBytes: 16 * 1024,
    maxIndexBytes: 64 * 1024 * 1024,
    ...options,
  });
  await store.load();
  return {
    store,
    space,
    folder,
    failure: () => failure,
    async close() {
      store.close();
      await space.closed;
      folder.release();
    },
  };
}

/** A content of which every byte depends on the key and the version. */
export function contentOf(key: string, version: number, bytes: number): Content {
  const text = `${key} ${version} `;
  const body = Buffer.alloc(bytes, text);
  return { key, term: 'term', asOf: version, meta: Buffer.from(JSON.stringify({ key, version, bytes })), body: [body] };
}

/** @returns Version of what was read, after a look at every byte of it. @throws If a byte is wrong. */
export function versionOf(key: string, found: Content): number {
  const { version, bytes } = JSON.parse(found.meta.toString()) as { version: number; bytes: number };
  const expected = contentOf(key, version, bytes);
  const isRight =
    found.key === key &&
    found.term === expected.term &&
    found.asOf === version &&
    found.meta.equals(expected.meta) &&
    Buffer.concat(found.body).equals(expected.body[0] as Buffer);
  if (!isRight) throw new Error(`wrong bytes under ${key}`);
  return version;
}
