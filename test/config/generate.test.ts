import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'tap';
import { checkRegions } from '../../config/check.ts';
import { generatedFiles } from '../../config/generate.ts';
import { type JsonSchema, regionJsonSchema } from '../../config/json-schema.ts';
import { loadRegion } from '../../config/load.ts';

const ENV = { SEAWALL_TIER_SECRET: '0123456789abcdef' };

for (const { url, content } of generatedFiles()) {
  const name = url.pathname.split('/').at(-1) ?? '';
  test(`${name} is up to date with npm run docs:config`, async (t) => {
    const committed = readFileSync(url, 'utf8');
    // The formatter may lay out JSON as it likes.
    if (name.endsWith('.json')) t.same(JSON.parse(committed), JSON.parse(content));
    else t.equal(committed, content);
  });
}

test('every key has a description', async (t) => {
  const silent: string[] = [];
  walk(regionJsonSchema(), '', (path, schema) => {
    if (schema.description === undefined) silent.push(path);
  });
  t.same(silent, []);
});

test('the example of the reference page is a valid config', async (t) => {
  const page = readFileSync(new URL('../../docs/config.md', import.meta.url), 'utf8');
  const [, example = ''] = /## A complete example\n\n```yaml\n(.*?)```/s.exec(page) ?? [];
  const file = join(t.testdir({}), 'region.yaml');
  writeFileSync(file, example);
  t.match(loadRegion(file, ENV), { region: 'fra', edges: [{}, { weight: 2 }], sites: [{ name: 'shop' }] });
});

test('the files of the demo network are valid', async (t) => {
  const files = ['eu', 'us'].map((name) =>
    fileURLToPath(new URL(`../../config/regions/${name}.yaml`, import.meta.url)),
  );
  const { regions, problems } = checkRegions(files, ENV);
  t.same(problems, []);
  t.match(regions, [
    { region: 'eu', shields: [{ name: 'shield-1' }], control: { name: 'control' } },
    { region: 'us', shields: [], reachableShields: [{ name: 'shield-1' }], sites: [{ name: 'demo' }] },
  ]);
});

function walk(schema: JsonSchema, path: string, see: (path: string, schema: JsonSchema) => void): void {
  for (const [key, member] of Object.entries(schema.properties ?? {})) {
    see(`${path}.${key}`, member);
    walk(member, `${path}.${key}`, see);
  }
  for (const option of schema.anyOf ?? []) walk(option, path, see);
  if (schema.items && !('length' in schema.items)) walk(schema.items, `${path}[]`, see);
}
