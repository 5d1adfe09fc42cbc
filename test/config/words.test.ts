/** Values in words: what a key expects, an example of it, and what was found. */
import fc from 'fast-check';
import { test } from 'tap';
import { parse } from 'yaml';
import type { z } from 'zod';
import { accepts } from '../../config/accepts.ts';
import { type JsonSchema, regionJsonSchema, siteJsonSchema } from '../../config/json-schema.ts';
import { regionSchema, siteSchema } from '../../config/schema.ts';
import {
  asYaml,
  describeValue,
  example,
  expectation,
  itemOf,
  joinList,
  schemaAt,
  typeName,
} from '../../config/words.ts';

for (const { schema, words } of [
  { schema: { type: 'boolean' }, words: 'true or false' },
  { schema: { type: 'integer', minimum: 1, maximum: 9 }, words: 'a whole number from 1 to 9' },
  { schema: { enum: ['a', 'b', 'c'] }, words: '`a`, `b` or `c`' },
  { schema: { const: 3 }, words: '`3`' },
  { schema: { anyOf: [{ const: true }, { const: true }, { type: 'string' }] }, words: '`true` or text' },
  { schema: { type: 'array', items: { type: 'string' }, minItems: 1 }, words: 'a list of at least 1 items, each text' },
  {
    schema: { type: 'array', items: { type: 'string' }, minItems: 1, maxItems: 2 },
    words: 'a list of 1 to 2 items, each text',
  },
  { schema: { type: 'array', items: [{ const: 1 }, { const: 2 }] }, words: 'a list, each `1`' },
  { schema: { type: 'array' }, words: 'a list, each text' },
  { schema: { type: 'object' }, words: 'a mapping of names to values' },
  { schema: { type: 'object', properties: { a: {}, b: {} } }, words: 'a mapping with `a` and `b`' },
  { schema: { title: 'a size', examples: ['1MiB', '2MiB'] }, words: 'a size such as 1MiB or 2MiB' },
  { schema: { title: 'a size', type: 'string' }, words: 'a size' },
  { schema: { examples: ['x'], type: 'string' }, words: 'text' },
] as { schema: JsonSchema; words: string }[]) {
  test(`${JSON.stringify(schema)} expects ${words}`, async (t) => {
    t.equal(expectation(schema), words);
  });
}

/** Places of scalars and lists in a schema, with what stands there. */
function placesOf(schema: JsonSchema, path: readonly (string | number)[] = []): (readonly (string | number)[])[] {
  const items = schema.items === undefined || Array.isArray(schema.items) ? [] : [itemOf(schema)];
  const inner = [
    ...Object.entries(schema.properties ?? {}).flatMap(([key, member]) => placesOf(member, [...path, key])),
    ...(schema.anyOf ?? []).flatMap((option) => placesOf(option, path)),
    ...items.flatMap((item) => placesOf(item, [...path, 0])),
  ];
  return [path, ...inner];
}

for (const { name, json, schema } of [
  { name: 'a region', json: regionJsonSchema(), schema: regionSchema },
  { name: 'a site', json: siteJsonSchema(), schema: siteSchema },
]) {
  test(`the example of each key of ${name} is accepted as it is written`, async (t) => {
    let shown = 0;
    for (const path of placesOf(json).slice(1)) {
      const at = schemaAt(json, path);
      t.ok(at, path.join('.'));
      const value = example(at ?? {});
      if (value === undefined) continue;
      shown += 1;
      t.ok(accepts(schema as z.ZodType, path, parse(asYaml(value))), `${path.join('.')}: ${asYaml(value)}`);
    }
    t.ok(shown > 50, `${shown} examples`);
  });
}

for (const { schema, shown } of [
  { schema: { type: 'integer', minimum: 3, maximum: 9 }, shown: 3 },
  { schema: { type: 'boolean' }, shown: true },
  { schema: { type: 'boolean', default: false }, shown: false },
  { schema: { type: 'array', items: { enum: ['a', 'b'] } }, shown: ['a'] },
  { schema: { type: 'array', items: { type: 'string' } }, shown: undefined },
  { schema: { type: 'array', default: [], items: { const: 7 } }, shown: [7] },
  { schema: { type: 'string' }, shown: undefined },
  { schema: { anyOf: [{ const: 'all' }, { type: 'object' }] }, shown: 'all' },
  { schema: { type: 'object', properties: { a: { const: 1 }, b: { const: 2 } }, required: ['b'] }, shown: { b: 2 } },
  { schema: { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] }, shown: undefined },
  { schema: { type: 'object', properties: {} }, shown: undefined },
] as { schema: JsonSchema; shown: unknown }[]) {
  test(`${JSON.stringify(schema)} ${shown === undefined ? 'has no short example' : `is shown as ${JSON.stringify(shown)}`}`, async (t) => {
    t.same(example(schema), shown);
  });
}

test('a place that no schema has is described by nothing', async (t) => {
  const json = regionJsonSchema();
  for (const path of [['constructor'], ['memory', 'x'], ['edges', 'x'], ['edges', 0, 'x', 'y'], ['sites', 0, 0]]) {
    t.equal(schemaAt(json, path), undefined, path.join('.'));
  }
});

test('whatever was found is described in few words on one line', async (t) => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const words = describeValue(value);
      t.ok(words.length < 600, words);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
      t.notMatch(words, /[\x00-\x1f]|\[object|undefined/);
    }),
  );
  t.equal(describeValue([]), 'a list of 0 items');
  t.equal(describeValue([1]), 'a list of 1 item');
  t.equal(describeValue({}), 'an empty mapping');
  t.equal(describeValue(null), 'nothing');
});

test('a value comes back from the line of YAML that shows it', async (t) => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
      t.strictSame(parse(asYaml(value)), JSON.parse(JSON.stringify(value)));
      t.notMatch(asYaml(typeof value === 'string' ? '' : value), /\n/);
    }),
  );
});

test('lists are joined as in a sentence', async (t) => {
  t.same(
    [[], ['a'], ['a', 'b'], ['a', 'b', 'c']].map((words) => joinList(words, 'or')),
    ['', 'a', 'a or b', 'a, b or c'],
  );
  t.equal(typeName({ anyOf: [{ type: 'boolean' }, { const: 'x' }] }), 'true or false or `x`');
});
