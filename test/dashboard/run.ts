/**
 * `npm run test:dashboard`: the dashboard of the demo network in Chromium, light and dark, narrow and wide: accessible
 * (axe-core), painted at once, without a request to another host, and without JavaScript. `npm run screenshots` does
 * the same, and writes the pictures of the documentation.
 * @module
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { readArguments } from '../support/arguments.ts';
import { type Demo, startDemo } from './demo.ts';

const HELP = `Usage: npm run test:dashboard -- [options]

The dashboard of the demo network in Chromium (Debian's package chromium).

Options:
  --write          Write the pictures to docs/images.
  --port-offset N  Of the demo network. By default 4000.
  --paint MS       Most time to the first paint, for machines that do other things besides. By default 300.
  --help           Say this.
`;

const CHROMIUM = '/usr/bin/chromium';
const ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-dev-shm-usage'];
const IMAGES = join(import.meta.dirname, '../../docs/images');
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** Time for numbers to come in before the pictures. */
const WARM_UP_MS = 45_000;

const PAGES = ['', 'network', 'traffic', 'purges', 'jobs', 'explain?url='];
const PICTURES: readonly string[] = [
  'overview light 1400',
  'overview dark 1400',
  'overview light 400',
  'network light 1400',
  'traffic light 1400',
  'purges light 1400',
];

const given = readArguments('test:dashboard', HELP, { 'port-offset': '4000', paint: '300' }, { flags: ['write'] });
const write = given.flags.has('write');
const maxPaintMs = given.whole('paint', 1, 60_000);

let failures = 0;

function check(ok: boolean, what: string): void {
  if (!ok) failures++;
  if (!ok) process.stdout.write(`not ok: ${what}\n`);
}

async function main(): Promise<void> {
  if (!existsSync(CHROMIUM)) throw new Error(`${CHROMIUM} is missing: apt-get install chromium`);
  const demo = await startDemo(given.whole('port-offset', 0, 50_000));
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });
  try {
    if (write) await new Promise((resolve) => setTimeout(resolve, WARM_UP_MS));
    await purgeSomething(browser, demo);
    for (const theme of ['light', 'dark'] as const) {
      for (const width of [1_400, 400]) await look(browser, demo, theme, width);
    }
    await withoutScripts(browser, demo);
  } finally {
    await browser.close();
    await demo.close();
  }
  process.stdout.write(failures === 0 ? 'All is well.\n' : `${failures} checks have failed.\n`);
  process.exitCode = failures === 0 ? 0 : 1;
}

async function signIn(page: Page, { control, token }: Demo): Promise<void> {
  await page.goto(`${control}/dashboard/`);
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
}

/** All pages in one form. */
async function look(browser: Browser, demo: Demo, colorScheme: 'light' | 'dark', width: number): Promise<void> {
  const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 }, reducedMotion: 'reduce' });
  const page = await context.newPage();
  const foreign: string[] = [];
  const errors: string[] = [];
  page.on('request', (request) => {
    if (!request.url().startsWith(`${demo.control}/`) && !request.url().startsWith('data:'))
      foreign.push(request.url());
  });
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') errors.push(message.text());
  });
  page.on('pageerror', (error) => errors.push(String(error)));
  await signIn(page, demo);
  for (const path of PAGES) {
    const name = path === '' ? 'overview' : (path.split('?')[0] as string);
    const form = `${name} ${colorScheme} ${width}`;
    const url = path.endsWith('url=') ? `${path}${encodeURIComponent(`${demo.edges[0]}/`)}` : path;
    await page.goto(`${demo.control}/dashboard/${url}`);
    if (name !== 'explain') await page.getByText(/^live, /).waitFor();
    if (name === 'overview') await page.locator('.plot canvas').nth(3).waitFor();
    await page.waitForFunction("performance.getEntriesByName('first-contentful-paint').length > 0", undefined, {
      polling: 100,
    });
    const paint = await page.evaluate<number>(
      "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Infinity",
    );
    check(paint <= maxPaintMs, `${form}: first paint after ${Math.round(paint)} ms`);
    const isTooWide = await page.evaluate<boolean>('document.documentElement.scrollWidth > innerWidth');
    check(!isTooWide, `${form}: it is wider than its window`);
    const violations = await accessibility(page);
    check(violations.length === 0, `${form}: axe-core: ${violations.join('; ')}`);
    process.stdout.write(`${form}: first paint ${Math.round(paint)} ms, axe-core: ${violations.length} violations\n`);
    if (write && PICTURES.includes(form)) await picture(page, name, colorScheme, width);
  }
  check(foreign.length === 0, `requests to other hosts: ${foreign.join(' ')}`);
  check(errors.length === 0, `errors of the browser: ${errors.join('; ')}`);
  await context.close();
}

async function accessibility(page: Page): Promise<string[]> {
  // By the protocol of the debugger: the policy of the page lets no other script run.
  await page.evaluate(AXE);
  const { violations } = await page.evaluate<{
    violations: { id: string; nodes: { html: string; failureSummary?: string }[] }[];
  }>("axe.run(document, { resultTypes: ['violations'] })");
  return violations.map(
    ({ id, nodes }) => `${id} (${nodes[0]?.html.slice(0, 120)}: ${nodes[0]?.failureSummary ?? ''})`,
  );
}

async function picture(page: Page, name: string, theme: string, width: number): Promise<void> {
  mkdirSync(IMAGES, { recursive: true });
  const path = join(IMAGES, `dashboard-${name}-${theme}${width < 1_000 ? '-narrow' : ''}.png`);
  await page.screenshot({ path, fullPage: width < 1_000 });
  process.stdout.write(`${path}\n`);
}

async function purgeSomething(browser: Browser, demo: Demo): Promise<void> {
  const context = await browser.newContext();
  const page = await context.newPage();
  await signIn(page, demo);
  await page.goto(`${demo.control}/dashboard/purges`);
  await page.getByLabel('What').selectOption('files');
  await page.getByLabel('Names, one a line').fill(`${demo.edges[0]}/`);
  await page.getByLabel('Reason').fill('headline changed');
  await page.getByRole('button', { name: 'Purge' }).click();
  const answer = await page.getByText(/is in the journal/).textContent();
  check(answer?.includes('nodes have applied it') === true, `the purge form says: ${answer}`);
  await page
    .getByText(/applied, 5 of 5/)
    .first()
    .waitFor();
  await context.close();
}

/** Tables and forms, as the server makes them. */
async function withoutScripts(browser: Browser, demo: Demo): Promise<void> {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await signIn(page, demo);
  check((await page.getByRole('table').count()) > 0, 'without JavaScript: the overview has tables');
  check(/\d/.test((await page.locator('.tiles').textContent()) ?? ''), 'without JavaScript: numbers are there');
  for (const [path, text] of [
    ['network', /eu-1/],
    ['traffic', /127\.0\.0\.1/],
    ['purges', /headline changed/],
  ] as const) {
    await page.goto(`${demo.control}/dashboard/${path}`);
    check(text.test((await page.locator('#live').textContent()) ?? ''), `without JavaScript: ${path}`);
  }
  await page.goto(`${demo.control}/dashboard/network`);
  await page.getByRole('button', { name: 'Drain us' }).click();
  check((await page.getByText('Region us is drained.').count()) > 0, 'without JavaScript: a region is drained');
  await page.getByRole('button', { name: 'Let visitors come back to us' }).click();
  check((await page.getByText('Visitors come back').count()) > 0, 'without JavaScript: it is drained no more');
  process.stdout.write('without JavaScript: tables, purge and drain\n');
  await context.close();
}

await main();
