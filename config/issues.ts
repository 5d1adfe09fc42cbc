/**
 * Turns schema errors into problems that a reader can fix: file and line, key, expected, found, and what to write
 * instead.
 * @module
 */
import type { z } from 'zod';
import { accepts } from './accepts.ts';
import type { Source } from './document.ts';
import { type JsonSchema, regionJsonSchema } from './json-schema.ts';
import { nearest } from './nearest.ts';
import { type ConfigProblem, type KeyPath, MAX_PROBLEMS, quote } from './problem.ts';
import { meantAddress, meantDuration, meantSize, meantValue } from './slips.ts';
import { asYaml, describeValue, example, expectation, joinList, schemaAt } from './words.ts';

type Issue = z.core.$ZodIssue;

/** Value that was refused, and what it was held against. */
export interface Refused {
  readonly value: unknown;
  readonly schema: z.core.$ZodType;
  /** The same schema, for words. */
  readonly jsonSchema: JsonSchema;
  /** Position of `value` in its file. */
  readonly source: Source;
}

export function problemsOf(issues: readonly Issue[], refused: Refused): ConfigProblem[] {
  const { source } = refused;
  const problems: ConfigProblem[] = [];
  for (const issue of issues) {
    problems.push(...problemsOfIssue(issue, [], refused));
    if (problems.length < MAX_PROBLEMS) continue;
    problems.push(source.problem([], 'there are more problems than are shown', 'Mend these first, then check again.'));
    break;
  }
  return problems;
}

function problemsOfIssue(issue: Issue, base: KeyPath, refused: Refused): ConfigProblem[] {
  const { value, jsonSchema: schema, source } = refused;
  const path = [...base, ...(issue.path as KeyPath)];
  if (issue.code === 'unrecognized_keys') {
    return unknownKeys(issue.keys, path, schemaAt(schema, path) ?? {}, source);
  }
  if (issue.code === 'invalid_union') {
    const meant = issue.errors.filter((errors) => !errors.some(isOfAnotherKind));
    const [branch] = meant;
    if (branch && meant.length === 1) {
      return branch.flatMap((inner) => problemsOfIssue(inner, path, refused));
    }
  }
  const found = valueAt(value, path);
  const expected = schemaAt(schema, path) ?? {};
  if (issue.code === 'invalid_key') return [invalidName(path, schema, source)];
  if (issue.code === 'invalid_union' && typeof found === 'object' && found !== null && !Array.isArray(found)) {
    const known = keysOf(expected);
    const unknown = Object.keys(found).filter((key) => !known.includes(key));
    if (unknown.length > 0) return unknownKeys(unknown, path, expected, source);
  }
  if (found === undefined) return [missingKey(path, expected, source)];
  return [wrongValue(path, found, expected, refused)];
}

/**
 * Returns whether a branch of a union expects another type than the value has: then the author did not mean this
 * branch.
 */
function isOfAnotherKind(issue: Issue): boolean {
  if (issue.path.length > 0) return false;
  if (issue.code === 'invalid_union') return issue.errors.every((errors) => errors.some(isOfAnotherKind));
  return issue.code === 'invalid_type' || issue.code === 'invalid_value';
}

function unknownKeys(keys: readonly string[], path: KeyPath, schema: JsonSchema, source: Source): ConfigProblem[] {
  const known = keysOf(schema);
  return keys.slice(0, MAX_PROBLEMS).map((key) => {
    const meant = nearest(key, known);
    const [home, ...others] = meant ? [] : placesOf(key, regionJsonSchema());
    const elsewhere =
      home !== undefined && others.length === 0 ? `Move it: a region file has it as \`${home}\`` : 'Remove it';
    const fix = meant
      ? `Did you mean \`${meant}\`?`
      : `${elsewhere}; the keys here are ${joinList(known.toSorted(), 'and')}.`;
    return source.keyProblem([...path, key], 'unknown key', fix);
  });
}

/** @returns Each place that has a key of this name, such as `sites[].origin.via`. */
function placesOf(key: string, schema: JsonSchema, at = ''): string[] {
  const properties = Object.entries(schema.properties ?? {});
  const inner = [schema.items ?? []].flat();
  return [
    ...(schema.anyOf ?? []).flatMap((option) => placesOf(key, option, at)),
    ...inner.flatMap((item) => placesOf(key, item, `${at}[]`)),
    ...properties.flatMap(([name, property]) => {
      const place = at === '' ? name : `${at}.${name}`;
      return [...(name === key ? [place] : []), ...placesOf(key, property, place)];
    }),
  ];
}

function keysOf(schema: JsonSchema): string[] {
  return (schema.anyOf ?? [schema]).flatMap((option) => Object.keys(option.properties ?? {}));
}

function missingKey(path: KeyPath, schema: JsonSchema, source: Source): ConfigProblem {
  return source.problem(path, `missing; expected ${expectation(schema)}`, `Add ${assignment(path, schema)}.`);
}

