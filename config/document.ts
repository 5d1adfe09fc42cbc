/**
 * One YAML file as plain values that remember where they were written.
 *
 * A config file may be hostile or merely broken: its size, its aliases and its
 * nesting are bounded, and every syntax error becomes a `ConfigProblem`.
 * @module
 */
import { readFileSync, statSync } from 'node:fs';
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
  type YAMLError,
  type YAMLMap,
} from 'yaml';
import { type ConfigProblem, type KeyPath, keyOf, MAX_PROBLEMS } from './problem.ts';

/** A region of a thousand sites is about a tenth of this. */
export const MAX_FILE_BYTES = 2 ** 20;
/** Upper limit for what aliases repeat (yaml counts nested repetition): a "billion laughs" attack needs more. */
const MAX_ALIAS_COUNT = 100;
/** The schema is six levels deep. */
const MAX_DEPTH = 32;

/** Positions of values in the file: makes problems that point at them. */
export interface Source {
  readonly file: string;
  /** A problem with the value at `path`; of a value that is missing, it points at the nearest parent that exists. */
  problem(path: KeyPath, message: string, fix: string): ConfigProblem;
  /** The same, pointing at the key in front of the value. */
  keyProblem(path: KeyPath, message: string, fix: string): ConfigProblem;
  /** The source of the part of this document that begins at `path`; keys in problems stay those of the file. */
  within(path: KeyPath): Source;
}

/** A file that was read and understood as YAML; nothing is known about its shape. */
export interface YamlFile {
  readonly value: unknown;
  readonly source: Source;
}

/** @returns The content of `file`, or what is wrong with it as a file or as YAML. */
export function readYaml(file: string): YamlFile | readonly ConfigProblem[] {
  const text = readText(file);
  if (typeof text !== 'string') return [text];

  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    stringKeys: true,
    prettyErrors: false,
    // Compares every key with every other; refusedShapes is linear and can say where the first one is.
    uniqueKeys: false,
  });
  const syntaxProblems = [...document.errors, ...document.warnings]
    .slice(0, MAX_SYNTAX_PROBLEMS)
    .map((error) => syntaxProblem(file, lines, error));
  if (syntaxProblems.length > 0) return syntaxProblems;

  const source = sourceOf(file, document, lines);
  if (document.contents === null) {
    return [source.problem([], 'the file is empty', 'Write the config into it; docs/config.md has an example.')];
  }
  const shapeProblems = refusedShapes(document, source, lines);
  if (shapeProblems.length > 0) return shapeProblems;
  try {
    return { value: document.toJS({ maxAliasCount: MAX_ALIAS_COUNT }), source };
  } catch (error) {
    // Only aliases can still fail: unknown ones, and those that would grow without end.
    const reason = error instanceof Error ? error.message : String(error);
    return [
      source.problem([], `aliases cannot be resolved (${reason})`, 'Write the values out instead of using aliases.'),
    ];
  }
}

/** A problem with a file as a whole, or with what the command line says. */
export function problemWithout(file: string, key: string, message: string, fix: string): ConfigProblem {
  return { file, line: 0, column: 0, key, message, fix };
}

function readText(file: string): string | ConfigProblem {
  try {
    const stats = statSync(file);
    if (!stats.isFile()) {
      return problemWithout(file, '', 'this is not a file', 'Name a YAML file.');
    }
    if (stats.size > MAX_FILE_BYTES) {
      const message = `the file has ${stats.size} bytes; a config file may have ${MAX_FILE_BYTES}`;
      return problemWithout(file, '', message, 'Move sites into files of their own and include them.');
    }
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    const [message, fix] = READ_FAILURES[code] ?? [`the file cannot be read (${String(error)})`, 'Make it readable.'];
    return problemWithout(file, '', message, fix);
  }
}

const READ_FAILURES: Readonly<Record<string, readonly [message: string, fix: string]>> = {
  ENOENT: ['there is no such file', 'Create it, or correct the path; paths inside a file are relative to that file.'],
  ENOTDIR: ['there is no such file', 'Correct the path: a part of it is a file, not a directory.'],
  EACCES: ['the file may not be read', 'Give the user that runs Seawall permission to read it.'],
  ELOOP: ['the file is a symbolic link that leads back to itself', 'Point the link at a file.'],
  ENAMETOOLONG: ['the path is too long', 'Correct the path.'],
  ERR_INVALID_ARG_VALUE: ['the path holds a NUL character', 'Correct the path.'],
  ERR_ENCODING_INVALID_ENCODED_DATA: ['the file is not UTF-8 text', 'Save it as UTF-8.'],
};

