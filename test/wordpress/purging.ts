/**
 * Purges as three plugins send them.
 * @module
 */
import type { Test } from 'tap';
import { HOST } from '../support/visitor.ts';
import { ADMIN, isHit, type Stage } from './stage.ts';

/** Number of PURGE requests that each plugin sends when a post is saved. */
const PLUGINS = { proxy_cache_purge: 2, w3_total_cache: 2, wp_rocket: 3 };

export async function purgeByPlugins(t: Test, stage: Stage): Promise<void> {
  const other = (await stage.post('elsewhere')).path;
  await stage.stranger(t, other);
  const admin = await stage.logIn(t, ADMIN);
  const nonce = await stage.nonce(admin);
  for (const [plugin, count] of Object.entries(PLUGINS)) {
    const server = stage.network.at('eu-2');
    await stage.wordpress.php(`update_option('purge_as', '${JSON.stringify({ plugin, server })}');`);
    const { path, id } = await stage.post(`purged-${plugin.replaceAll('_', '-')}`);
    await stage.wordpress.php("delete_option('purge_as');");
    await stage.stranger(t, path);
    await stage.stranger(t, '/');
    t.ok(isHit(await stage.browse().get(path)), `${plugin}: the post is stored`);
    const commenter = stage.browse({ cookies: { comment_author_1: 'Carla' } });
    await commenter.get(path);
    t.equal(isHit(await commenter.get(path)), stage.rules.isRecipe);
    await stage.wordpress.php(`update_option('purge_as', '${JSON.stringify({ plugin, server })}');`);
    const applied = await stage.applied();
    const saved = await admin.send('POST', `/wp-json/wp/v2/posts/${id}`, {
      headers: { 'content-type': 'application/json', 'x-wp-nonce': nonce },
      body: JSON.stringify({ content: `Changed, and ${plugin} at work.`, title: `By ${plugin}` }),
    });
    t.equal(saved.status, 200, saved.text);
    await stage.hasApplied(applied + count);
    await stage.wordpress.php("delete_option('purge_as');");
    t.match((await stage.stranger(t, path)).text, `and ${plugin} at work`, `${plugin}: the change is seen at once`);
    t.match((await commenter.get(path)).text, `and ${plugin} at work`, `${plugin}: by commenters, too`);
    t.match((await stage.stranger(t, '/')).text, `By ${plugin}`, `${plugin}: on the home page as well`);
    t.ok(isHit(await stage.browse().get(other)), `${plugin}: what is elsewhere stays`);
    // All of the site, as their buttons do.
    const home = JSON.stringify(`https://${HOST}/`);
    await stage.wordpress.php(`purge_as_${plugin}('${server}', ${home}, true);`);
    await stage.hasApplied(applied + count + 1);
    t.notOk(isHit(await stage.browse().get(other)), `${plugin}: its button purges everything`);
    await stage.stranger(t, other);
  }
}
