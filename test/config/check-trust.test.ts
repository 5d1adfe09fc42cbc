/** Settings of the certificates of nodes: each mistake names the place, the key and the fix. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { checkRegions } from '../../config/check.ts';
import { controlUrls } from '../../config/control-urls.ts';
import { loadRegion } from '../../config/load.ts';
import type { ConfigError } from '../../config/problem.ts';
import { reloadRegions } from '../../config/reload.ts';
import type { RegionConfig } from '../../config/schema.ts';

const TLS = "tier_tls: { cert_file: 'tls/{node}.pem', key_file: 'tls/{node}.key', ca_file: tls/ca.pem }";
const CONTROL = 'control: { listen: 127.0.0.1:8900, tier: 127.0.0.1:8901 }';
const PLAIN_CONTROL = 'control: { listen: 127.0.0.1:8900 }';

function write(folder: string, name: string, lines: readonly string[]): string {
  const file = join(folder, `${name}.yaml`);
  const site = 'sites: [{ name: shop, hosts: ["*"], origin: { servers: [{ url: "http://127.0.0.1:1" }] } }]';
  writeFileSync(file, `${[`region: ${name}`, 'tier_secret: a-secret-of-the-tests', ...lines, site].join('\n')}\n`);
  return file;
}

const EDGES = "edges: [{ name: eu-1, listen: '127.0.0.1:80', tier: '127.0.0.1:81' }]";

for (const { wrong, lines, key, message, fix } of [
  {
    wrong: 'a journal by plain HTTP',
    lines: [TLS, EDGES, 'purges: { journal: http://127.0.0.1:8900 }'],
    key: 'purges.journal',
    message: /nodes connect by TLS only/,
    fix: /Write https:\/\/ and the `tier` address/,
  },
  {
    wrong: 'one of several journals by plain HTTP',
    lines: [TLS, EDGES, 'purges: { journal: [https://127.0.0.1:8901, http://127.0.0.2:8900] }'],
    key: 'purges.journal[1]',
    message: /by TLS only/,
    fix: /https/,
  },
  {
    wrong: 'a journal by TLS without certificates',
    lines: [EDGES, 'purges: { journal: https://127.0.0.1:8901 }'],
    key: 'purges.journal',
    message: /there is no `tier_tls`/,
    fix: /Write http:\/\/ .*or add `tier_tls`/,
  },
  {
    wrong: 'a control node without an address for nodes',
    lines: [TLS, PLAIN_CONTROL],
    key: 'control',
    message: /needs an address for nodes/,
    fix: /Add `tier: HOST:PORT` beside `listen`/,
  },
  {
    wrong: 'an address for nodes without certificates',
    lines: [CONTROL],
    key: 'control.tier',
    message: /there is no `tier_tls`/,
    fix: /Remove it, or add `tier_tls`/,
  },
  {
    wrong: 'one certificate for several nodes',
    lines: [TLS.replace('{node}.pem', 'node.pem'), EDGES, CONTROL],
    key: 'tier_tls.cert_file',
    message: /all nodes of the region would use this file/,
    fix: /Write `\{node\}` where the name of the node belongs/,
  },
  {
    wrong: 'two addresses of a control node that clash',
    lines: [TLS, 'control: { listen: 127.0.0.1:8900, tier: 127.0.0.1:8900 }'],
    key: 'control.tier',
    message: /127\.0\.0\.1:8900/,
    fix: /\w/,
  },
]) {
  test(`${wrong} is refused`, async (t) => {
    const { problems } = checkRegions([write(t.testdir(), 'eu', lines)], {});
    t.match(problems, [{ key, message, fix }]);
    t.equal(problems.length, 1);
  });
}

test('a region whose shields have certificates has them as well', async (t) => {
  const folder = t.testdir();
  const shields = "shields: [{ name: s, tier: '127.0.0.1:90' }]";
  const eu = write(folder, 'eu', [TLS, shields]);
  const us = write(folder, 'us', [EDGES, 'shields_from: [eu.yaml]']);
  const { problems } = checkRegions([eu, us], {});
  t.match(problems, [{ file: us, key: 'shields_from[0]', message: /has `tier_tls` and this region has not/ }]);
});

test('nodes follow the address for nodes of their region’s control node', async (t) => {
  const { regions } = checkRegions([write(t.testdir(), 'eu', [TLS, EDGES, CONTROL])], {});
  t.same(controlUrls(regions[0] as RegionConfig), ['https://127.0.0.1:8901']);
});

for (const { what, before, after } of [
  { what: 'adds certificates', before: [EDGES], after: [TLS, EDGES] },
  { what: 'takes certificates away', before: [TLS, EDGES], after: [EDGES] },
  { what: 'moves the address for nodes', before: [TLS, CONTROL], after: [TLS, CONTROL.replace('8901', '8902')] },
]) {
  test(`a reload that ${what} is refused: running nodes keep their sockets`, async (t) => {
    const folder = t.testdir();
    const region = loadRegion(write(folder, 'eu', before), {});
    write(folder, 'eu', after);
    try {
      reloadRegions([region], {});
      t.fail('it was taken');
    } catch (error) {
      t.match((error as ConfigError).problems, [{ message: /keeps? (?:its|their) sockets/ }]);
    }
  });
}
