/**
 * Purges through the whole network: from the API, by PURGE, and from the
 * origin itself; every tier forgets, in every region.
 */
import { createHash } from 'node:crypto';
import { copyFileSync } from 'node:fs';
import { type Test, test } from 'tap';
import { regionSchema } from '../../config/schema.ts';
import { type ControlNode, startControl } from '../../control/node.ts';
import { journalClient } from '../../journal/client.ts';
import type { Purge } from '../../journal/journal.ts';
import { createLog } from '../../telemetry/log.ts';
import { filesOfNetwork, type Network, type NetworkOptions, SECRET, startNetwork } from '../support/network.ts';
import { startOrigin } from '../support/origin.ts';
import { ask, HOST } from '../support/visitor.ts';

const log = createLog({ name: 'journey', level: 'silent' });

const EDGES = ['eu-1', 'eu-2', 'us-1', 'us-2'];

interface Content {
  value: string;
  fields: Record<string, string>;
  /** Resolves when the origin may answer. */
  hold?: (url: string) => Promise<void>;
}

interface Stage {
  readonly network: Network;
  readonly control: TestControl;
  /** Current content of the origin; each answer also has its number. */
  readonly content: Content;
  readonly requests: () => number;
  /** @returns What each edge serves for the path. */
  everywhere(path: string): Promise<string[]>;
}

const REGIONS = { eu: 2, us: 2 };

/** Two regions, a shield, a control node, and an origin whose answers live for an hour. */
async function stage(t: Test, site: NetworkOptions['site'] = {}): Promise<Stage> {
  const content: Content = { value: 'old', fields: {} };
  let requests = 0;
  const origin = await startOrigin(async (request, response) => {
    if (request.method === 'GET') requests++;
    const { value, fields, hold } = content;
    await hold?.(request.url ?? '');
    response.writeHead(200, { 'Cache-Control': 'max-age=3600', ...fields }).end(value);
  });
  t.teardown(() => origin.close());
  const control = await startTestControl(t);
  const network = await startNetwork({ origin: origin.url, journal: control.address, site, regions: REGIONS });
  t.teardown(() => network.close());
  const everywhere = async (path: string): Promise<string[]> => {
    const replies = await Promise.all(EDGES.map((name) => ask(network.at(name), path)));
    return replies.map(({ body }) => body.toString());
  };
  const on = { network, control, content, requests: () => requests, everywhere };
  // A first purge, of nothing: once all have applied it, what they store counts in this journal.
  await purgeNothing(control.address);
  await allFollow(on, 1);
  return on;
}

interface TestControl {
  readonly address: string;
  readonly journalFile: string;
  /** Ends it, and starts it again at the same address. */
  restart(meanwhile?: () => unknown): Promise<void>;
}

async function startTestControl(t: Test): Promise<TestControl> {
  const data = t.testdir({});
  let listen = '127.0.0.1:0';
  const start = async (): Promise<ControlNode> => {
    const parsed = regionSchema.parse({
      region: 'main',
      tier_secret: SECRET,
      control: { listen, data },
      sites: [{ name: 'site', hosts: [HOST], origin: { servers: [{ url: 'http://127.0.0.1:1' }] } }],
    });
    const file = `${t.testdirName}/region.yaml`;
    const region = { ...parsed, file, sites: parsed.sites as never, reachableShields: [] };
    if (region.control === undefined) throw new Error('no control node');
    return startControl({
      region,
      control: region.control,
      regions: [region, ...filesOfNetwork({ regions: REGIONS })],
      log,
    });
  };
  let node = await start();
  listen = node.address;
  t.teardown(() => node.close());
  return {
    address: listen,
    journalFile: `${data}/journal.sqlite`,
    async restart(meanwhile) {
      await node.close();
      await meanwhile?.();
      node = await start();
    },
  };
}

function purgeNothing(address: string): Promise<void> {
  return append(address, { kind: 'tag', selector: 'nothing' });
}

async function append(address: string, purge: Pick<Purge, 'kind' | 'selector'>): Promise<void> {
  const appender = journalClient({ url: `http://${address}`, secret: SECRET, node: 'eu-1' });
  await appender.append([{ site: 'site', ...purge, soft: false, who: 'test', why: '' }]);
  await appender.close();
}

/** Every node has heard of the journal, so that what it stores from now on counts in it. */
async function allFollow({ network }: Stage, seq: number): Promise<void> {
  const nodes = [...network.edges, ...network.shields].map(({ name }) => name);
  while (
    !(await Promise.all(nodes.map((name) => network.metric(name, 'seawall_purges_applied')))).every((n) => n >= seq)
  ) {
    await new Promise((resolve) => void setImmediate(resolve)); // the node tells only when asked
  }
}

const TOKEN = 'let-me-purge';
const OPEN = {
  purge_method: { from: ['127.0.0.1'], token_sha256: [createHash('sha256').update(TOKEN).digest('hex')] },
};

