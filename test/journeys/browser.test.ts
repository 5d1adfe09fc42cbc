/**
 * A real browser loads the demo site through the network: Debian's Chromium,
 * over HTTP/1.1. Each visitor is a fresh context, so that the browser's own
 * cache answers nothing.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page, type Response } from 'playwright-core';
import { t as all, type Test, test } from 'tap';
import { parse } from 'yaml';
import { type DemoOrigin, startDemoOrigin } from '../../cli/demo/origin.ts';
import { type Network, type NetworkOptions, startNetwork } from '../support/network.ts';
import { tiersOf } from '../support/visitor.ts';

all.setTimeout(120_000); // also where it runs by itself, without .taprc

const CHROMIUM = '/usr/bin/chromium';

const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const SITE_FILE = join(import.meta.dirname, '../../config/sites/demo.yaml');

const FILM = '/media/day.webm';

/** Paths with answers for one visitor, or made as it happens. */
const NEVER_KEPT = /^\/(api|stats|events|echo)\b/;

interface Stage {
  readonly origin: DemoOrigin;
  readonly network: Network;
  readonly browser: Browser;
  /** URL of a path at this edge. */
  url(path: string): string;
}

async function start(t: Test): Promise<Stage> {
  if (!existsSync(CHROMIUM)) throw new Error(`${CHROMIUM} is missing: apt-get install chromium`);
  const origin = await startDemoOrigin({ host: '127.0.0.1', port: 0 });
  t.teardown(() => origin.close());
  const { origin: _, ...site } = parse(readFileSync(SITE_FILE, 'utf8')) as NonNullable<NetworkOptions['site']> & {
    origin: unknown;
  };
  const network = await startNetwork({ origin: origin.url, regions: { eu: 2, us: 2 }, site });
  t.teardown(() => network.close());
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });
  t.teardown(() => browser.close());
  return { origin, network, browser, url: (path) => `http://${network.at('eu-1')}${path}` };
}

/** One visitor's page, and what it met. */
interface Visit {
  readonly page: Page;
  readonly responses: Response[];
  /** Console errors, exceptions, and requests that got no answer. */
  readonly problems: string[];
  close(): Promise<void>;
}

async function visit(browser: Browser): Promise<Visit> {
  const context: BrowserContext = await browser.newContext();
  const page = await context.newPage();
  const responses: Response[] = [];
  const problems: string[] = [];
  page.on('response', (response) => responses.push(response));
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('requestfailed', (request) => {
    const { errorText } = request.failure() ?? { errorText: '' };
    // A player gives up a range when it jumps, a page its events when it is left.
    if (errorText !== 'net::ERR_ABORTED') problems.push(`${request.url()}: ${errorText}`);
  });
  return { page, responses, problems, close: () => context.close() };
}

function pathOf(response: Response): string {
  return new URL(response.url()).pathname;
}

/** The tier that answered: the last member of Cache-Status that does not say that it asked another one. */
function answeredBy(response: Response): string {
  return tiersOf(response.headers()['cache-status'])[0] ?? '';
}

function isHitAtAnEdge(response: Response): boolean {
  return /^"(eu|us)-\d";hit/.test(answeredBy(response));
}

async function look({ page }: Visit, stage: Stage, path: string): Promise<void> {
  await page.goto(stage.url(path), { waitUntil: 'load' });
  await page.locator('#asks tr').first().waitFor(); // the page's script has run
  for (const image of await page.locator('img').all()) {
    await image.scrollIntoViewIfNeeded();
    await image.evaluate((element: { decode(): Promise<void> }) => element.decode()); // rejects when it is broken
  }
}

