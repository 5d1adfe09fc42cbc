/**
 * The demo site's files, read once: a path that is not in the map does not
 * exist, whatever dots and slashes it has.
 * @module
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { formatHttpDate } from '../../http/fields/date.ts';
import { type Representation, strongEtag } from './respond.ts';

const TYPES: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.jpg': 'image/jpeg',
  '.png': 'image/png',
  '.webp': 'image/webp',
  '.webm': 'video/webm',
};

/** Folder → the path that its files have in the site, and for how long they may be kept. */
const FOLDERS = [
  // Short, so that a revalidation and its 304 are soon to be seen.
  { folder: 'static', prefix: '/', cacheControl: 'public, max-age=60, stale-while-revalidate=600' },
  { folder: 'images', prefix: '/images/', cacheControl: 'public, max-age=86400' },
  { folder: 'media', prefix: '/media/', cacheControl: 'public, max-age=86400' },
];

/** @returns Path → file, for every file below `root`'s folders. */
export async function readFiles(root: string): Promise<ReadonlyMap<string, Representation>> {
  const files = new Map<string, Representation>();
  for (const { folder, prefix, cacheControl } of FOLDERS) {
    for (const name of await readdir(join(root, folder))) {
      const file = join(root, folder, name);
      const [body, { mtimeMs }] = await Promise.all([readFile(file), stat(file)]);
      files.set(prefix + name, {
        type: TYPES[extname(name)] ?? 'application/octet-stream',
        body,
        etag: strongEtag(body),
        lastModified: formatHttpDate(mtimeMs),
        headers: { 'cache-control': cacheControl },
      });
    }
  }
  return files;
}
