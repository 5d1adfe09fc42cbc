/** Replays of logs that real edges have written. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import tap, { type Test, test } from 'tap';
import { startNetwork } from '../support/network.ts';
import { startOrigin } from '../support/origin.ts';
import { seededRandom } from '../support/random.ts';
import { ask } from '../support/visitor.ts';

tap.setTimeout(240_000);

const folder = mkdtempSync(join(tmpdir(), 'seawall-replay-'));
const run = promisify(execFile);

interface Report {
  readonly requests: number;
  readonly logged: { readonly hit_ratio: number; readonly origin_requests: number };
  readonly replayed: { readonly hit_ratio: number; readonly origin_requests: number };
  readonly left_out: Readonly<Record<string, number>>;
  readonly shared: readonly {
    readonly reason: string;
    readonly stored: number;
    readonly answered: number;
    readonly examples: readonly { readonly url: string; readonly rule: number | null }[];
  }[];
}

/** @param site - Keys of the site, as YAML of one line. */
async function replayed(logs: readonly string[], site = '', memory = '64MiB'): Promise<Report> {
  const file = join(folder, 'region.yaml');
  writeFileSync(
    file,
    `region: eu
tier_secret: 0123456789abcdef
memory: ${memory}
edges: [{ name: eu-1, listen: '127.0.0.1:8081', tier: '127.0.0.1:8091' }]
sites:
  - { name: site, hosts: ['site.test'], origin: { servers: [{ url: 'http://127.0.0.1:3000' }] }${site === '' ? '' : `, ${site}`} }
`,
  );
  const args = ['cli/seawall', 'replay', ...logs, '--config', file, '--json'];
  const { stdout } = await run(args[0] as string, args.slice(1), { cwd: join(import.meta.dirname, '../..') });
  return JSON.parse(stdout) as Report;
}

/** @returns A log of requests by visitors of a shop: pages for all, an account, a basket, pages that change often. */
async function logOf(t: Test, requests: number): Promise<string> {
  const origin = await startOrigin((request, response) => {
    const path = request.url ?? '';
    const isOwn = path.startsWith('/account');
    const size = 100 + ((path.length * 7_919) % 5_000);
    if (path.startsWith('/basket')) response.setHeader('Set-Cookie', 'basket=1');
    response.setHeader('Cache-Control', isOwn ? 'private' : path.startsWith('/news') ? 'max-age=0' : 'max-age=600');
    response.setHeader('ETag', '"1"');
    if (path.startsWith('/page/v')) response.setHeader('Vary', 'Accept-Language');
    if (request.headers['if-none-match'] === '"1"') response.writeHead(304).end();
    else response.end('x'.repeat(size));
  });
  const file = join(folder, `log-${requests}.jsonl`);
  const network = await startNetwork({
    origin: origin.url,
    regions: { eu: 1 },
    accessLog: { to: file, fields: ['replay'] },
  });
  t.teardown(() => origin.close());
  const random = seededRandom(7);
  for (let i = 0; i < requests; i++) {
    const kind = random();
    const number = Math.floor(60 * random() ** 3);
    const language = random() < 0.5 ? 'de' : 'en';
    const [path, headers] =
      kind < 0.7
        ? [`/page/${number % 3 === 0 ? 'v' : ''}${number}`, { 'Accept-Language': language }]
        : kind < 0.8
          ? ['/account', { Cookie: `session=${number}` }]
          : kind < 0.9
            ? [`/news/${number % 5}`, {}]
            : ['/basket', {}];
    await ask(network.at('eu-1'), path as string, { headers: headers as Record<string, string> });
  }
  await network.close();
  return file;
}

test('a replay with the config that wrote the log gives back its hits, and shares nothing more', async (t) => {
  const file = await logOf(t, 400);
  const { requests, logged, replayed: then, shared, left_out } = await replayed([file]);
  t.equal(requests, 400);
  t.ok(logged.hit_ratio > 0.4 && logged.hit_ratio < 0.8, `${logged.hit_ratio}`);
  t.ok(Math.abs(then.hit_ratio - logged.hit_ratio) <= 0.005, `${logged.hit_ratio} and ${then.hit_ratio}`);
  t.ok(
    Math.abs(then.origin_requests - logged.origin_requests) <= 3,
    `${logged.origin_requests}, ${then.origin_requests}`,
  );
  t.strictSame(shared, []);
  t.strictSame(left_out, {});

  const text = readFileSync(file);
  const half = text.lastIndexOf('\n', text.length / 2) + 1;
  writeFileSync(`${file}.1.gz`, gzipSync(text.subarray(0, half)));
  writeFileSync(`${file}.zst`, zstdCompressSync(text.subarray(half)));
  const again = await replayed([`${file}.1.gz`, `${file}.zst`]);
  t.strictSame(again.replayed, then, 'compressed by gzip and zstd');

  const small = await replayed([file], '', '40KiB');
  t.ok(small.replayed.hit_ratio < then.hit_ratio - 0.05, `with less memory: ${small.replayed.hit_ratio}`);

  const ignoring = await replayed(
    [file],
    "rules: [{ path: '/account*', ttl: 1h, origin_headers: ignore, cookies: ignore }]",
  );
  const account = ignoring.shared.filter(({ examples }) => examples.some(({ url }) => url.endsWith('/account')));
  t.ok(account.length > 0, JSON.stringify(ignoring.shared));
  t.match(account[0], { examples: [{ url: 'http://site.test/account', rule: 1 }] });
  t.ok(
    account.some(({ stored }) => stored > 0) && account.some(({ answered }) => answered > 10),
    JSON.stringify(account),
  );
  t.ok(ignoring.shared.every(({ examples }) => examples.every(({ url }) => url.endsWith('/account'))));

  const baskets = await replayed([file], "rules: [{ path: '/basket', ttl: 1h, set_cookie: store }]");
  t.match(baskets.shared, [{ reason: 'set-cookie', examples: [{ url: 'http://site.test/basket', rule: 1 }] }]);
});

test('lines that say too little, or are none, are counted', async (t) => {
  const file = join(folder, 'odd.jsonl');
  const facts = {
    time: '2026-01-01T00:00:00.000Z',
    method: 'GET',
    host: 'site.test',
    target: '/',
    status: 200,
    bytes: 5,
  };
  const whole = {
    ...facts,
    scheme: 'http',
    cache_status: '"eu-1";fwd=uri-miss;stored',
    response: { 'cache-control': 'max-age=9' },
  };
  const lines = [
    'nonsense',
    'null',
    '[]',
    '{"__proto__":1}',
    JSON.stringify(facts),
    JSON.stringify({ ...whole, sample: 0.5 }),
    JSON.stringify({ ...whole, host: 'other.test' }),
    JSON.stringify({ ...whole, target: 'x\u0000' }),
    JSON.stringify({ ...whole, request: { constructor: 'x', cookie: 7 }, length: -1, purge: 'x' }),
    JSON.stringify(whole),
  ];
  writeFileSync(file, lines.join('\n'));
  const { requests, left_out, replayed: then } = await replayed([file]);
  t.equal(requests, 2);
  t.strictSame(left_out, { malformed: 4, 'without-facts': 1, sampled: 1, 'not-served': 2 });
  t.equal(then.hit_ratio, 0.5);
});
