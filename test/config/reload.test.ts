import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { loadRegion } from '../../config/load.ts';
import { type Reload, reloadRegions } from '../../config/reload.ts';
import type { RegionConfig } from '../../config/schema.ts';
import { placesOf, problemsOf } from './refusal.ts';

const REGION = `region: fra
tier_secret: 0123456789abcdef
edges:
  - { name: fra-1, listen: 127.0.0.1:1, tier: 127.0.0.1:2 }
  - { name: fra-2, listen: 127.0.0.1:3, tier: 127.0.0.1:4, control: 127.0.0.1:5 }
control: { name: control, listen: 127.0.0.1:9 }
shields_from: [iad.yaml]
sites: [{ include: shop.yaml }]
`;

const FILES = {
  'fra.yaml': REGION,
  'iad.yaml': `region: iad
tier_secret: 0123456789abcdef
shields: [{ name: iad-s, tier: 10.0.0.1:1 }]
sites: [{ include: shop.yaml }]
`,
  'shop.yaml': `name: shop
hosts: [a.example]
origin: { servers: [{ url: http://o.example }] }
rules:
  - { path: /a, ttl: 1h }
  - { path: /b, cache: never }
`,
};

function running(t: Test) {
  const directory = t.testdir(FILES);
  const current = loadRegion(join(directory, 'fra.yaml'), {});
  return {
    directory,
    current,
    change(name: keyof typeof FILES, from: string, to: string) {
      writeFileSync(join(directory, name), FILES[name].replace(from, to));
    },
  };
}

const reloadRegion = (current: RegionConfig, env: Record<string, string>) => reloadRegions([current], env)[0];

test('an unchanged config changes nothing', async (t) => {
  const { current } = running(t);
  t.same(reloadRegion(current, {}), { config: current, changes: [] });
});

for (const { what, name = 'fra.yaml', from, to, changes } of [
  {
    what: 'a rule of an included site',
    name: 'shop.yaml',
    from: 'ttl: 1h',
    to: 'ttl: 2h',
    changes: ['sites[0].rules[0].ttl'],
  },
  {
    what: 'a rule more',
    name: 'shop.yaml',
    from: 'rules:',
    to: 'rules:\n  - { path: /c, ttl: 1s }',
    changes: ['sites[0].rules'],
  },
  {
    what: 'hosts and a header',
    name: 'shop.yaml',
    from: 'hosts: [a.example]',
    to: 'hosts: [b.example]\nresponse_headers: { set: { X-A: b } }',
    changes: ['sites[0].hosts[0]', 'sites[0].response_headers.set.X-A'],
  },
  { what: 'a weight', from: '127.0.0.1:2 }', to: '127.0.0.1:2, weight: 5 }', changes: ['edges[0].weight'] },
  {
    what: 'a limit',
    from: 'control: {',
    to: 'limits: { drain_timeout: 1s }\ncontrol: {',
    changes: ['limits.drain_timeout'],
  },
  {
    what: 'an edge less',
    from: '  - { name: fra-1, listen: 127.0.0.1:1, tier: 127.0.0.1:2 }\n',
    to: '',
    changes: ['edges'],
  },
  {
    what: 'an edge more',
    from: 'edges:\n',
    to: 'edges:\n  - { name: fra-3, listen: 127.0.0.1:6, tier: 127.0.0.1:7 }\n',
    changes: ['edges'],
  },
  {
    what: 'an edge in the place of another',
    from: 'fra-1, listen: 127.0.0.1:1, tier: 127.0.0.1:2',
    to: 'fra-3, listen: 127.0.0.1:6, tier: 127.0.0.1:7',
    changes: ['edges[0].name', 'edges[0].listen', 'edges[0].tier'],
  },
  {
    what: 'the control node gone',
    from: 'control: { name: control, listen: 127.0.0.1:9 }\n',
    to: '',
    changes: ['control'],
  },
  {
    what: 'a shield of the other region',
    name: 'iad.yaml',
    from: '10.0.0.1:1',
    to: '10.0.0.1:2',
    changes: ['shields_from'],
  },
] as { what: string; name?: keyof typeof FILES; from: string; to: string; changes: string[] }[]) {
  test(`applies without a restart: ${what}`, async (t) => {
    const { current, change } = running(t);
    change(name, from, to);
    const reload = reloadRegion(current, {}) as Reload;
    t.same(reload.changes, changes);
    t.equal(reload.config.file, current.file);
  });
}