test('a PURGE at one edge purges everywhere', async (t) => {
  const on = await stage(t, OPEN);
  t.same(await on.everywhere('/page'), ['old', 'old', 'old', 'old']);
  const fetched = on.requests();
  on.content.value = 'new';
  t.same(await on.everywhere('/page'), ['old', 'old', 'old', 'old'], 'it is stored');
  t.equal(on.requests(), fetched);

  const headers = { 'X-Purge-Token': TOKEN };
  const purged = await ask(on.network.at('us-2'), '/page', { method: 'PURGE', headers });
  t.equal(purged.status, 200);
  await allFollow(on, 2);
  t.same(await on.everywhere('/page'), ['new', 'new', 'new', 'new']);
  t.equal(on.requests(), fetched + 1, 'one fetch for all');
});

test('PURGE works below a path and by tag', async (t) => {
  const on = await stage(t, OPEN);
  on.content.fields = { 'Cache-Tag': 'news' };
  for (const path of ['/a/1', '/a/2', '/b']) await on.everywhere(path);
  on.content.value = 'new';
  const headers = { Authorization: `Bearer ${TOKEN}` };
  await ask(on.network.at('eu-1'), '/a/.*', { method: 'PURGE', headers: { ...headers, 'X-Purge-Method': 'regex' } });
  await allFollow(on, 2);
  t.same(await on.everywhere('/a/1'), ['new', 'new', 'new', 'new']);
  t.same(await on.everywhere('/a/2'), ['new', 'new', 'new', 'new']);
  t.same(await on.everywhere('/b'), ['old', 'old', 'old', 'old'], 'what is elsewhere stays');

  await ask(on.network.at('eu-1'), '/', { method: 'PURGE', headers: { ...headers, 'Cache-Tag': 'news' } });
  await allFollow(on, 3);
  t.same(await on.everywhere('/b'), ['new', 'new', 'new', 'new']);
});

test('PURGE of an asterisk purges nothing, and the answer says what to write', async (t) => {
  const on = await stage(t, OPEN);
  await on.everywhere('/page');
  on.content.value = 'new';
  const headers = { Authorization: `Bearer ${TOKEN}`, Accept: 'text/plain' };
  const refused = await ask(on.network.at('eu-1'), '/*', { method: 'PURGE', headers });
  t.equal(refused.status, 400);
  t.match(refused.headers['cache-status'], /detail=bad_purge/);
  t.match(refused.text, /a path that ends with \.\* and X-Purge-Method: regex/);
  t.same(await on.everywhere('/page'), ['old', 'old', 'old', 'old']);
  const purged = await ask(on.network.at('eu-1'), '/.*', { method: 'PURGE', headers });
  t.equal(purged.status, 200);
  await allFollow(on, 2);
  t.same(await on.everywhere('/page'), ['new', 'new', 'new', 'new']);
});

test('PURGE is refused unless the site allows it, from other addresses, and without a token; it never reaches the origin', async (t) => {
  const closed = await stage(t);
  const refused = await ask(closed.network.at('eu-1'), '/page', { method: 'PURGE' });
  t.equal(refused.status, 405);
  closed.network.reload({ purge_method: { from: ['10.0.0.0/8'] } });
  t.equal((await ask(closed.network.at('eu-1'), '/page', { method: 'PURGE' })).status, 403);
  closed.network.reload(OPEN);
  t.equal((await ask(closed.network.at('eu-1'), '/page', { method: 'PURGE' })).status, 403);
  const wrong = { 'X-Purge-Token': 'guess' };
  t.equal((await ask(closed.network.at('eu-1'), '/page', { method: 'PURGE', headers: wrong })).status, 403);
  t.equal(closed.requests(), 0);
});

test('an origin invalidates a group in every region (RFC 9875)', async (t) => {
  const on = await stage(t);
  on.content.fields = { 'Cache-Groups': '"prices"' };
  await on.everywhere('/list');
  on.content.fields = {};
  await on.everywhere('/other');
  on.content.value = 'new';
  on.content.fields = { 'Cache-Group-Invalidation': '"prices"' };
  await ask(on.network.at('us-1'), '/change', { method: 'POST', body: 'x' });
  await allFollow(on, 2);
  t.same(await on.everywhere('/list'), ['new', 'new', 'new', 'new']);
  t.same(await on.everywhere('/other'), ['old', 'old', 'old', 'old']);
});

test('an origin invalidates as many groups as it can name, and one that is too long does not affect the others', async (t) => {
  const on = await stage(t);
  on.content.fields = { 'Cache-Groups': '"prices"' };
  await on.everywhere('/list');
  on.content.value = 'new';
  const names = [...Array.from({ length: 5_000 }, (_, i) => `group-${i}`), 'x'.repeat(20_000), 'prices'];
  on.content.fields = { 'Cache-Group-Invalidation': names.map((name) => `"${name}"`).join(',') };
  const changed = await ask(on.network.at('us-1'), '/change', { method: 'POST', body: 'x' });
  t.equal(changed.status, 200);
  t.ok((await on.network.metric('shield-1', 'seawall_purges_applied')) > 5_000, 'before the answer is given');
  await allFollow(on, 5_002); // 1 is of the stage
  t.same(await on.everywhere('/list'), ['new', 'new', 'new', 'new']);
});