/** Fixes for common syntax errors; the parser's message is enough for the others. */
const SYNTAX_FIXES: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'Indent with spaces.',
  NON_STRING_KEY: 'Write a plain word as the key.',
  MULTIPLE_DOCS: 'Keep one document in a file: remove the line with `---` and what follows it.',
  BAD_INDENT: 'Indent the keys of one mapping equally.',
  BLOCK_AS_IMPLICIT_KEY: 'Put the inner key on a line of its own, or the value in quotes.',
  BAD_SCALAR_START: 'Put the value in quotes.',
  MISSING_CHAR: 'Add the missing character.',
  TAG_RESOLVE_FAILED: 'Remove the tag (the word that begins with `!`).',
  RESOURCE_EXHAUSTION: 'Nest the values less deeply.',
  BAD_ALIAS: 'Name an anchor that is set further up, or write the value out.',
};

/** One slip makes the parser complain about what follows as well: its first complaints say where to look. */
const MAX_SYNTAX_PROBLEMS = 5;

function syntaxProblem(file: string, lines: LineCounter, error: YAMLError): ConfigProblem {
  const { line, col } = lines.linePos(error.pos[0]);
  const message = `${error.message.charAt(0).toLowerCase()}${error.message.slice(1).replace(/\.$/, '')}`;
  const fix = SYNTAX_FIXES[error.code] ?? 'Correct the YAML at this place.';
  return { file, line, column: col, key: '', message: `YAML: ${message}`, fix };
}

/** YAML features that are valid, or left to applications, and of no use in a config. */
function refusedShapes(document: Document, source: Source, lines: LineCounter): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const refuse = (node: Node, ancestors: readonly unknown[], message: string, fix: string) => {
    const { line, col } = lines.linePos(startOf(node));
    problems.push({ file: source.file, line, column: col, key: keyOf(pathTo(node, ancestors)), message, fix });
  };
  const refuseKeys = (map: YAMLMap<Node>, above: readonly unknown[]) => {
    const seen = new Map<string, Node>();
    for (const pair of map.items) {
      if (problems.length >= MAX_PROBLEMS) return;
      const name = nameOf(pair);
      const first = seen.get(name);
      const refuseKey = (message: string, fix: string) => refuse(pair.key, [...above, pair], message, fix);
      if (name === '__proto__') refuseKey('this key is not allowed', 'Remove it.');
      if (name === '<<') refuseKey('merge keys are not part of YAML 1.2', 'Write the merged keys out.');
      if (first) {
        refuseKey(`the key is there already, in line ${lines.linePos(startOf(first)).line}`, 'Keep one of the two.');
      }
      seen.set(name, pair.key);
    }
  };
  visit(document, {
    Collection(_, node, ancestors) {
      if (ancestors.filter(isCollection).length >= MAX_DEPTH) {
        refuse(node, ancestors, `more than ${MAX_DEPTH} levels of nesting`, 'Nest the values less deeply.');
        return visit.BREAK;
      }
      if (isMap<Node>(node)) refuseKeys(node, [...ancestors, node]);
      return undefined;
    },
  });
  return problems;
}

/** The path of a node that `visit` shows, from what it shows as its ancestors. */
function pathTo(node: Node, ancestors: readonly unknown[]): KeyPath {
  const line = [...ancestors, node];
  return ancestors.flatMap((ancestor, index): KeyPath => {
    if (isPair(ancestor)) return [nameOf(ancestor)];
    return isSeq(ancestor) ? [ancestor.items.indexOf(line[index + 1])] : [];
  });
}

/** The key of a pair; `stringKeys` has made sure that it is text. */
function nameOf(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : '';
}

function sourceOf(file: string, document: Document, lines: LineCounter, base: KeyPath = []): Source {
  const problemAt = (offset: number, path: KeyPath, message: string, fix: string): ConfigProblem => {
    const { line, col } = lines.linePos(offset);
    return { file, line, column: col, key: keyOf(path), message, fix };
  };
  return {
    file,
    problem(path, message, fix) {
      const full = [...base, ...path];
      return problemAt(offsetsOf(document, full).value, full, message, fix);
    },
    keyProblem(path, message, fix) {
      const full = [...base, ...path];
      return problemAt(offsetsOf(document, full).key, full, message, fix);
    },
    within: (path) => sourceOf(file, document, lines, [...base, ...path]),
  };
}

/** Offsets of the value at `path` and of its key; of the nearest parent where the path leads nowhere. */
function offsetsOf(document: Document, path: KeyPath): { key: number; value: number } {
  let node = document.contents as Node | null;
  let place = { key: startOf(node), value: startOf(node) };
  for (const step of path) {
    if (isAlias(node)) node = node.resolve(document) ?? null;
    if (isMap<Node, Node | null>(node)) {
      const pair = node.items.find((candidate) => nameOf(candidate) === step);
      if (!pair) return place;
      node = pair.value;
      const key = startOf(pair.key);
      // A value of many lines is found by its key; so is one that is not written at all.
      const hasOwnPlace = isScalar(node) && node.source !== '';
      place = { key, value: hasOwnPlace ? startOf(node) : key };
    } else if (isSeq<Node>(node) && typeof step === 'number' && step < node.items.length) {
      node = node.items[step] ?? null;
      place = { key: startOf(node), value: startOf(node) };
    } else {
      return place;
    }
  }
  return place;
}

function startOf(node: Node | null): number {
  return node?.range?.[0] ?? 0;
}
