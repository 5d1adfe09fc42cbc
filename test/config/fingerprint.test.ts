import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { loadRegion } from '../../config/load.ts';

function regionIn(folder: string, secret: string, ttl: string): string {
  mkdirSync(folder, { recursive: true });
  const site = `name: shop\nhosts: ["*"]\norigin: { servers: [{ url: "http://127.0.0.1:9" }] }\nrules: [{ ttl: ${ttl} }]\n`;
  writeFileSync(join(folder, 'shop.yaml'), site);
  const edge = '{ name: eu-1, listen: "127.0.0.1:0", tier: "127.0.0.1:1" }';
  const lines = [
    'region: eu',
    `tier_secret: ${secret}`,
    `edges: [${edge}]`,
    'access_log: access.jsonl',
    'sites: [{ include: shop.yaml }]',
  ];
  writeFileSync(join(folder, 'eu.yaml'), lines.join('\n'));
  return join(folder, 'eu.yaml');
}

test('a fingerprint is of what a node does: not of its folder, nor of secrets', async (t) => {
  const folder = t.testdir();
  const file = regionIn(join(folder, 'a'), 'a-secret-of-the-tests', '1m');
  const { fingerprint } = loadRegion(file);
  t.match(fingerprint, /^[0-9a-f]{12}$/);
  cpSync(join(folder, 'a'), join(folder, 'b'), { recursive: true });
  t.equal(loadRegion(join(folder, 'b', 'eu.yaml')).fingerprint, fingerprint);
  t.equal(loadRegion(regionIn(join(folder, 'c'), 'another-secret-of-the-tests', '1m')).fingerprint, fingerprint);
  t.not(loadRegion(regionIn(join(folder, 'd'), 'a-secret-of-the-tests', '2m')).fingerprint, fingerprint);
});