test('every page is loaded twice, and the second time by the edge', async (t) => {
  const stage = await start(t);
  const pages = ['/', '/pictures', '/film', '/you', '/live'];

  const first = await visit(stage.browser);
  for (const path of pages) await look(first, stage, path);
  t.strictSame(first.problems, []);
  t.equal(await first.page.evaluate('performance.getEntriesByType("navigation")[0].nextHopProtocol'), 'http/1.1');
  await first.close();
  const askedOnce = stage.origin.requests();

  const second = await visit(stage.browser);
  for (const path of pages) await look(second, stage, path);
  t.strictSame(second.problems, []);
  const kept = second.responses.filter((response) => !NEVER_KEPT.test(pathOf(response)));
  const seen = new Set(kept.map(pathOf));
  for (const path of [...pages, '/site.css', '/site.js', '/icon.svg', '/images/dawn.jpg', '/images/noon.png']) {
    t.ok(seen.has(path), `${path} was loaded`);
  }
  const missed = kept.filter((response) => pathOf(response) !== FILM && !isHitAtAnEdge(response));
  t.strictSame(
    missed.map((response) => `${pathOf(response)} ${response.status()} ${answeredBy(response)}`),
    [],
  );
  t.ok(stage.origin.requests() > askedOnce, 'what is for one visitor still comes from the origin');
  const own = second.responses.filter((response) => pathOf(response) === '/api/me');
  t.ok(own.length > 0 && own.every((response) => !/;hit/.test(response.headers()['cache-status'] ?? '')));
  await second.close();
});

test('the film plays and seeks near its end, from the edge', async (t) => {
  const stage = await start(t);
  const first = await visit(stage.browser);
  await look(first, stage, '/film');
  const bytes = await first.page.evaluate(
    `fetch('${FILM}').then((it) => it.arrayBuffer()).then((it) => it.byteLength)`,
  );
  t.ok(Number(bytes) > 1_000_000);
  await first.close();
  const asked = await countOf(stage, FILM);

  const second = await visit(stage.browser);
  await second.page.goto(stage.url('/film'), { waitUntil: 'load' });
  const state = await second.page.evaluate(`(async () => {
    const film = document.getElementById('film');
    const next = (name) => new Promise((resolve, reject) => {
      film.addEventListener(name, resolve, { once: true });
      film.addEventListener('error', () => reject(new Error(film.error.message)), { once: true });
    });
    if (film.readyState < 1) await next('loadedmetadata');
    await film.play();
    while (film.currentTime < 0.2) await next('timeupdate');
    const near = film.duration - 3;
    const seeked = next('seeked');
    film.currentTime = near;
    await seeked;
    while (film.currentTime < near + 0.2) await next('timeupdate');
    return { near, at: film.currentTime, ready: film.readyState, height: film.videoHeight };
  })()`);
  t.match(state, { near: Number, at: Number, ready: Number, height: 480 });
  const { near, at, ready } = state as { near: number; at: number; ready: number };
  t.ok(near > 50 && at > near, `plays on at ${at} s`);
  t.ok(ready >= 2, 'there is a picture');
  t.strictSame(second.problems, []);

  const film = second.responses.filter((response) => pathOf(response) === FILM);
  t.ok(film.length > 1, `${film.length} requests for the film`);
  t.ok(
    film.some((response) => !/^bytes 0-/.test(response.headers()['content-range'] ?? '')),
    'one of them from the middle',
  );
  for (const response of film) {
    t.equal(response.status(), 206, response.headers()['content-range'] ?? 'no Content-Range');
    t.ok(isHitAtAnEdge(response), answeredBy(response));
  }
  t.equal(await countOf(stage, FILM), asked, 'nothing more from the origin');
  await second.close();
});

test('a websocket echoes', async (t) => {
  const stage = await start(t);
  const { page, problems, close } = await visit(stage.browser);
  await page.goto(stage.url('/live'), { waitUntil: 'load' });
  const echoes = page.locator('#echoes');
  await echoes.filter({ hasText: 'connected' }).waitFor();
  for (const text of ['Ahoy!', 'Grüße 🌊', 'x'.repeat(5_000)]) {
    await page.locator('#echo input').fill(text);
    await page.locator('#echo button').click();
    await echoes.filter({ hasText: `the origin says: ${text}` }).waitFor();
  }
  await page
    .locator('#events')
    .filter({ hasText: /^\d{4}-/ })
    .waitFor(); // server-sent events as well
  t.strictSame(problems, []);
  await close();
});

/** Number of requests for this path at the origin. */
async function countOf({ origin }: Stage, path: string): Promise<number> {
  const { byPath } = (await (await fetch(`${origin.url}/stats`)).json()) as { byPath: Record<string, number> };
  return byPath[path] ?? 0;
}
