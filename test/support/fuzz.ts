/**
 * Properties of parsers, with a corpus: inputs that failed once are kept in
 * test/corpora/ and tried first, at every run. `npm run fuzz` goes on with
 * random inputs for as long as it is told, and saves what fails, and one input
 * of each class of outcome that a property names (`outcome`).
 * @module
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';

const TESTS = join(import.meta.dirname, '..');

/** Milliseconds for each property, set by `npm run fuzz`; absent: as many runs as the property says. */
export const FUZZ_MS = 'SEAWALL_FUZZ_MS';

/** Inputs for each property, set by `npm run fuzz -- --inputs N`. */
export const FUZZ_INPUTS = 'SEAWALL_FUZZ_INPUTS';

/** Begins a line about how many inputs a property has had while fuzzing. */
export const FUZZED = '# fuzzed:';

/** Between the title of a property and a class of outcome. */
const BEFORE_CLASS = ' → ';

/** Class of the input that runs, if its property has named one. */
let currentClass: string | undefined;

/** Names the class of outcome of the input that a property runs with: such as the code by which it was refused. */
export function outcome(name: string): void {
  currentClass = name;
}

/** Arguments of properties, by the title of the property: those that failed, and below ` → ` those of a class. */
type Corpus = Record<string, unknown[][]>;

export interface Fuzz {
  <Ts extends [unknown, ...unknown[]]>(title: string, property: fc.IProperty<Ts>, params?: fc.Parameters<Ts>): void;
  <Ts extends [unknown, ...unknown[]]>(
    title: string,
    property: fc.IAsyncProperty<Ts>,
    params?: fc.Parameters<Ts>,
  ): Promise<void>;
}

/** Returns a replacement of `fc.assert` for the properties of a test file. */
export function fuzzer(file: string): Fuzz {
  const path = corpusOf(file);
  const fuzz = <Ts extends [unknown, ...unknown[]]>(
    title: string,
    property: fc.IRawProperty<Ts>,
    params: fc.Parameters<Ts> = {},
  ): void | Promise<void> => {
    const examples = [...savedInputs<Ts>(path, title), ...(params.examples ?? [])];
    const classes = isFuzzing() ? new Map<string, Ts>() : undefined;
    if (classes !== undefined) noteClasses(property, classes);
    const details = fc.check(property as fc.IProperty<Ts>, { ...params, ...timed(), examples }) as
      | fc.RunDetails<Ts>
      | Promise<fc.RunDetails<Ts>>;
    const end = (run: fc.RunDetails<Ts>): void => {
      if (isFuzzing()) console.log(`${FUZZED} ${JSON.stringify([title, run.numRuns])}`);
      for (const [name, input] of classes ?? []) saveClass(path, `${title}${BEFORE_CLASS}${name}`, input);
      report(path, title, run);
    };
    return details instanceof Promise ? details.then(end) : end(details);
  };
  return fuzz as Fuzz;
}

function savedInputs<Ts>(path: string, title: string): Ts[] {
  const ofTitle = (key: string): boolean => key === title || key.startsWith(title + BEFORE_CLASS);
  return Object.entries(readCorpus(path)).flatMap(([key, inputs]) => (ofTitle(key) ? (inputs as Ts[]) : []));
}

/** Has the property note its shortest input of each class of outcome. */
function noteClasses<Ts>(property: fc.IRawProperty<Ts>, classes: Map<string, Ts>): void {
  const run = property.run.bind(property);
  const note = (input: Ts): void => {
    if (currentClass === undefined) return;
    const known = classes.get(currentClass);
    if (known === undefined || sizeOf(input) < sizeOf(known)) classes.set(currentClass, structuredClone(input));
  };
  property.run = ((input: Ts) => {
    currentClass = undefined;
    const result = run(input);
    if (result instanceof Promise) {
      return result.then((failure) => {
        note(input);
        return failure;
      });
    }
    note(input);
    return result;
  }) as typeof property.run;
}

