import { test } from 'tap';
import type { ReadyLine } from '../../cli/ready.ts';
import type { Receipt } from '../../control/schemas.ts';
import { regionFile, seawall } from './one-region.ts';
import { startCommand } from './process.ts';

test('a token is created, used, listed and revoked', async (t) => {
  const file = regionFile(t);
  const { ready } = await startCommand<ReadyLine>(t, 'cli/seawall.ts', ['start', file]);
  const env = { SEAWALL_CONTROL: `http://${ready.nodes[0]?.control}` };

  const made = await seawall(['token', 'create', file, '--name', 'deploy', '--site', 'shop', '--kind', 'url']);
  t.equal(made.code, 0);
  const text = made.stdout.trim();
  t.match(text, /^swt_[0-9a-f]{16}_[\w-]{43}$/);
  t.match(made.stderrLines, [/^deploy: shop; url\. This is the only time/]);

  const args = ['purge', '--url', 'https://www.example.com/a', '--url', 'https://www.example.com/b'];
  const done = await seawall([...args, '--soft'], { ...env, SEAWALL_TOKEN: text });
  t.equal(done.code, 0, done.stderrLines.join('\n'));
  t.match(done.stdout, /^Soft purge of 2 URLs, numbers 1 to 2: applied everywhere$/m);

  const json = await seawall([...args, '--json', '--token', text], env);
  t.match(JSON.parse(json.stdout) as Receipt, { first: 3, last: 4, kinds: { url: 2 } });

  const refused = await seawall(['purge', '--site', 'shop', '--tag', 'a'], { ...env, SEAWALL_TOKEN: text });
  t.equal(refused.code, 1);
  t.match(refused.stderrLines, [/does not allow/, /^seawall: --tag: this token may not purge by tag\. Fix: /]);

  const urls = ['purge', '--url', 'https://www.example.com/a', '--url', '/a'];
  t.match((await seawall(urls, { ...env, SEAWALL_TOKEN: text })).stderrLines, [
    /no stored response can match/,
    /^seawall: --url \(number 2\): this is not a whole URL\. Fix: /,
  ]);
  const tag = await seawall(['purge', '--tag', 'a'], { ...env, SEAWALL_TOKEN: text });
  t.match(tag.stderrLines, [
    /no stored response can match/,
    'seawall: --tag: a tag belongs to a site. Fix: Add --site.',
  ]);

  const id = text.split('_')[1] ?? '';
  t.match((await seawall(['token', 'list', file])).stdout, new RegExp(`^${id}  deploy: shop; url$`, 'm'));
  t.equal((await seawall(['token', 'revoke', file, id])).code, 0);
  t.equal((await seawall(['token', 'revoke', file, id])).code, 1);
  t.match((await seawall(['token', 'list', file])).stdout, /\(revoked\)/);
  t.equal((await seawall(args, { ...env, SEAWALL_TOKEN: text })).code, 1);
});
