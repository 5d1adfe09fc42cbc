/**
 * The demo site's pages: a layout, a fragment for each page, and the time at
 * which the origin made this copy.
 * @module
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Representation, strongEtag } from './respond.ts';

/**
 * Browsers ask every time, so that what is seen is the CDN's doing; the CDN
 * itself goes by the field that targets it (RFC 9213).
 */
const BROWSERS_ASK = 'no-cache';

const NEVER = 'private, no-store';

interface Page {
  readonly title: string;
  readonly file: string;
  readonly status?: number;
  readonly cdn: string | 'never';
}

export const PAGES = {
  home: { title: 'A harbour wall for your website', file: 'home.html', cdn: 'max-age=30, stale-while-revalidate=60' },
  pictures: { title: 'Pictures', file: 'pictures.html', cdn: 'max-age=30, stale-while-revalidate=60' },
  film: { title: 'A film', file: 'film.html', cdn: 'max-age=30, stale-while-revalidate=60' },
  you: { title: 'You', file: 'you.html', cdn: 'max-age=30, stale-while-revalidate=60' },
  live: { title: 'Live', file: 'live.html', cdn: 'max-age=30, stale-while-revalidate=60' },
  slow: { title: 'A slow page', file: 'slow.html', cdn: 'max-age=30, stale-while-revalidate=60' },
  fail: {
    title: 'A page that fails on demand',
    file: 'fail.html',
    cdn: 'max-age=5, stale-while-revalidate=0, stale-if-error=3600',
  },
  failing: { title: 'The origin fails', file: 'failing.html', status: 503, cdn: 'never' },
  missing: { title: 'No such page', file: 'missing.html', status: 404, cdn: 'max-age=10' },
} as const satisfies Record<string, Page>;

export type PageName = keyof typeof PAGES;

/** Makes a page, new each time: that is what an origin's work is here. */
export type RenderPage = (name: PageName) => Representation;

/** @param root - Folder with `layout.html` and the fragments. */
export async function readPages(root: string): Promise<RenderPage> {
  const layout = await readFile(join(root, 'layout.html'), 'utf8');
  const fragments = new Map<string, string>();
  for (const { file } of Object.values(PAGES)) fragments.set(file, await readFile(join(root, file), 'utf8'));

  return (name) => {
    const page: Page = PAGES[name];
    const values = new Map<string, string>([
      ['name', name],
      ['title', page.title],
      ['content', fragments.get(page.file) ?? ''],
      ['generated', new Date().toISOString()],
      ['cdn', page.cdn === 'never' ? `Cache-Control: ${NEVER}` : `CDN-Cache-Control: ${page.cdn}`],
    ]);
    const body = Buffer.from(layout.replace(/\{\{(\w+)\}\}/g, (_, key: string) => values.get(key) ?? ''));
    return {
      status: page.status ?? 200,
      type: 'text/html; charset=utf-8',
      body,
      etag: strongEtag(body),
      headers: {
        'content-security-policy': "default-src 'self'",
        ...(page.cdn === 'never'
          ? { 'cache-control': NEVER }
          : { 'cache-control': BROWSERS_ASK, 'cdn-cache-control': page.cdn }),
      },
    };
  };
}
