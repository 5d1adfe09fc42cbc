/** Places of rules in files, whichever file has them. */
import { test } from 'tap';
import { loadRegion } from '../../config/load.ts';
import { placeOfRule } from '../../config/rule-place.ts';
import type { RuleConfig } from '../../config/schema.ts';

const REGION = `region: eu
tier_secret: only-for-the-test-of-places
edges: [{ name: eu-1, listen: '127.0.0.1:8081', tier: '127.0.0.1:8181' }]
sites:
  - include: site.yaml
  - name: inline
    hosts: [inline.test]
    origin: { servers: [{ url: 'http://127.0.0.1:1' }] }
    rules:
      - path: /a/*
        ttl: 1m
`;

const SITE = `name: included
hosts: [included.test]
origin: { servers: [{ url: 'http://127.0.0.1:1' }] }
rules:
  - { path: /a/*, ttl: 1m }
  # between them
  - path: /b/*
    ttl: 2m
`;

test('a rule has the line of its file, in an included file as in the region file', async (t) => {
  const folder = t.testdir({ 'eu.yaml': REGION, 'site.yaml': SITE });
  const region = loadRegion(`${folder}/eu.yaml`);
  for (const [name, number, file, line] of [
    ['included', 1, 'site.yaml', 5],
    ['included', 2, 'site.yaml', 7],
    ['inline', 1, 'eu.yaml', 10],
  ] as const) {
    const site = region.sites.find((one) => one.name === name);
    const rule = site?.rules[number - 1];
    if (site === undefined || rule === undefined) throw new Error(name);
    const place = placeOfRule(region.file, site, rule);
    t.match(place, { number, line });
    t.ok(place.file?.endsWith(file), `${place.file}`);
    const other = { ...rule } as RuleConfig;
    t.strictSame(placeOfRule(region.file, site, other), { number: null, file: null, line: null }, 'a default');
    const missing = placeOfRule(`${folder}/gone.yaml`, site, rule);
    t.strictSame(missing, { number, file: null, line: null }, 'the file is gone');
  }
});
