/**
 * Damage to the files of a disk cache, one at a time, at every place: whatever a process finds, no wrong byte is read,
 * and nothing that was replaced or removed. What the damage does not touch is found.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { footerBytes, readFooter, UNIT_BYTES } from '../../../cache/disk/format.ts';
import { DISK_SYSTEM, type DiskSystem } from '../../../cache/disk/system.ts';
import { contentOf, type OpenStore, openStore, temporary, versionOf } from './stores.ts';

const SEGMENT_BYTES = 8 * 1024;
const SEGMENTS = 4;

/** Files that are not synced and not locked, and keep their mark whatever is written over them. */
const system: DiskSystem = {
  ...DISK_SYSTEM,
  lock: async () => () => undefined,
  markOf: async () => 'mark',
  replace: async (file, textFor) => writeFileSync(file, textFor('mark')),
};

const OPTIONS = { segmentBytes: SEGMENT_BYTES, segments: SEGMENTS, bufferBytes: 4 * 1024, system };

interface Prepared {
  readonly path: string;
  /** Files as they were written. */
  readonly segments: Buffer;
  readonly identity: Buffer;
  /** Newest version of each key; 0: removed. */
  readonly versions: ReadonlyMap<string, number>;
}

/** A folder with a sealed segment, one that two processes have written to, replaced records and removed ones. */
async function prepare(t: Test): Promise<Prepared> {
  const path = temporary(t);
  const versions = new Map<string, number>();
  let version = 0;
  const append = (open: OpenStore, key: string, bytes: number): void => {
    t.equal(open.store.append(contentOf(key, ++version, bytes)), undefined, `${key} ${version}`);
    versions.set(key, version);
  };
  let open = await openStore(path, OPTIONS);
  for (let i = 0; i < 9; i++) {
    append(open, `k${i}`, 700);
    await open.store.flush(); // until a segment is sealed
  }
  append(open, 'k8', 100);
  open.store.remove('k1');
  versions.set('k1', 0);
  await open.store.flush();
  await open.close();
  open = await openStore(path, OPTIONS);
  append(open, 'k2', 300);
  append(open, 'late', 10);
  open.store.remove('k3');
  versions.set('k3', 0);
  await open.store.flush();
  await open.close();
  const read = (name: string): Buffer => readFileSync(join(path, name));
  return { path, segments: read('segments'), identity: read('identity'), versions };
}

/**
 * Opens the folder as the next process does. @returns Keys of which something was found.
 * @throws {Error} if a byte is wrong, or what was found is not the newest.
 */
async function found({ path, versions }: Prepared): Promise<string[]> {
  const open = await openStore(path, OPTIONS);
  const keys: string[] = [];
  for (const [key, newest] of versions) {
    const content = await open.store.read(key);
    if (content === undefined) continue;
    const version = versionOf(key, content);
    if (version !== newest) throw new Error(`${key}: version ${version}, not ${newest}`);
    keys.push(key);
  }
  if (open.failure()) throw open.failure();
  await open.close();
  return keys;
}

/** @returns Positions of all bytes of heads, rows, footers and headers of records. */
function headers({ segments, versions }: Prepared): number[] {
  const at: number[] = [];
  const add = (from: number, bytes: number): void => {
    for (let i = 0; i < bytes; i++) at.push(from + i);
  };
  for (let base = 0; base < segments.length; base += SEGMENT_BYTES) {
    for (let start = base; start < base + SEGMENT_BYTES; start += UNIT_BYTES) {
      const magic = segments.toString('latin1', start, start + 4);
      if (magic === 'SWSG' || magic === 'SWFT') add(start, UNIT_BYTES);
      else if (magic === 'SWRC') {
        const bytes =
          segments.readUInt32LE(start + 36) + segments.readUInt32LE(start + 40) + segments.readUInt32LE(start + 52);
        add(start, UNIT_BYTES + bytes);
      }
      if (magic === 'SWFT') {
        const rows = segments.readUInt32LE(start + 28);
        add(start - (footerBytes(rows) - UNIT_BYTES), footerBytes(rows) - UNIT_BYTES);
      }
    }
  }
  if (versions.size === 0) throw new Error('nothing is stored');
  return [...new Set(at)];
}

test('what was prepared has all kinds of headers', async (t) => {
  const prepared = await prepare(t);
  const kinds = ['SWSG', 'SWRC', 'SWFT', 'LIVE', 'DEAD'];
  const text = prepared.segments.toString('latin1');
  for (const kind of kinds) t.ok(text.includes(kind), kind);
  const all = await found(prepared);
  t.same(all.sort(), [...prepared.versions].flatMap(([key, version]) => (version > 0 ? [key] : [])).sort());
});

test('each byte of each header changes: right bytes, or nothing', async (t) => {
  const prepared = await prepare(t);
  const wrong: string[] = [];
  let lost = 0;
  const positions = headers(prepared);
  for (const at of positions) {
    const damaged = Buffer.from(prepared.segments);
    damaged[at] = (damaged[at] as number) ^ (at % 3 === 0 ? 0xff : 1 << (at % 8));
    writeFileSync(join(prepared.path, 'segments'), damaged);
    writeFileSync(join(prepared.path, 'identity'), prepared.identity);
    const keys = await found(prepared).catch((error: Error) => {
      wrong.push(`byte ${at}: ${error.message}`);
      return [];
    });
    if (keys.length === 0) lost++;
  }
  t.same(wrong, []);
  t.ok(positions.length > 1_500, `${positions.length} bytes`);
  t.ok(lost < positions.length / 20, `${lost} of them cost everything`);
});

test('the file ends at each unit, and before it: right bytes, or nothing', async (t) => {
  const prepared = await prepare(t);
  const wrong: string[] = [];
  for (let end = UNIT_BYTES; end < prepared.segments.length; end += UNIT_BYTES) {
    if (prepared.segments.subarray(end - UNIT_BYTES, end).every((byte) => byte === 0)) continue;
    for (const length of [end, end - 1]) {
      writeFileSync(join(prepared.path, 'segments'), prepared.segments.subarray(0, length));
      writeFileSync(join(prepared.path, 'identity'), prepared.identity);
      await found(prepared).catch((error: Error) => wrong.push(`${length} bytes: ${error.message}`));
    }
  }
  t.same(wrong, []);
});

test('each byte of the identity changes: the folder is begun anew', async (t) => {
  const prepared = await prepare(t);
  for (let at = 0; at < prepared.identity.length - 1; at++) {
    const damaged = Buffer.from(prepared.identity);
    damaged[at] = (damaged[at] as number) ^ 1;
    writeFileSync(join(prepared.path, 'segments'), prepared.segments);
    writeFileSync(join(prepared.path, 'identity'), damaged);
    t.same(await found(prepared), [], `byte ${at}`);
  }
});

test('a footer that is right leads to right bytes only', async (t) => {
  const prepared = await prepare(t);
  const tail = prepared.segments.subarray(SEGMENT_BYTES - UNIT_BYTES, SEGMENT_BYTES);
  const identity = { low: tail.readInt32LE(12), high: tail.readInt32LE(16) };
  t.ok(readFooter(tail, identity, SEGMENT_BYTES), 'the first segment is sealed');
  const copied = Buffer.from(prepared.segments);
  copied.copy(copied, SEGMENT_BYTES, 0, SEGMENT_BYTES); // the first one takes the place of the second
  writeFileSync(join(prepared.path, 'segments'), copied);
  writeFileSync(join(prepared.path, 'identity'), prepared.identity);
  await t.resolves(found(prepared));
});
