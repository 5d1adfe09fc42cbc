/**
 * A site that none of this was written for: Debian's nginx serves the Python
 * documentation of Debian's python3-doc, about a thousand files, and a network
 * of two regions is put in front of it.
 */
import { existsSync, globSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { t as all, type Test, test } from 'tap';
import { type Network, type NetworkOptions, startNetwork } from '../support/network.ts';
import { type Nginx, startNginx } from '../support/nginx.ts';
import { ask, type Reply } from '../support/visitor.ts';

all.setTimeout(120_000); // also where it runs by itself, without .taprc

const AT_A_TIME = 16;

/** Fields that identify the representation, and its type. */
const FIELDS = [
  'content-type',
  'content-length',
  'content-encoding',
  'last-modified',
  'etag',
  'accept-ranges',
  'vary',
  'location',
];

/** Besides files: directories with and without their slash, with and without an index page, and what is not there. */
const OTHERS = [
  '/',
  '/library',
  '/library/',
  '/c-api',
  '/_static',
  '/_images/',
  '/no-such-page.html',
  '/no/such/folder/',
];

function documentation(): { root: string; paths: readonly string[] } {
  const found = globSync('/usr/share/doc/python3*/html').filter((folder) => existsSync(join(folder, 'index.html')));
  if (found[0] === undefined) throw new Error('no /usr/share/doc/python3*/html: apt-get install python3-doc');
  const root = realpathSync(found[0]);
  const paths: string[] = [];
  const walk = (folder: string, path: string): void => {
    for (const name of readdirSync(folder)) {
      const file = join(folder, name);
      const stats = statSync(file, { throwIfNoEntry: false }); // follows links; one into a package that is not there is no file
      if (stats?.isDirectory()) walk(file, `${path}${encodeURIComponent(name)}/`);
      else if (stats?.isFile()) paths.push(`${path}${encodeURIComponent(name)}`);
    }
  };
  walk(root, '/');
  return { root, paths };
}

interface Stage {
  readonly nginx: Nginx;
  readonly network: Network;
  readonly paths: readonly string[];
}

async function start(t: Test, options: Partial<NetworkOptions>, settings = ''): Promise<Stage> {
  const { root, paths } = documentation();
  const nginx = await startNginx(root, settings);
  t.teardown(() => nginx.close());
  const network = await startNetwork({
    origin: `http://${nginx.address}`,
    regions: { eu: 2, us: 2 },
    memory: '128MiB',
    ...options,
  });
  t.teardown(() => network.close());
  return { nginx, network, paths };
}

/** Asks for every path. @returns The answers, in order. */
async function askAll(
  paths: readonly string[],
  addressOf: (path: string) => string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Reply[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: AT_A_TIME });
  const replies: Reply[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < paths.length) {
      const place = next++;
      const path = paths[place] as string;
      replies[place] = await ask(addressOf(path), path, { agent, headers });
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  agent.destroy();
  return replies;
}

/** The edge that has to ask another one of its region. */
function nonOwner(network: Network, region: string): (path: string) => string {
  return (path) => network.at(network.owners(path, region)[1] as string);
}

/** @returns Paths of which the answer differs, and in what. */
function differences(paths: readonly string[], own: readonly Reply[], through: readonly Reply[]): string[] {
  return paths.flatMap((path, i) => {
    const [a, b] = [own[i] as Reply, through[i] as Reply];
    // What nginx compresses as it goes has no length for it to announce; what is stored has one.
    const fields =
      a.headers['content-length'] === undefined ? FIELDS.filter((name) => name !== 'content-length') : FIELDS;
    const wrong = fields
      .filter((name) => a.headers[name] !== b.headers[name])
      .map((name) => `${path} ${name}: ${a.headers[name]} / ${b.headers[name]}`);
    if (a.status !== b.status) wrong.push(`${path} status: ${a.status} / ${b.status}`);
    if (!b.complete || !a.body.equals(b.body)) wrong.push(`${path} body: ${a.body.length} / ${b.body.length} bytes`);
    return wrong;
  });
}

test('every file is served twice in two regions, unchanged, and fetched from nginx once', async (t) => {
  const { nginx, network, paths: files } = await start(t, { rules: [{ status: ['2xx', 301, 403, 404], ttl: '1h' }] });
  t.ok(files.length > 900, `${files.length} files`);
  const paths = [...files, ...OTHERS];
  const own = await askAll(paths, () => nginx.address);
  const before = await nginx.requests();

  const first = await askAll(paths, nonOwner(network, 'eu'));
  t.strictSame(differences(paths, own, first), []);
  t.equal((await nginx.requests()) - before, paths.length, 'one request for each');
  t.ok(
    first.every(({ tiers }) => tiers.length === 3),
    'through shield, owner and the edge that was asked',
  );

  // Half of them in the region that has them by now, half in one that has never been asked.
  const region = (path: string): string => (paths.indexOf(path) % 2 === 0 ? 'eu' : 'us');
  const again = await askAll(paths, (path) => nonOwner(network, region(path))(path));
  t.strictSame(differences(paths, own, again), []);
  t.ok(
    again.every(({ tiers }) => /;hit/.test(tiers[0] as string)),
    'the first who was asked and had it answered',
  );
  t.equal((await nginx.requests()) - before, paths.length, 'nothing more from nginx');
  const statuses = new Set(own.map(({ status }) => status));
  t.strictSame([...statuses].sort(), [200, 301, 403, 404]);
});

test('without a rule the age of a file gives its lifetime', async (t) => {
  const { nginx, network, paths } = await start(t, {});
  const html = paths.filter((path) => path.endsWith('.html')).slice(0, 50);
  const own = await askAll(html, () => nginx.address);
  const before = await nginx.requests();
  for (const region of ['eu', 'us']) {
    t.strictSame(differences(html, own, await askAll(html, nonOwner(network, region))), []);
  }
  t.equal((await nginx.requests()) - before, html.length);
});

test('with gzip each browser gets its encoding, and nginx is asked once for each', async (t) => {
  // nginx compresses nothing for a proxy (a request with Via) unless it is told to.
  const gzip = 'gzip on; gzip_proxied any; gzip_vary on; gzip_types text/css application/javascript text/plain;';
  const { nginx, network, paths } = await start(t, { rules: [{ ttl: '1h' }] }, gzip);
  const some = paths.filter((_, i) => i % 20 === 0);
  const asBrowsers = [
    { 'Accept-Encoding': 'gzip, deflate, br, zstd' },
    { 'Accept-Encoding': 'zstd,br,deflate,gzip' },
    {},
  ];
  const own = await Promise.all(asBrowsers.map((headers) => askAll(some, () => nginx.address, headers)));
  const zipped = own[0]?.filter(({ headers }) => headers['content-encoding'] === 'gzip').length ?? 0;
  t.ok(zipped > some.length / 2, `${zipped} of ${some.length} are compressed`);
  const before = await nginx.requests();
  for (const region of ['eu', 'us', 'eu']) {
    for (const [i, headers] of asBrowsers.entries()) {
      const through = await askAll(some, nonOwner(network, region), headers);
      t.strictSame(differences(some, own[i] ?? [], through), []);
    }
  }
  t.equal(
    (await nginx.requests()) - before,
    some.length + zipped,
    'two variants of what is compressed, one of the rest',
  );
});
