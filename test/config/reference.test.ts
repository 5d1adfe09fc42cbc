/** Lists of the reference page: every key of the schema stands there once, with what it takes. */
import { test } from 'tap';
import { type JsonSchema, regionJsonSchema } from '../../config/json-schema.ts';
import { referenceLists } from '../../config/reference.ts';

const LISTS = referenceLists();

/** Keys of every mapping in a schema, each as often as there is a mapping that has it. */
function keysOf(schema: JsonSchema): string[] {
  const items = schema.items === undefined || Array.isArray(schema.items) ? [] : [schema.items as JsonSchema];
  return [
    ...Object.entries(schema.properties ?? {}).flatMap(([key, member]) => [key, ...keysOf(member)]),
    ...(schema.anyOf ?? []).flatMap(keysOf),
    ...items.flatMap(keysOf),
  ];
}

test('every key of the schema has an entry', async (t) => {
  const written = [...LISTS.matchAll(/^- `(\w+)` \(/gm)].map(([, key]) => key);
  t.same(written.toSorted(), keysOf(regionJsonSchema()).toSorted());
});

test('a list has one heading, and mappings that can stand in one place are told apart', async (t) => {
  const headings = [...LISTS.matchAll(/^### .*$/gm)].map(([heading]) => heading);
  t.same(
    headings.filter((heading, index) => headings.indexOf(heading) !== index),
    [],
  );
  t.ok(headings.some((heading) => /, with `/.test(heading)));
});

test('an entry says what a key takes: its type and its default, that it is required, or where more stands', async (t) => {
  for (const entry of LISTS.split(/^- /m).slice(1)) {
    const [, details = ''] = /^`\w+` \((.*?)\):\s/s.exec(entry) ?? [];
    t.not(details, '', entry.slice(0, 60));
    t.notMatch(entry, /undefined|\[object/);
    t.notOk(/required/.test(details) && /default/.test(details), entry.slice(0, 80));
  }
});