function invalidName(path: KeyPath, root: JsonSchema, source: Source): ConfigProblem {
  const names = schemaAt(root, path.slice(0, -1))?.propertyNames ?? {};
  const found = quote(String(path.at(-1)));
  return source.keyProblem(path, `expected ${expectation(names)}, found ${found}`, 'Correct the name.');
}

function wrongValue(path: KeyPath, found: unknown, schema: JsonSchema, refused: Refused): ConfigProblem {
  const shown = schema.writeOnly ? 'something else (not shown)' : describeValue(found);
  const message = `expected ${expectation(schema)}, found ${shown}`;
  const fix = slipFix(path, found, schema, refused.schema) ?? replacement(path, found, schema);
  return refused.source.problem(path, message, fix);
}

/** The fix for a mistake that tells what was meant. */
function slipFix(path: KeyPath, found: unknown, schema: JsonSchema, whole: z.core.$ZodType): string | undefined {
  if (schema.writeOnly) return undefined;
  // What is refused itself, such as what is there already, is no help.
  const write = (value: unknown, why: string) =>
    accepts(whole, path, value) ? `Write ${assignmentOf(path, asYaml(value))} (${why}).` : undefined;

  if (typeof found === 'number' && schema.title?.startsWith('a duration')) return write(`${found}s`, 'with a unit');
  if (typeof found === 'number' && schema.title?.startsWith('a size')) {
    // Such a number never means bytes.
    return write(found < 2 ** 16 ? `${found}MiB` : `${found}B`, 'with a unit');
  }
  if (typeof found === 'string' && schema.title?.startsWith('a duration')) {
    const meant = meantDuration(found);
    if (meant !== undefined) return write(meant, 'did you mean this?');
  }
  if (typeof found === 'string' && schema.title?.startsWith('a size')) {
    const meant = meantSize(found);
    if (meant !== undefined) return write(meant, 'did you mean this?');
  }
  const unquoted = typeof found === 'string' ? UNQUOTED[schema.type ?? '']?.(found) : undefined;
  if (unquoted !== undefined) return write(unquoted, 'without quotes');
  const values = enumOf(schema);
  if (values !== undefined && (typeof found === 'string' || typeof found === 'boolean' || typeof found === 'number')) {
    const meant = meantValue(found, values) ?? nearest(String(found), values);
    if (meant !== undefined) return write(meant, 'did you mean this?');
  }
  if (typeof found === 'string' && schema.pattern !== undefined && found !== found.toLowerCase()) {
    const lower = found.toLowerCase();
    if (new RegExp(schema.pattern).test(lower)) return write(lower, 'in lower case');
  }
  const options = [schema, ...(schema.anyOf ?? [])];
  const address = options.find(({ title, pattern }) => title !== undefined && pattern !== undefined);
  if (address && (typeof found === 'string' || typeof found === 'number')) {
    const meant = meantAddress(String(found), address.title as string);
    if (meant !== undefined && new RegExp(address.pattern as string).test(meant))
      return write(meant, 'did you mean this?');
  }
  if (schema.type === 'array' && (typeof found === 'string' || typeof found === 'number')) {
    return write([found], 'as a list');
  }
  return undefined;
}

/** The words that may be written, also where something longer may stand in their place. */
function enumOf(schema: JsonSchema): readonly string[] | undefined {
  const all = [schema, ...(schema.anyOf ?? [])].flatMap((option) => option.enum ?? []);
  return all.length === 0 ? undefined : all.map(String);
}

const UNQUOTED: Readonly<Record<string, (text: string) => unknown>> = {
  integer: (text) => (/^\d{1,9}$/.test(text) ? Number(text) : undefined),
  number: (text) => (/^-?\d{1,9}(?:\.\d{1,9})?$/.test(text) ? Number(text) : undefined),
  boolean: (text) => ({ true: true, yes: true, on: true, false: false, no: false, off: false })[text.toLowerCase()],
};

function replacement(path: KeyPath, found: unknown, schema: JsonSchema): string {
  const ofSameKind = schema.anyOf?.find(({ type }) => type === kindOf(found)) ?? schema;
  const hasExample = example(ofSameKind) !== undefined;
  return found === null && !hasExample ? 'Remove it, or give it a value.' : `Write ${assignment(path, ofSameKind)}.`;
}

function kindOf(value: unknown): string {
  return Array.isArray(value) ? 'array' : typeof value;
}

/** `ttl: 30s`, ready to be copied. */
function assignment(path: KeyPath, schema: JsonSchema): string {
  const value = example(schema);
  return assignmentOf(path, value === undefined ? '…' : asYaml(value));
}

function assignmentOf(path: KeyPath, yaml: string): string {
  const name = path.at(-1);
  return typeof name === 'string' ? `\`${name}: ${yaml}\`` : `\`${yaml}\``;
}

function valueAt(value: unknown, path: KeyPath): unknown {
  let current = value;
  for (const step of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, step)) return undefined;
    current = (current as Record<string | number, unknown>)[step];
  }
  return current;
}
