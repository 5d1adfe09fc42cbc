/**
 * Twelve ways in which people use WordPress.
 * @module
 */
import type { Test } from 'tap';
import type { Browser } from '../support/browser.ts';
import { HOST } from '../support/visitor.ts';
import { picture } from './picture.ts';
import { purgeByPlugins } from './purging.ts';
import { ADMIN, ANALYTICS, AUTHOR, COMMENTER, EDGES, isHit, isPersonal, isStored, type Journey } from './stage.ts';

export const JOURNEYS: Readonly<Record<string, Journey>> = {
  'an anonymous visitor': async (t, stage) => {
    const { path } = await stage.post('anonymous');
    const first = await stage.browse({ cookies: ANALYTICS }).get(path);
    t.equal(first.status, 200);
    t.match(first.text, 'Text of anonymous.');
    t.ok(isStored(first), `a page is stored: ${first.headers['cache-status']}`);
    const second = await stage.browse().get(path);
    t.ok(isHit(second), 'the next visitor gets a hit');
    const third = await stage.browse({ cookies: { ...ANALYTICS, _ga: 'GA1.2.7.8' }, edge: 'eu-2' }).get(path);
    t.ok(isHit(third), 'cookies of analytics make no difference');
    await stage.stranger(t, path);
    t.equal((await stage.origin(path)).length, 1, 'WordPress was asked once');
    for (const [target, status] of [
      ['/no-such-page/', 404],
      [path.slice(0, -1), 301],
      ['/wp-admin/', 302],
      ['/wp-login.php', 200],
    ] as const) {
      t.equal((await stage.stranger(t, target)).status, status);
      const page = await stage.browse().get(target);
      t.notOk(isStored(page) || isHit(page), `${status} is not stored: ${page.headers['cache-status']}`);
    }
    await stage.stranger(t, '/wp-json/');
    t.equal(isHit(await stage.browse().get('/wp-json/')), !stage.rules.isRecipe);
    const css = '/wp-content/themes/twentytwentyone/style.css?ver=1';
    await stage.stranger(t, css);
    const file = await stage.browse().get(css);
    t.ok(isHit(file), 'a file is stored');
    if (stage.rules.isRecipe)
      t.match(file.headers['cache-control'], /^max-age=864\d\d$/, 'a day for browsers, beside its age');
    t.equal(isHit(await stage.browse({ cookies: { other: '1' } }).get(css)), stage.rules.isRecipe, 'for everybody');
    const other = await stage.browse({ cookies: { other: '1' } }).get(path);
    t.equal(
      isHit(other),
      stage.rules.namesCookies === true,
      'a cookie that nobody knows counts, unless those that do are named',
    );
  },

  'a commenter gets the form filled, nobody else': async (t, stage) => {
    const { path, id } = await stage.post('comments');
    await stage.stranger(t, path);
    const visitor = stage.browse({ from: '127.0.0.7' });
    const target = await comment(t, visitor, id, COMMENTER);
    for (const own of [path, target, path]) {
      const page = await visitor.get(own);
      t.match(page.text, `value="${COMMENTER.author}"`, 'the form knows its visitor');
      if (!stage.rules.isRecipe) isPersonal(t, page, `the filled form at ${own} is not shared`);
    }
    if (stage.rules.isRecipe) t.ok(isHit(await visitor.get(path)), 'a commenter has a copy of their own');
    const another = stage.browse({ from: '127.0.0.8', edge: 'eu-2' });
    await comment(t, another, id, { author: 'Dora', email: 'dora@commenter.test' });
    const theirs = await another.get(path);
    t.match(theirs.text, 'value="Dora"', 'another commenter has another form');
    t.notMatch(theirs.text, COMMENTER.email);
    await stage.stranger(t, path); // a comment invalidates the page
    const before = (await stage.origin(path)).length;
    await visitor.get(path);
    const asked = (await stage.origin(path)).length - before;
    t.equal(asked, stage.rules.isRecipe ? 0 : 1);
    const page = await stage.stranger(t, path);
    t.match(page.text, 'name="author"');
    t.ok(isHit(page), 'the anonymous copy is still there');
    t.equal((await stage.origin(path)).length, before + asked);
    const code = `$all = get_comments(['post_id' => ${id}, 'order' => 'ASC']); echo $all[0]->comment_author_IP;`;
    t.equal(await stage.wordpress.php(code), '127.0.0.7', 'WordPress knows the visitor’s own address');

    // Of the page that shows a comment that waits for approval WordPress says `max-age=600`.
    await stage.wordpress.php("update_option('comment_moderation', '1');");
    const third = stage.browse();
    const waiting = await comment(t, third, id, { author: 'Erin', email: 'erin@commenter.test', isRemembered: false });
    await stage.wordpress.php("update_option('comment_moderation', '');");
    t.match(waiting, 'moderation-hash=');
    t.match((await third.get(waiting)).text, 'awaiting moderation');
    t.notMatch((await stage.stranger(t, path)).text, 'A remark of Erin', 'others do not see it');
    if (!stage.rules.isRecipe) return; // the form that another commenter sees at the address of Erin's would be shared
    t.match((await visitor.get(`${waiting}&to=${COMMENTER.author.length}`)).text, `value="${COMMENTER.author}"`);
    await stage.stranger(t, `${waiting}&to=${COMMENTER.author.length}`);
  },

  'a post behind a password': async (t, stage) => {
    const fields = { post_password: 'sesame', post_content: '<p>behind-the-password</p>' };
    for (const order of ['asked for before', 'not asked for before']) {
      const { path } = await stage.post(`password-${order === 'asked for before' ? 'warm' : 'cold'}`, fields);
      if (order === 'asked for before') t.match((await stage.stranger(t, path)).text, 'password protected');
      const reader = stage.browse();
      const answer = await reader.post(
        '/wp-login.php?action=postpass',
        { post_password: 'sesame' },
        { referer: `https://${HOST}${path}` },
      );
      t.equal(answer.status, 302);
      t.ok(reader.cookies.some((name) => name.startsWith('wp-postpass_')));
      for (const time of ['first', 'second']) {
        const page = await reader.get(path);
        t.match(page.text, 'behind-the-password', `${order}: the ${time} view`);
        isPersonal(t, page, 'what stands behind a password is not shared');
      }
      const page = await stage.stranger(t, path);
      t.match(page.text, 'password protected', `${order}: a stranger is asked for it`);
      t.ok(isHit(await stage.browse().get(path)), 'the question itself is stored');
    }
  },

  'an author writes and publishes': async (t, stage) => {
    const author = await stage.logIn(t, AUTHOR, 'eu-2');
    const nonce = await stage.nonce(author);
    const slug = `written-${stage.mark}`;
    const created = await author.send('POST', '/wp-json/wp/v2/posts?_locale=user', {
      headers: { 'content-type': 'application/json', 'x-wp-nonce': nonce },
      body: JSON.stringify({ title: 'Written', slug, content: 'Text of the author.', status: 'publish' }),
    });
    t.equal(created.status, 201, created.text);
    const path = `/${slug}/`;
    const own = await author.get(path);
    t.match(own.text, 'wpadminbar');
    t.match(own.text, AUTHOR.name);
    isPersonal(t, own, 'the author’s view is not shared');
    const page = await stage.stranger(t, path);
    t.match(page.text, 'Text of the author.');
    const again = await author.get(path);
    t.match(again.text, 'wpadminbar', 'the author is not shown the stranger’s copy');
    isPersonal(t, again, 'the author’s view is not shared');
    t.ok(isHit(await stage.browse({ edge: 'eu-2' }).get(path)));
  },

  'an administrator’s view': async (t, stage) => {
    const { path } = await stage.post('warm');
    await stage.stranger(t, path);
    await stage.stranger(t, '/');
    const admin = await stage.logIn(t, ADMIN);
    const pages = [path, '/', '/wp-admin/', '/wp-admin/edit.php', '/wp-login.php', '/?page_id=2'];
    for (const target of pages) {
      const page = await admin.get(target);
      isPersonal(t, page, `the administrator’s view of ${target} is not shared`);
      if (page.status === 200 && target !== '/wp-login.php') t.match(page.text, 'Howdy', target);
    }
    // Hits take other ways through an edge than misses, and other ones in HTTP/1.1.
    for (let i = 0; i < 3; i++) await stage.stranger(t, path);
    for (const edge of EDGES) {
      const own = await stage.overHttp1(edge, path, { Cookie: admin.cookieField('/') });
      t.match(own.text, 'wpadminbar');
      isPersonal(t, own, 'nor is it over HTTP/1.1');
      t.ok(
        isHit(await stage.overHttp1(edge, path, { Cookie: '_ga=GA1.2.3.4' })),
        'a stranger gets a hit over HTTP/1.1',
      );
    }
    // Requests for one cold page at one moment are collapsed; two kinds of visitors are not.
    const cold = (await stage.post('cold')).path;
    const visitors = [admin, stage.browse(), admin, stage.browse({ edge: 'eu-2' }), stage.browse(), admin];
    const views = await Promise.all(visitors.map((visitor) => visitor.get(cold)));
    t.strictSame(
      views.map(({ text }) => text.includes('wpadminbar')),
      visitors.map((visitor) => visitor === admin),
      'each gets a view of their own',
    );
    t.equal((await stage.origin(cold)).filter(({ cookie }) => cookie === '-').length, 1, 'strangers are collapsed');
    for (const headers of [{ range: 'bytes=0-99999' }, { 'if-none-match': '"x"' }, { 'cache-control': 'no-cache' }]) {
      t.match((await admin.get(cold, headers)).text, 'wpadminbar');
    }
    t.equal((await admin.send('HEAD', cold)).status, 200);
    await stage.stranger(t, cold);
    const out = await stage.browse().get('/wp-admin/');
    t.equal(out.status, 302, 'a stranger has to log in');
    for (const target of pages) await stage.stranger(t, target);
    const link = /wp-login\.php\?action=logout[^"']*/.exec((await admin.get('/')).text)?.[0];
    t.equal((await admin.get(`/${link?.replace(/&(?:amp|#038);/g, '&')}`)).status, 302);
    t.notMatch((await admin.get(path)).text, 'wpadminbar', 'who has logged out is a stranger');
  },

  'a preview of a draft': async (t, stage) => {
    const { id } = await stage.post('draft', { post_status: 'draft', post_content: '<p>only-a-draft</p>' });
    const target = `/?p=${id}&preview=true`;
    t.equal((await stage.stranger(t, target)).status, 404);
    const admin = await stage.logIn(t, ADMIN);
    for (const time of ['first', 'second']) {
      const page = await admin.get(target);
      t.equal(page.status, 200, `the ${time} preview`);
      t.match(page.text, 'only-a-draft');
      isPersonal(t, page, 'a preview is not shared');
    }
    t.equal((await stage.stranger(t, target)).status, 404);
    t.equal((await stage.stranger(t, `/?p=${id}`)).status, 404);
  },

  'the search': async (t, stage) => {
    await stage.post('needle', { post_content: `<p>needle${stage.mark} in the hay</p>` });
    await stage.post('needle-draft', {
      post_content: `<p>needle${stage.mark} only-a-draft</p>`,
      post_status: 'private',
    });
    const target = `/?s=needle${stage.mark}`;
    const admin = await stage.logIn(t, ADMIN);
    for (const time of ['cold', 'warm']) {
      const own = await admin.get(target);
      t.match(own.text, 'only-a-draft', `${time}: the administrator finds what is private`);
      isPersonal(t, own, `${time}: the administrator’s search is not shared`);
      const page = await stage.stranger(t, target);
      t.match(page.text, 'in the hay');
    }
    t.notMatch((await stage.stranger(t, `/?s=hay${stage.mark}`)).text, 'in the hay', 'another search is another page');
  },

  'the feed': async (t, stage) => {
    await stage.post('fed', { post_password: 'sesame', post_content: '<p>behind-the-password</p>' });
    const admin = await stage.logIn(t, ADMIN);
    isPersonal(t, await admin.get('/feed/'), 'the administrator’s feed is not shared');
    const feed = await stage.stranger(t, '/feed/');
    t.match(feed.headers['content-type'], 'application/rss+xml');
    t.match(feed.text, '<title>Seawall test</title>');
    const again = await stage.browse().get('/feed/', { 'if-none-match': feed.headers['etag'] ?? '' });
    t.equal(again.status, 304, 'a reader that has it is told so');
    isPersonal(t, await admin.get('/feed/'), 'the administrator’s feed is not shared');
    t.ok(isHit(await stage.browse().get('/feed/')), 'the feed is stored');
    t.equal((await stage.stranger(t, '/comments/feed/')).status, 200);
  },

  'REST, with and without credentials': async (t, stage) => {
    const { id } = await stage.post('rest', { post_status: 'draft', post_content: '<p>only-a-draft</p>' });
    const targets = [
      '/wp-json/wp/v2/users/me',
      `/wp-json/wp/v2/posts/${id}`,
      '/wp-json/wp/v2/users?context=edit',
      '/wp-json/wp/v2/settings',
      '/wp-json/wp/v2/posts?status=draft&context=edit',
    ];
    const admin = await stage.logIn(t, ADMIN);
    const nonce = { 'x-wp-nonce': await stage.nonce(admin) };
    const password = await stage.wordpress.php(
      `echo WP_Application_Passwords::create_new_application_password(1, ['name' => '${stage.mark}'])[0];`,
    );
    const basic = { authorization: `Basic ${Buffer.from(`admin:${password}`).toString('base64')}` };
    const application = stage.browse({ edge: 'eu-2' });
    for (const target of targets) {
      for (const time of ['cold', 'warm']) {
        const withCookie = await admin.get(target, nonce);
        t.equal(withCookie.status, 200, `${time}: ${target} with cookie and nonce`);
        isPersonal(t, withCookie, `${target} with a cookie is not shared`);
        const withPassword = await application.get(target, basic);
        t.equal(withPassword.status, 200, `${time}: ${target} with an application password`);
        isPersonal(t, withPassword, `${target} with Authorization is not shared`);
        t.ok((await stage.stranger(t, target)).status >= 400, `${time}: ${target} is nothing for a stranger`);
      }
    }
    const list = '/wp-json/wp/v2/posts?per_page=2';
    const anonymous = await stage.stranger(t, list);
    t.equal(anonymous.status, 200);
    t.equal(JSON.parse(anonymous.text).length, 2);
    const own = await admin.get(`${list}&context=edit`, nonce);
    t.match(own.text, '"raw":');
    t.equal((await stage.stranger(t, `${list}&context=edit`)).status, 401);
  },

  'an upload of several megabytes': async (t, stage) => {
    const author = await stage.logIn(t, AUTHOR);
    const nonce = await stage.nonce(author);
    const file = picture(1_300);
    t.ok(file.length > 5_000_000, `${file.length} bytes`);
    const uploaded = await author.send('POST', '/wp-json/wp/v2/media', {
      headers: {
        'content-type': 'image/png',
        'content-disposition': `attachment; filename="picture-${stage.mark}.png"`,
        'x-wp-nonce': nonce,
      },
      body: file,
    });
    t.equal(uploaded.status, 201, uploaded.text.slice(0, 500));
    isPersonal(t, uploaded, 'the answer to an upload is not shared');
    const { source_url: url, media_details: details } = JSON.parse(uploaded.text);
    const path = new URL(url).pathname;
    const page = await stage.stranger(t, path);
    t.ok(page.body.equals(file), 'a stranger gets the file that was uploaded');
    const hit = await stage.browse({ cookies: ANALYTICS }).get(path);
    t.ok(isHit(hit), 'the file is stored');
    t.ok(hit.body.equals(file));
    const small = new URL(details.sizes.thumbnail.source_url).pathname;
    t.equal((await stage.stranger(t, small)).headers['content-type'], 'image/png');
    const own = await author.get(path);
    t.ok(own.body.equals(file));
    if (stage.rules.isRecipe) t.ok(isHit(own), 'files are shared with those who have logged in');
  },

  'a deletion in the editor': async (t, stage) => {
    const { path, id } = await stage.post('deleted');
    t.equal((await stage.stranger(t, path)).status, 200);
    const admin = await stage.logIn(t, ADMIN);
    const nonce = await stage.nonce(admin);
    const answer = await admin.send('POST', `/wp-json/wp/v2/posts/${id}?_locale=user`, {
      headers: { 'x-wp-nonce': nonce, 'x-http-method-override': 'DELETE', 'content-type': 'application/json' },
      body: '',
    });
    t.equal(answer.status, 200, answer.text);
    t.equal(await stage.wordpress.php(`echo get_post_status(${id});`), 'trash', 'the post is in the trash');
    isPersonal(t, answer, 'the answer to a deletion is not shared');
    // The method in the address does without the field.
    const second = await stage.post('deleted-otherwise');
    const other = await admin.send('POST', `/wp-json/wp/v2/posts/${second.id}?_method=DELETE`, {
      headers: { 'x-wp-nonce': nonce },
    });
    t.equal(other.status, 200, other.text);
    t.equal(await stage.wordpress.php(`echo get_post_status(${second.id});`), 'trash');
    t.equal((await stage.stranger(t, second.path)).status, 404);
    // A stranger may not, with either.
    const third = await stage.post('kept');
    for (const [target, headers] of [
      [`/wp-json/wp/v2/posts/${third.id}`, { 'x-http-method-override': 'DELETE' }],
      [`/wp-json/wp/v2/posts/${third.id}?_method=DELETE`, {}],
    ] as const) {
      t.equal((await stage.browse().send('POST', target, { headers })).status, 401);
      t.not((await stage.browse().get(target, headers)).text.includes('"deleted"'), true);
      t.match((await stage.stranger(t, `/wp-json/wp/v2/posts/${third.id}`)).text, 'Text of kept.');
    }
    t.equal(await stage.wordpress.php(`echo get_post_status(${third.id});`), 'publish');
  },

  'PURGE by three plugins': purgeByPlugins,
};

interface Comment {
  readonly author: string;
  readonly email: string;
  /** True to tick "Remember me". */
  readonly isRemembered?: boolean;
}

/** Leaves a comment. @returns The target of the page that shows it. */
async function comment(t: Test, visitor: Browser, post: string, of: Comment): Promise<string> {
  const { author, email, isRemembered = true } = of;
  const answer = await visitor.post('/wp-comments-post.php', {
    ...{ author, email, url: '', comment: `A remark of ${author} on ${post}.`, comment_post_ID: post },
    ...(isRemembered && { 'wp-comment-cookies-consent': 'yes' }),
  });
  t.equal(answer.status, 302, answer.text);
  t.equal(visitor.cookies.filter((name) => name.startsWith('comment_author_')).length, isRemembered ? 2 : 0);
  const { pathname, search } = new URL(answer.headers['location'] as string);
  return pathname + search;
}
