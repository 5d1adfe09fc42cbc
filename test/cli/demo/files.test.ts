/** Files of the demo site: those of its folders, and no others. */
import { join } from 'node:path';
import { test } from 'tap';
import { readFiles } from '../../../cli/demo/files.ts';

test('each file has its path, its type, and how long it may be kept', async (t) => {
  const root = t.testdir({
    static: { 'style.css': 'a {}', 'notes.xyz': 'text', NAME: 'x' },
    images: { 'dawn.jpg': 'jpg', 'a.SVG': 'svg' },
    media: { 'day.webm': 'webm' },
    pages: { 'home.html': 'not one of them' },
  });
  const files = await readFiles(root);
  t.same([...files.keys()].sort(), [
    '/NAME',
    '/images/a.SVG',
    '/images/dawn.jpg',
    '/media/day.webm',
    '/notes.xyz',
    '/style.css',
  ]);
  t.match(files.get('/style.css'), { type: 'text/css; charset=utf-8', headers: { 'cache-control': /max-age=60\b/ } });
  t.match(files.get('/images/dawn.jpg'), { type: 'image/jpeg', headers: { 'cache-control': /max-age=86400\b/ } });
  for (const path of ['/notes.xyz', '/NAME', '/images/a.SVG']) {
    t.equal(files.get(path)?.type, 'application/octet-stream', 'a type that is not known is none that a browser runs');
  }
  t.equal(String(files.get('/media/day.webm')?.body), 'webm');
  t.match(files.get('/media/day.webm')?.lastModified, /GMT$/);
  t.not(files.get('/NAME')?.etag, files.get('/notes.xyz')?.etag);
  for (const path of ['/pages/home.html', '/home.html', '/images/../static/style.css', '/constructor']) {
    t.equal(files.get(path), undefined, path);
  }
});

test('a site without one of its folders is refused', async (t) => {
  await t.rejects(readFiles(join(t.testdir({ static: {} }), 'none')), { code: 'ENOENT' });
});