function sizeOf(input: unknown): number {
  return JSON.stringify(input, toJson).length;
}

/** Saves an input of a class of which none is saved yet. */
function saveClass(path: string, key: string, input: unknown[]): void {
  if (readCorpus(path)[key] === undefined) save(path, key, input);
}

function isFuzzing(): boolean {
  return process.env[FUZZ_MS] !== undefined || process.env[FUZZ_INPUTS] !== undefined;
}

/** Runs as many times as are asked for, or without end but for the time, with another seed each time. */
function timed(): Pick<
  fc.Parameters<unknown>,
  'seed' | 'numRuns' | 'interruptAfterTimeLimit' | 'markInterruptAsFailure'
> {
  const ms = Number(process.env[FUZZ_MS] ?? 0);
  const inputs = Number(process.env[FUZZ_INPUTS] ?? 0);
  const seed = Math.trunc(Math.random() * 2 ** 32) | 0;
  if (inputs > 0) {
    return { seed, numRuns: inputs, interruptAfterTimeLimit: inputs, markInterruptAsFailure: false };
  }
  if (ms === 0) return {};
  return { seed, numRuns: 2 ** 31 - 1, interruptAfterTimeLimit: ms, markInterruptAsFailure: false };
}

function report<Ts extends unknown[]>(path: string, title: string, details: fc.RunDetails<Ts>): void {
  if (!details.failed) return;
  const lines = [fc.defaultReportMessage(details) ?? 'failed'];
  const { counterexample } = details;
  if (counterexample !== null && isFuzzing()) {
    const isSaved = save(path, title, counterexample);
    lines.push(isSaved ? `Saved in ${relative(process.cwd(), path)}.` : 'It cannot be written as JSON: keep the seed.');
  }
  throw new Error(lines.join('\n'), { cause: details.errorInstance });
}

/** `test/http/fields/range.test.ts` has `test/corpora/http/range.json`. */
export function corpusOf(file: string): string {
  return join(TESTS, 'corpora', relative(TESTS, file).replace(/\.test\.ts$/, '.json'));
}

export function readCorpus(path: string): Corpus {
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8'), fromJson) as Corpus) : {};
}

function save(path: string, title: string, args: unknown[]): boolean {
  const text = (corpus: Corpus): string => `${JSON.stringify(corpus, toJson, 2)}\n`;
  const corpus = readCorpus(path);
  const known = corpus[title] ?? [];
  if (known.some((one) => isDeepStrictEqual(one, args))) return true;
  if (!isDeepStrictEqual(JSON.parse(text({ [title]: [args] }), fromJson), { [title]: [args] })) return false;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text({ ...corpus, [title]: [...known, args] }));
  return true;
}

/** JSON has no bytes, no `undefined` and no large integers: `{"$bytes":"…"}`, in Base64, and so on. */
function toJson(this: unknown, key: string, value: unknown): unknown {
  const raw = (this as Record<string, unknown>)[key]; // a Buffer has a `toJSON` of its own
  if (Buffer.isBuffer(raw)) return { $buffer: raw.toString('base64') };
  if (raw instanceof Uint8Array) return { $bytes: Buffer.from(raw).toString('base64') };
  if (raw === undefined) return { $undefined: true };
  if (typeof raw === 'bigint') return { $bigint: String(raw) };
  if (typeof raw === 'number' && !(Number.isFinite(raw) && !Object.is(raw, -0))) {
    return { $number: Object.is(raw, -0) ? '-0' : String(raw) };
  }
  return value;
}

function fromJson(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Object.keys(value).length !== 1) return value;
  const { $buffer, $bytes, $undefined, $bigint, $number } = value as Record<string, string>;
  if (typeof $buffer === 'string') return Buffer.from($buffer, 'base64');
  if (typeof $bytes === 'string') return new Uint8Array(Buffer.from($bytes, 'base64'));
  if (typeof $bigint === 'string') return BigInt($bigint);
  if (typeof $number === 'string') return Number($number);
  return $undefined === undefined ? value : undefined;
}