for (const { what, from, to, place, fix } of [
  {
    what: 'the address for visitors',
    from: 'listen: 127.0.0.1:1,',
    to: 'listen: 127.0.0.1:10,',
    place: '4:28 edges[0].listen',
    fix: /Write `listen: 127\.0\.0\.1:1`/,
  },
  {
    what: 'the address for other nodes',
    from: 'tier: 127.0.0.1:4',
    to: 'tier: 127.0.0.1:40',
    place: '5:47 edges[1].tier',
  },
  {
    what: 'a control listener gone',
    from: ', control: 127.0.0.1:5',
    to: '',
    place: '5:5 edges[1].control',
    fix: /Add `control: 127\.0\.0\.1:5`/,
  },
  {
    what: 'a control listener more',
    from: '127.0.0.1:2 }',
    to: '127.0.0.1:2, control: 127.0.0.1:8 }',
    place: '4:69 edges[0].control',
    fix: /Remove `control`/,
  },
  { what: 'a name', from: 'name: fra-1', to: 'name: fra-9', place: '4:13 edges[0].name', fix: /`name: fra-1`/ },
  { what: 'the address of the control node', from: '127.0.0.1:9', to: '127.0.0.1:90', place: '6:35 control.listen' },
  { what: 'the name of the control node', from: 'name: control', to: 'name: main', place: '6:18 control.name' },
  {
    what: 'the folder of the control node',
    from: '127.0.0.1:9',
    to: '127.0.0.1:9, data: other',
    place: '6:54 control.data',
    fix: /Write `data: seawall-data`/,
  },
]) {
  test(`refused because it needs another socket or folder: ${what}`, async (t) => {
    const { directory, current, change } = running(t);
    change('fra.yaml', from, to);
    const problems = problemsOf(() => reloadRegion(current, {}));
    t.same(placesOf(directory, problems), [`fra.yaml:${place}`]);
    if (fix) t.match(problems[0]?.fix, fix);
  });
}

test('a bad file is refused and the running config stays', async (t) => {
  const { directory, current, change } = running(t);
  const before = structuredClone(current);
  change('shop.yaml', 'ttl: 1h', 'ttl: 1');
  t.same(
    placesOf(
      directory,
      problemsOf(() => reloadRegion(current, {})),
    ),
    ['shop.yaml:5:22 rules[0].ttl'],
  );
  t.same(current, before);
});

test('a secret that changed in the environment is named, and not shown', async (t) => {
  const { directory, change } = running(t);
  for (const name of ['fra.yaml', 'iad.yaml'] as const) change(name, '0123456789abcdef', `\${SECRET}`);
  const current = loadRegion(join(directory, 'fra.yaml'), { SECRET: '0123456789abcdef' });
  const { config, changes } = reloadRegion(current, { SECRET: 'fedcba9876543210' }) as Reload;
  t.same(changes, ['tier_secret']);
  t.equal(config.tier_secret, 'fedcba9876543210');
});

test('a contradiction between two files refuses both', async (t) => {
  const directory = t.testdir(FILES);
  const current = ['fra.yaml', 'iad.yaml'].map((file) => loadRegion(join(directory, file), {}));
  const lone = `region: iad
tier_secret: 0123456789abcdef
edges: [{ name: iad-1, listen: 127.0.0.2:1, tier: 127.0.0.2:2 }]
shields: [{ name: iad-s, tier: 10.0.0.1:1 }]
sites: [{ include: shop.yaml }]
`;
  for (const { what, text, place } of [
    { what: 'the name of a region', text: lone.replace('region: iad', 'region: fra'), place: 'iad.yaml:1:9 region' },
    { what: 'an address', text: lone.replace('127.0.0.2:1', '127.0.0.1:3'), place: 'iad.yaml:3:32 edges[0].listen' },
  ]) {
    writeFileSync(join(directory, 'iad.yaml'), text);
    const problems = problemsOf(() => reloadRegions(current, {}));
    t.ok(placesOf(directory, problems).includes(place), `${what}: ${placesOf(directory, problems).join(', ')}`);
  }
  writeFileSync(join(directory, 'iad.yaml'), lone);
  t.same(
    reloadRegions(current, {}).map(({ changes }) => changes),
    [[], ['edges']],
  );
});
