/** Sitemaps as they come, and as they should not. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { type Test, test } from 'tap';
import { MAX_SITEMAP_BYTES, MAX_SITEMAPS, parseSitemap, sitemapUrls } from '../../cli/sitemap.ts';

const A = 'https://www.example.com/a';

function urlset(...urls: string[]): string {
  return `<?xml version="1.0"?>\n<urlset xmlns="x">${urls.map((url) => `<url><loc>${url}</loc></url>`).join('\n')}</urlset>`;
}

function index(...urls: string[]): string {
  return `<sitemapindex>${urls.map((url) => `<sitemap><loc>${url}</loc></sitemap>`).join('')}</sitemapindex>`;
}

for (const { what, text, urls } of [
  { what: 'URLs', text: urlset(A, `${A}?b`), urls: [A, `${A}?b`] },
  {
    what: 'white space and other elements',
    text: urlset(`\n  ${A}\n`).replace('</url>', '<lastmod>2026</lastmod></url>'),
    urls: [A],
  },
  { what: 'entities', text: urlset(`${A}?x=1&amp;y=&#50;&#x33;&lt;`), urls: [`${A}?x=1&y=23<`] },
  {
    what: 'entities that it declares itself',
    text: `<!DOCTYPE x [<!ENTITY boom "x">]>${urlset(`${A}&boom;`)}`,
    urls: [`${A}&boom;`],
  },
  { what: 'CDATA', text: urlset(`<![CDATA[${A}]]>`), urls: [A] },
  {
    what: 'images, which are no pages',
    text: urlset(A).replace('</url>', '<image:image><image:loc>x</image:loc></image:image></url>'),
    urls: [A],
  },
  { what: 'one URL a line', text: `\ufeff${A}\r\n\r\n${A}2\n`, urls: [A, `${A}2`] },
  { what: 'nothing', text: urlset(), urls: [] },
]) {
  test(`a sitemap with ${what} is read`, async (t) => {
    t.same(parseSitemap(A, text), { isIndex: false, locations: urls });
  });
}

for (const text of ['', '<html><a href="https://x/">', 'https://a/\nftp://b/\n', '{"urls":[]}']) {
  test(`${JSON.stringify(text)} is no sitemap`, async (t) => {
    t.throws(() => parseSitemap(A, text), { code: 'cli_failure', message: /is no sitemap/ });
  });
}

async function site(t: Test, files: Record<string, { status?: number; headers?: object; body: string | Buffer }>) {
  const asked: string[] = [];
  const server = createServer(({ url = '' }, response) => {
    asked.push(url);
    const { status = 200, headers = {}, body = '' } = files[url] ?? { status: 404 };
    response.writeHead(status, { ...headers }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  t.teardown(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const at = (path: string): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
  return { at, asked, files };
}

test('sitemaps of an index are read, compressed or not, up to the number that is wanted', async (t) => {
  const { at, files } = await site(t, {});
  files['/index.xml'] = { body: index(at('/1.xml'), at('/2.xml.gz')) };
  files['/1.xml'] = { body: urlset(A) };
  files['/2.xml.gz'] = { body: gzipSync(urlset(`${A}2`, `${A}3`, `${A}4`)) };
  t.same(await sitemapUrls(at('/index.xml'), 100), [A, `${A}2`, `${A}3`, `${A}4`]);
  t.same(await sitemapUrls(at('/index.xml'), 2), [A, `${A}2`, `${A}3`], 'one more, which is refused later');
});

test('a sitemap that grows without end when it is decompressed is not read to its end', async (t) => {
  const bomb = gzipSync(Buffer.alloc(MAX_SITEMAP_BYTES * 4));
  const { at } = await site(t, { '/bomb.gz': { body: bomb } });
  await t.rejects(sitemapUrls(at('/bomb.gz'), 100), { message: /larger than a sitemap may be/ });
});

test('nothing is fetched from another host than that of the sitemap', async (t) => {
  const other = await site(t, { '/1.xml': { body: urlset(A) } });
  const { at, files } = await site(t, {});
  files['/index.xml'] = { body: index(other.at('/1.xml')) };
  files['/moved.xml'] = { status: 301, headers: { Location: other.at('/1.xml') }, body: '' };
  files['/here.xml'] = { status: 302, headers: { Location: '/real.xml' }, body: '' };
  files['/real.xml'] = { body: urlset(A) };
  files['/round.xml'] = { status: 302, headers: { Location: '/round.xml' }, body: '' };
  await t.rejects(sitemapUrls(at('/index.xml'), 9), { message: /another host/ });
  await t.rejects(sitemapUrls(at('/moved.xml'), 9), { message: /another host/ });
  t.same(await sitemapUrls(at('/here.xml'), 9), [A]);
  await t.rejects(sitemapUrls(at('/round.xml'), 9), { message: /redirects more than/ });
  t.same(other.asked, []);
});

test('a sitemap that is not there, broken, or an index of indexes is refused', async (t) => {
  const { at, files } = await site(t, { '/broken.gz': { body: gzipSync(urlset(A)).subarray(0, 40) } });
  files['/loop.xml'] = { body: index(at('/loop.xml')) };
  files['/many.xml'] = { body: index(...Array.from({ length: MAX_SITEMAPS + 1 }, (_, i) => at(`/${i}`))) };
  await t.rejects(sitemapUrls(at('/none.xml'), 9), { message: /answered 404/ });
  await t.rejects(sitemapUrls(at('/broken.gz'), 9), { message: /cannot be read/ });
  await t.rejects(sitemapUrls(at('/loop.xml'), 9), { message: /index in an index/ });
  await t.rejects(sitemapUrls(at('/many.xml'), 9), { message: /1001 sitemaps/ });
});
