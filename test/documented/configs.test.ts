/**
 * Every config in the documentation, and every one that comes with the
 * program, is found, is what the schema takes, and passes `seawall check`.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { checkRegions } from '../../config/check.ts';
import { ConfigError } from '../../config/load.ts';
import { blocksOf, documentedBlocks, ROOT } from './blocks.ts';
import { configOf, type DocumentedConfig, documentedConfigs, ENVIRONMENT, load } from './configs.ts';

test('every block of YAML is a config, a part of one, or marked as something else', async (t) => {
  const escaped: string[] = [];
  for (const block of documentedBlocks()) {
    try {
      configOf(block);
    } catch (error) {
      escaped.push((error as Error).message);
    }
  }
  t.same(escaped, []);
  const fences = globSync(['*.md', 'docs/**/*.md'], { cwd: ROOT }).flatMap((file) => [
    ...readFileSync(join(ROOT, file), 'utf8').matchAll(/^\s*(?:```+|~~~+)ya?ml(?! title="not a config")/gm),
  ]);
  const shown = documentedConfigs().filter(({ place }) => /\.md:\d+$/.test(place));
  t.equal(shown.length, fences.length, 'none was overlooked');
});

for (const config of documentedConfigs()) {
  test(`${config.place}, ${config.kind}, is loaded`, async (t) => {
    const folder = t.testdir();
    try {
      const { file, region } = load(config, folder);
      t.ok(region.sites.length > 0);
      if (config.kind === 'region') t.same(checkRegions([file], ENVIRONMENT).problems, []);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      t.same(error.problems, [], error.message);
    }
  });
}

/** Tokens that somebody may try first. */
const GUESSABLE = [
  '',
  'test',
  'token',
  'TOKEN',
  'secret',
  'password',
  'purge',
  'changeme',
  'example',
  'seawall',
  '123456',
];

for (const config of documentedConfigs()) {
  test(`${config.place} exposes nothing that should be closed`, async (t) => {
    const { region } = load(config, t.testdir());
    const { edges, reachableShields, control, dns, trusted_proxies, sites } = region;
    const nodes = [...edges, ...reachableShields];
    const internal = [
      ...nodes.flatMap((node) => [node.tier, node.control]),
      control?.listen,
      dns?.control,
      ...(config.kind === 'region' ? region.purges.journal.map((url) => new URL(url).host) : []),
    ];
    for (const address of internal) {
      if (address === undefined) continue;
      t.ok(isPrivate(address), `${address} is on a loopback or private address`);
    }
    for (const proxy of trusted_proxies) t.ok(isNarrow(proxy), `trusted_proxies: ${proxy} is not a whole network`);
    const written = JSON.stringify(config.value);
    t.notMatch(written, /"tier_secret":"(?!\$\{)/, 'secrets come from the environment');
    for (const { origin, purge_method } of sites) {
      t.ok(origin.tls.verify, 'certificates are verified');
      for (const sender of purge_method.from)
        t.ok(isNarrow(sender), `purge_method.from: ${sender} is not a whole network`);
      const guessable = GUESSABLE.map((word) => createHash('sha256').update(word).digest('hex'));
      t.notOk(
        purge_method.token_sha256.some((hash) => guessable.includes(hash)),
        'nobody guesses the token',
      );
    }
  });
}

function isPrivate(address: string): boolean {
  return /^(?:127\.|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|\[::1\]|\[f[cd])/.test(address);
}

/** An address, or 256 of them at most. */
function isNarrow(network: string): boolean {
  const bits = /\/(\d+)$/.exec(network)?.[1];
  return bits === undefined || Number(bits) >= (network.includes(':') ? 120 : 24);
}

test('the regions of the demo network pass `seawall check` together', async (t) => {
  const files = globSync('config/regions/*.yaml', { cwd: ROOT });
  const env = { ...process.env, ...ENVIRONMENT };
  const args = ['cli/seawall.ts', 'check', ...files];
  const printed = execFileSync(process.execPath, args, { cwd: ROOT, env, encoding: 'utf8' });
  t.equal(printed.trim().split('\n').length, files.length, printed);
});

const block = (text: string, language = 'yaml', title?: string) => ({
  file: 'docs/x.md',
  line: 7,
  language,
  title,
  text,
});

for (const { what, text, kind } of [
  { what: 'a region', text: 'region: fra\nsites: []', kind: 'region' },
  {
    what: 'a site',
    text: 'name: shop\nhosts: [a.example]\norigin: { servers: [{ url: http://o.example }] }',
    kind: 'site',
  },
  { what: 'keys of a site', text: 'key: { query: none }\nrules: [{ ttl: 1m }]', kind: 'part of a site' },
  { what: 'keys of a region', text: 'limits: { max_headers: 50 }', kind: 'part of a region' },
  { what: 'sites without an origin', text: 'sites: [{ name: shop, hosts: [a.example] }]', kind: 'part of a region' },
  { what: 'a list of rules', text: '- { path: /a/*, ttl: 1m }\n- cache: never', kind: 'part of a site' },
  { what: 'one rule', text: 'path: /a/*\nttl: 1m', kind: 'part of a site' },
  { what: 'what stands under `origin`', text: 'servers: [{ url: http://o.example }]', kind: 'part of a site' },
]) {
  test(`a block is recognised: ${what}`, async (t) => {
    t.equal(configOf(block(text))?.kind, kind);
  });
}

for (const { what, given } of [
  { what: 'an unknown key', given: block('rules: [{ pth: /a/* }]') },
  { what: 'a word', given: block('never') },
  { what: 'YAML that cannot be read', given: block('rules: [') },
  { what: 'a key that is written twice', given: block('key: {}\nkey: {}') },
  { what: 'a config in a fence without a language', given: block('rules: []', '') },
]) {
  test(`a block is refused, with its place: ${what}`, async (t) => {
    t.throws(() => configOf(given), { message: /^docs\/x\.md:7: / });
  });
}

test('a block that is marked is no config', async (t) => {
  t.equal(configOf(block('services: {}', 'yaml', 'not a config')), undefined);
});

test('blocks of Markdown are found', async (t) => {
  const markdown = [
    'text',
    '',
    '    npm ci',
    '    npm test',
    '',
    '```yaml title="a b"',
    'a: 1',
    '```',
    '- item',
    '  ~~~sh',
    '  echo',
    '  ~~~',
  ].join('\n');
  t.same(
    blocksOf('x.md', markdown).map(({ line, language, title, text }) => ({ line, language, title, text })),
    [
      { line: 3, language: '', title: undefined, text: 'npm ci\nnpm test' },
      { line: 7, language: 'yaml', title: 'a b', text: 'a: 1' },
      { line: 11, language: 'sh', title: undefined, text: 'echo' },
    ],
  );
  t.throws(() => blocksOf('x.md', '```yaml\na: 1'), /never closed/);
});

test('missing parts of a config are filled in', async (t) => {
  const part = configOf(block('sites: [{ name: shop, hosts: [a.example] }]')) as DocumentedConfig;
  const { region } = load(part, t.testdir());
  t.match(region, { edges: [{ name: 'edge-1' }], sites: [{ name: 'shop', hosts: ['a.example'] }] });
});
