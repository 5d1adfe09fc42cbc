/**
 * A person at a real browser: Debian's Chromium, in which WordPress' own
 * scripts make the requests, and whose own cache takes part.
 * @module
 */
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { HOST } from '../support/visitor.ts';
import { ADMIN, type Journey } from './stage.ts';

const PROGRAM = '/usr/bin/chromium';

const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
];

/** The scripts of the editor, as far as they are used here. */
interface Editor {
  readonly data: {
    dispatch(store: string): { trashPost(): Promise<void>; editPost(edits: object): void; savePost(): Promise<void> };
    select(store: string): { getCurrentPostId(): number | null | undefined };
  };
}

export const inChromium: Journey = async (t, stage) => {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: apt-get install chromium`);
  const { path, id } = await stage.post('edited');
  const map = `--host-resolver-rules=MAP ${HOST} 127.0.0.1:${stage.port('eu-2')}`;
  const browser = await chromium.launch({ executablePath: PROGRAM, args: [...ARGUMENTS, map] });
  t.teardown(() => browser.close());
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  const at = (target: string): string => `https://${HOST}${target}`;

  await page.goto(at(path));
  t.equal(await page.locator('#wpadminbar').count(), 0);
  await page.goto(at('/wp-login.php'));
  await page.fill('#user_login', ADMIN.user);
  await page.fill('#user_pass', ADMIN.password);
  await Promise.all([page.waitForURL(at('/wp-admin/')), page.click('#wp-submit')]);
  await page.goto(at(path));
  t.equal(await page.locator('#wpadminbar').count(), 1, 'the browser does not show what it had before the login');

  await page.goto(at(`/wp-admin/post.php?post=${id}&action=edit`));
  await page.waitForFunction(() => {
    const { wp } = globalThis as unknown as { wp?: Editor };
    return typeof wp?.data?.select('core/editor')?.getCurrentPostId() === 'number';
  });
  await page.evaluate(async () => {
    const { dispatch } = (globalThis as unknown as { wp: Editor }).wp.data;
    dispatch('core/editor').editPost({ title: 'Title from the editor' });
    await dispatch('core/editor').savePost();
  });
  t.equal(await stage.wordpress.php(`echo get_post(${id})->post_title;`), 'Title from the editor', 'the editor saves');
  const [request] = await Promise.all([
    page.waitForRequest((one) => one.headers()['x-http-method-override'] === 'DELETE'),
    // The editor leaves for the list of posts once the post is deleted, and takes this page's scripts along.
    page.waitForURL(`**/wp-admin/edit.php?trashed=1&**`),
    page.evaluate(() => {
      void (globalThis as unknown as { wp: Editor }).wp.data.dispatch('core/editor').trashPost();
    }),
  ]);
  t.equal(request.method(), 'POST');
  t.equal((await request.response())?.status(), 200);
  t.equal(await stage.wordpress.php(`echo get_post_status(${id});`), 'trash', 'the editor deletes');

  await page.goto(at('/'));
  await page.locator('#wpadminbar').waitFor();
  const link = await page.locator('#wp-admin-bar-logout a').getAttribute('href');
  await page.goto(link ?? '');
  await page.goto(at('/'));
  t.equal(await page.locator('#wpadminbar').count(), 0, 'nor, after it has logged out, what it had before');
  t.strictSame(problems, []);
  await stage.stranger(t, '/');
};
