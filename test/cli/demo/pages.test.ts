/** Pages of the demo site: made anew each time, each with its lifetime in the CDN. */
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { PAGES, type PageName, readPages } from '../../../cli/demo/pages.ts';

const SITE_PAGES = join(import.meta.dirname, '../../../cli/demo/site/pages');

test('each page has its status and its title, and nothing is left to fill in', async (t) => {
  const render = await readPages(SITE_PAGES);
  for (const name of Object.keys(PAGES) as PageName[]) {
    const page: { title: string; status?: number; cdn: string } = PAGES[name];
    const { status, body, headers = {}, type } = render(name);
    t.equal(status, page.status ?? 200, name);
    t.match(String(body), page.title);
    t.notMatch(String(body), /\{\{\w+\}\}/);
    t.equal(type, 'text/html; charset=utf-8');
    t.match(headers['content-security-policy'], "default-src 'self'");
    if (page.cdn === 'never')
      t.same([headers['cache-control'], headers['cdn-cache-control']], ['private, no-store', undefined]);
    else t.same([headers['cache-control'], headers['cdn-cache-control']], ['no-cache', page.cdn]);
  }
});

test('what a fragment says is not read as a place to fill in of its own, and an unknown place is empty', async (t) => {
  const root = t.testdir({});
  cpSync(SITE_PAGES, root, { recursive: true });
  writeFileSync(join(root, 'layout.html'), '[{{title}}|{{content}}|{{nothing}}|{{constructor}}]');
  writeFileSync(join(root, 'home.html'), '$& {{title}}');
  const { body, etag } = (await readPages(root))('home');
  t.equal(String(body), '[A harbour wall for your website|$& {{title}}||]');
  t.ok(etag);
});

test('a site of which a page is missing is refused at the start', async (t) => {
  await t.rejects(readPages(t.testdir({ 'layout.html': '' })), { code: 'ENOENT' });
});
