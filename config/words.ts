/**
 * Describes the value that a key expects, in plain words with an example.
 *
 * Problems and the reference page say the same thing about a key because both
 * read it here, from the JSON Schema.
 * @module
 */
import { stringify } from 'yaml';
import type { JsonSchema } from './json-schema.ts';
import { type KeyPath, quote } from './problem.ts';

/** So many keys of a mapping are named when it is not what was expected. */
const MAX_SHOWN_KEYS = 5;

/** @returns What `schema` expects: `a duration such as 30s, 5m or 2h`, `a whole number from 1 to 100`. */
export function expectation(schema: JsonSchema): string {
  const name = typeName(schema);
  const examples = schema.title === undefined ? [] : (schema.examples ?? []);
  return examples.length === 0 ? name : `${name} such as ${joinList(examples.slice(0, 3).map(asYaml), 'or')}`;
}

/** @returns The type alone, without examples: `a duration`. */
export function typeName(schema: JsonSchema): string {
  if (schema.title !== undefined) return schema.title;
  if (schema.enum)
    return joinList(
      schema.enum.map((value) => `\`${value}\``),
      'or',
    );
  if (schema.const !== undefined) return `\`${schema.const}\``;
  if (schema.anyOf) return joinList([...new Set(schema.anyOf.map(typeName))], 'or');
  switch (schema.type) {
    case 'boolean':
      return 'true or false';
    case 'integer':
      return `a whole number from ${schema.minimum} to ${schema.maximum}`;
    case 'number':
      return `a number from ${schema.minimum} to ${schema.maximum}`;
    case 'array':
      return `a list${listBounds(schema)}, each ${typeName(itemOf(schema))}`;
    case 'object':
      return schema.properties
        ? `a mapping with ${joinList(
            Object.keys(schema.properties).map((key) => `\`${key}\``),
            'and',
          )}`
        : 'a mapping of names to values';
    default:
      return 'text';
  }
}

/** @returns A value that `schema` accepts, to show how it is written; `undefined` when there is no short one. */
export function example(schema: JsonSchema): unknown {
  if (schema.examples?.[0] !== undefined) return schema.examples[0];
  if (schema.type === 'object') return exampleObject(schema);
  if (schema.default !== undefined && !isEmpty(schema.default)) return schema.default;
  if (schema.enum) return schema.enum[0];
  if (schema.const !== undefined) return schema.const;
  if (schema.anyOf?.[0]) return example(schema.anyOf[0]);
  if (schema.type === 'boolean') return true;
  if (schema.type === 'integer' || schema.type === 'number') return schema.minimum;
  if (schema.type !== 'array') return undefined;
  const item = example(itemOf(schema));
  return item === undefined ? undefined : [item];
}

function exampleObject(schema: JsonSchema): unknown {
  const members: [string, unknown][] = [];
  for (const key of schema.required ?? []) {
    const value = example(schema.properties?.[key] ?? {});
    if (value === undefined) return undefined;
    members.push([key, value]);
  }
  return members.length === 0 ? undefined : Object.fromEntries(members);
}

/** @returns What was found, quoted and shortened. */
export function describeValue(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (typeof value === 'string') return quote(value);
  if (Array.isArray(value)) return value.length === 1 ? 'a list of 1 item' : `a list of ${value.length} items`;
  if (typeof value !== 'object') return String(value);
  const keys = Object.keys(value).slice(0, MAX_SHOWN_KEYS);
  return keys.length === 0 ? 'an empty mapping' : `a mapping with ${joinList(keys.map(quote), 'and')}`;
}

/** @returns `value` as it is written on one line of YAML. */
export function asYaml(value: unknown): string {
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0, flowCollectionPadding: false }).trim();
}

/** @returns The part of `schema` that describes the value at `path`; `undefined` where it says nothing. */
export function schemaAt(schema: JsonSchema, path: KeyPath): JsonSchema | undefined {
  let current: JsonSchema | undefined = schema;
  for (const step of path) {
    if (current === undefined) return undefined;
    current = typeof step === 'number' ? itemAt(current, step) : memberOf(current, step);
  }
  return current;
}

function itemAt(schema: JsonSchema, index: number): JsonSchema | undefined {
  const list = schema.anyOf?.find(({ type }) => type === 'array') ?? schema;
  if (isTuple(list.items)) return list.items[index];
  return list.items;
}

function memberOf(schema: JsonSchema, key: string): JsonSchema | undefined {
  for (const option of schema.anyOf ?? [schema]) {
    const { properties = {} } = option;
    if (Object.hasOwn(properties, key)) return properties[key];
    if (typeof option.additionalProperties === 'object') return option.additionalProperties;
  }
  return undefined;
}

/** @returns What the items of a list are; of a tuple, what the first one is. */
export function itemOf(schema: JsonSchema): JsonSchema {
  return itemAt(schema, 0) ?? {};
}

function isTuple(items: JsonSchema['items']): items is readonly JsonSchema[] {
  return Array.isArray(items);
}

function listBounds({ minItems, maxItems }: JsonSchema): string {
  if (minItems !== undefined && maxItems !== undefined) return ` of ${minItems} to ${maxItems} items`;
  if (minItems !== undefined) return ` of at least ${minItems} items`;
  return maxItems === undefined ? '' : ` of at most ${maxItems} items`;
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

/** @returns `a, b or c`. */
export function joinList(words: readonly string[], conjunction: string): string {
  const last = words.at(-1) ?? '';
  return words.length < 2 ? last : `${words.slice(0, -1).join(', ')} ${conjunction} ${last}`;
}
