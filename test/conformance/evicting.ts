/**
 * Loaded before the program (`node --import`) by `npm run conformance -- --disk`: before a node looks a request up,
 * what memory has of its key goes to disk, and out of memory, so that each hit comes from disk. When the parent says
 * so, all of it is written; then the parent kills the process.
 * @module
 */
import { SegmentDisk } from '../../cache/disk/segment-disk.ts';
import { CacheEngine } from '../../cache/engine.ts';

const { lookup, handle } = CacheEngine.prototype;

function evict({ disk, options: { store } }: CacheEngine, key: string): void {
  disk?.put(key, store.get(key)); // nothing, if it is there already
  store.delete(key);
}

CacheEngine.prototype.lookup = function (key, ...rest) {
  evict(this, String(key));
  return lookup.call(this, key, ...rest);
};

CacheEngine.prototype.handle = function (request, early) {
  if (early === undefined) evict(this, request.keyed.key);
  return handle.call(this, request, early);
};

const open = SegmentDisk.open.bind(SegmentDisk);

SegmentDisk.open = async (options) => {
  const disk = await open(options);
  process.once('message', async () => {
    for (const [key, variants] of options.store.entries()) disk.put(key, variants);
    await disk.close();
    process.send?.({ written: true });
  });
  return disk;
};