test('an invalidation by the origin while the control node is down takes effect when it is back', async (t) => {
  const on = await stage(t);
  on.content.fields = { 'Cache-Groups': '"prices"' };
  await on.everywhere('/list');
  on.content.fields = { 'Cache-Groups': '"names"' };
  await on.everywhere('/names');
  on.content.value = 'new';
  await on.control.restart(async () => {
    for (const group of ['"prices"', '"names", "prices"']) {
      on.content.fields = { 'Cache-Group-Invalidation': group };
      const changed = await ask(on.network.at('us-1'), '/change', { method: 'POST', body: 'x' });
      t.equal(changed.status, 200, 'the origin has done its part');
    }
  });
  await allFollow(on, 3); // 1 is of the stage
  for (const path of ['/list', '/names']) t.same(await on.everywhere(path), ['new', 'new', 'new', 'new'], path);
});

test('tags stay in the network unless the site shows them', async (t) => {
  const on = await stage(t);
  on.content.fields = { 'Cache-Tag': 'a,b', 'Surrogate-Key': 'c d', xkey: 'e' };
  const hidden = await ask(on.network.at('eu-1'), '/page');
  t.hasStrict(hidden.headers, { 'cache-tag': undefined, 'surrogate-key': undefined, xkey: undefined });
  on.network.reload({ tags: { visible: true } });
  const shown = await ask(on.network.at('eu-1'), '/page');
  t.equal(shown.headers['cache-tag'], 'a,b');
});

test('restarting the control node costs nothing; restoring an older copy makes nodes revalidate', async (t) => {
  const on = await stage(t);
  const { address, journalFile, restart } = on.control;
  await on.everywhere('/page');
  const fetched = on.requests();
  on.content.value = 'new';
  const copy = `${journalFile}.copy`;
  await restart(() => copyFileSync(journalFile, copy));
  t.same(await on.everywhere('/page'), ['old', 'old', 'old', 'old'], 'whether they have noticed or not');
  for (const seq of [2, 3]) {
    await purgeNothing(address);
    await allFollow(on, seq);
    t.same(await on.everywhere('/page'), ['old', 'old', 'old', 'old'], `at ${seq} of the next term`);
  }
  t.equal(on.requests(), fetched);

  await restart(() => copyFileSync(copy, journalFile));
  for (let seq = 2; seq <= 4; seq++) await purgeNothing(address); // 2 and 3 once more
  await allFollow(on, 4);
  t.same(await on.everywhere('/page'), ['new', 'new', 'new', 'new']);
});

test('a purge of a URL takes the copies of all cookies and encodings', async (t) => {
  const on = await stage(t, { ...OPEN, rules: [{ cookies: 'key', ttl: '1h' }] });
  on.content.fields = { 'Cache-Control': '', 'Content-Encoding': 'br' };
  const visitors = [{}, { Cookie: 'a=1' }, { Cookie: 'a=2', 'Accept-Encoding': 'br' }, { Cookie: 'a=1; b=2' }];
  const askAll = (): Promise<string[]> =>
    Promise.all(
      visitors.flatMap((headers) =>
        EDGES.map(async (name) => (await ask(on.network.at(name), '/page', { headers })).body.toString()),
      ),
    );
  t.ok((await askAll()).every((body) => body === 'old'));
  const requests = on.requests();
  on.content.value = 'new';
  t.ok(
    (await askAll()).every((body) => body === 'old'),
    'all are kept',
  );
  t.equal(on.requests(), requests);
  await ask(on.network.at('eu-1'), '/page', { method: 'PURGE', headers: { 'X-Purge-Token': TOKEN } });
  await allFollow(on, 2);
  t.ok((await askAll()).every((body) => body === 'new'));
});

test('a purge by pattern takes what fits in every tier and region, a fill in flight as well, and nothing else', async (t) => {
  const on = await stage(t);
  const paths = ['/a/one.css', '/a/b/two.css?v=1', '/a/one.js', '/css'];
  const all = async (): Promise<string[]> => (await Promise.all(paths.map((path) => on.everywhere(path)))).flat();
  t.ok((await all()).every((body) => body === 'old'));
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  on.content.hold = async (url) => {
    if (url !== '/a/slow.css') return;
    asked.resolve();
    await held;
  };
  const slow = ask(on.network.at('eu-1'), '/a/slow.css');
  await asked.promise;
  await append(on.control.address, { kind: 'pattern', selector: `//${HOST}/a/*.css*` });
  await allFollow(on, 2);
  letGo();
  t.equal((await slow).body.toString(), 'old', 'it was asked for before');
  on.content.value = 'new';
  const [css, query, js, other] = await Promise.all(paths.map((path) => on.everywhere(path)));
  t.ok([...(css ?? []), ...(query ?? [])].every((body) => body === 'new'));
  t.ok([...(js ?? []), ...(other ?? [])].every((body) => body === 'old'));
  t.ok(
    (await on.everywhere('/a/slow.css')).every((body) => body === 'new'),
    'what was fetched meanwhile',
  );
});
