/**
 * Attacks and accidents.
 * @module
 */
import { ask } from '../support/visitor.ts';
import { ADMIN, EDGES, isPersonal, type Journey } from './stage.ts';

export const ATTACKS: Readonly<Record<string, Journey>> = {
  'a cookie in other spellings': async (t, stage) => {
    const { path } = await stage.post('spelled');
    const admin = await stage.logIn(t, ADMIN);
    const name = admin.cookies.find((one) => one.startsWith('wordpress_logged_in_')) as string;
    const all = spellings(name, admin.cookie(name));
    let taken = 0;
    for (const [i, cookie] of all.entries()) {
      const target = `${path}?spelling=${i}`;
      const page = await stage.browse({ edge: EDGES[i % 2] as string }).get(target, { cookie });
      if (page.text.includes('wpadminbar')) {
        taken++;
        isPersonal(t, page, `WordPress reads ${cookie.replace(admin.cookie(name), '…')}`);
      }
      await stage.stranger(t, target);
    }
    t.ok(taken >= 8, `WordPress takes ${taken} of ${all.length} for the cookie`);
  },

  'pages that are spelled as files': async (t, stage) => {
    const admin = await stage.logIn(t, ADMIN);
    const nonce = await stage.nonce(admin);
    for (const target of DISGUISED) {
      await admin.get(target);
      await admin.get(target, { 'x-wp-nonce': nonce });
      await stage.stranger(t, target);
    }
  },

  'WordPress is out of order': async (t, stage) => {
    if (!stage.rules.isRecipe) return;
    const { path } = await stage.post('lasting');
    await stage.stranger(t, path);
    const admin = await stage.logIn(t, ADMIN);
    t.match((await admin.get(path)).text, 'wpadminbar');
    const applied = await stage.applied();
    const headers = { 'Fastly-Soft-Purge': '1' };
    t.equal((await ask(stage.network.at('eu-1'), path, { method: 'PURGE', headers })).status, 200);
    await stage.hasApplied(applied + 1);
    await stage.wordpress.php("update_option('tests_fail', '1');");
    t.equal((await admin.get(path)).status, 500, 'the administrator is not given what strangers get');
    const page = await stage.stranger(t, path);
    t.equal(page.status, 200);
    t.match(page.text, 'Text of lasting.', 'strangers get the page as it was');
    t.equal((await admin.get(path)).status, 500);
    await stage.wordpress.php("delete_option('tests_fail');");
    t.match((await admin.get(path)).text, 'wpadminbar');
    t.match((await stage.stranger(t, path)).text, 'Text of lasting.');
  },
};

/** One cookie as clients may write it: PHP takes most of these for the same one. */
function spellings(name: string, value: string): string[] {
  const [first = '', ...rest] = name.split('_');
  const tail = rest.join('_');
  return [
    `${name}=${value}`,
    ...['.', ' ', '[', '%5F', '%5f', '%2E', '%20'].map((mark) => `${first}${mark}${tail}=${value}`),
    `%77${name.slice(1)}=${value}`,
    `${name} =${value}`,
    `${name}= ${value}`,
    `${name}="${value}"`,
    `${name.toUpperCase()}=${value}`,
    `_ga=1;${name}=${value}`,
    `_ga=1;;\t${name}=${value}`,
    `_ga=1, ${name}=${value}`,
    `_ga="1; ${name}=${value}"`,
    `_ga="\\"; ${name}=${value}`,
    `_ga=1 ${name}=${value}`,
    `_ga; ${name}=${value}`,
    `=1; ${name}=${value}`,
    `$Version=1; ${name}=${value}`,
    `${name}=x; ${name}=${value}`,
    `${name}=${value}; ${name}=x`,
    `${name}[0]=x; ${name}=${value}`,
    `_ga[${name}]=${value}; ${name}=${value}`,
  ];
}

/** Pages of the back office and of the site, spelled as if they were files. */
const DISGUISED = [
  '/x.css',
  '/index.php/x.css',
  '/index.php%2fx.css',
  '/wp-admin/x.css',
  '/wp-admin/profile.php/x.css',
  '/wp-admin/profile.php;x.css',
  '/wp-admin/profile.php%3fx.css',
  '/wp-admin/profile.php%23x.css',
  '/wp-admin/profile.php%0ax.css',
  '/wp-admin/profile.php?x.css',
  '//wp-admin/profile.php',
  '/WP-ADMIN/profile.php',
  '/wp-admin%2fprofile.php',
  '/wp-admin/profile.php%00x.css',
  '/?author=1&x.css',
  '/?p=1/x.css',
  '/feed/x.css',
  '/wp-json/wp/v2/users/me/x.css',
  '/?rest_route=/wp/v2/users/me&x.css',
];
