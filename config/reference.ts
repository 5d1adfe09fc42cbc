/**
 * The lists of the reference page: every key of the schema, in the order of
 * the schema.
 * @module
 */
import { paragraph } from '../lib/markdown.ts';
import { type JsonSchema, regionJsonSchema } from './json-schema.ts';
import { asYaml, joinList, typeName } from './words.ts';

/** A mapping that has a list of its own. */
interface Section {
  /** As it is written in a problem, without numbers: `sites[].origin`. */
  readonly path: string;
  readonly schema: JsonSchema;
  /** One of several mappings that can stand there; they are told apart by their first key. */
  readonly isAlternative: boolean;
}

/** @returns Markdown: a heading and a list for each mapping. */
export function referenceLists(): string {
  return sectionsOf({ path: '', schema: regionJsonSchema(), isAlternative: false }).map(sectionText).join('\n');
}

function sectionsOf(section: Section): Section[] {
  const inner = Object.entries(section.schema.properties ?? {}).flatMap(([key, schema]) =>
    mappingsOf(schema, section.path === '' ? key : `${section.path}.${key}`).flatMap(sectionsOf),
  );
  return [section, ...inner];
}

/** The mappings that a value can be or hold, each at its place. */
function mappingsOf(schema: JsonSchema, path: string): Section[] {
  if (schema.properties) return [{ path, schema, isAlternative: false }];
  const options = schema.anyOf?.flatMap((option) => mappingsOf(option, path));
  if (options) return options.map((option) => ({ ...option, isAlternative: options.length > 1 }));
  // Of a tuple the items are no mappings.
  return schema.items && !Array.isArray(schema.items) ? mappingsOf(schema.items as JsonSchema, `${path}[]`) : [];
}

function sectionText({ path, schema, isAlternative }: Section): string {
  const items = Object.entries(schema.properties ?? {}).flatMap(([key, value]) => {
    const isRequired = schema.required?.includes(key) ?? false;
    const details = [takes(value, path === '' ? key : `${path}.${key}`), ...defaultOf(value, isRequired)];
    return paragraph(`- \`${key}\` (${details.join('; ')}): ${value.description ?? ''}`, '  ');
  });
  const [firstKey = ''] = Object.keys(schema.properties ?? {});
  const title = path === '' ? 'A region file' : `\`${path}\``;
  const heading = `### ${title}${isAlternative ? `, with \`${firstKey}\`` : ''}`;
  return [heading, '', ...items, ''].join('\n');
}

function takes(schema: JsonSchema, path: string): string {
  const sections = mappingsOf(schema, path);
  if (sections.length === 0) return typeName(schema);
  if (schema.type === 'array') return 'a list; see below';
  if (schema.properties) return 'see below';
  const scalars = (schema.anyOf ?? []).filter((option) => !option.properties).map(typeName);
  return joinList([...scalars, 'see below'], 'or');
}

function defaultOf(schema: JsonSchema, isRequired: boolean): string[] {
  if (isRequired) return ['required'];
  if (schema.default === undefined || asYaml(schema.default) === '{}') return [];
  if (Array.isArray(schema.default) && schema.default.length === 0) return ['default: none'];
  return [`default: \`${asYaml(schema.default)}\``];
}
