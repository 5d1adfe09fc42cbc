/**
 * Properties of parsers, with a corpus: inputs that failed once are kept in
 * test/corpora/ and tried first, at every run. `npm run fuzz` goes on with
 * random inputs for as long as it is told, and saves what fails.
 * @module
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';

const TESTS = join(import.meta.dirname, '..');

/** Milliseconds for each property, set by `npm run fuzz`; absent: as many runs as the property says. */
export const FUZZ_MS = 'SEAWALL_FUZZ_MS';

/** Arguments of properties that failed, by the title of the property. */
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
    const saved = (readCorpus(path)[title] ?? []) as Ts[];
    const examples = [...saved, ...(params.examples ?? [])];
    const details = fc.check(property as fc.IProperty<Ts>, { ...params, ...timed(), examples }) as
      | fc.RunDetails<Ts>
      | Promise<fc.RunDetails<Ts>>;
    return details instanceof Promise
      ? details.then((told) => report(path, title, told))
      : report(path, title, details);
  };
  return fuzz as Fuzz;
}

/** Runs without end but for the time, with another seed each time. */
function timed(): Pick<
  fc.Parameters<unknown>,
  'seed' | 'numRuns' | 'interruptAfterTimeLimit' | 'markInterruptAsFailure'
> {
  const ms = Number(process.env[FUZZ_MS] ?? 0);
  if (ms === 0) return {};
  const seed = Math.trunc(Math.random() * 2 ** 32) | 0;
  return { seed, numRuns: 2 ** 31 - 1, interruptAfterTimeLimit: ms, markInterruptAsFailure: false };
}

function report<Ts extends unknown[]>(path: string, title: string, details: fc.RunDetails<Ts>): void {
  if (!details.failed) return;
  const lines = [fc.defaultReportMessage(details) ?? 'failed'];
  const { counterexample } = details;
  if (counterexample !== null && process.env[FUZZ_MS] !== undefined) {
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
