/**
 * Judges the results of a run, by the rules of the suite's own table: a test
 * counts as passed only if it passed and every test it depends on passed.
 *
 * Whatever is not a pass stays in the total, a test that never ran included, so
 * totals never shrink. Only tests for browsers are left out (suite.ts).
 * @module
 */
import { KINDS, type Kind, type Suite, type SuiteTest } from './suite.ts';

/** Result of a test in the suite's client: `true`, or the name of an error and its message. */
export type Result = true | readonly [name: string, message: string];
export type Results = Readonly<Record<string, Result>>;

export const VERDICTS = ['pass', 'fail', 'setup', 'dependency', 'retry', 'harness', 'untested'] as const;
/**
 * `setup`: what the test rests on was not so; `retry`: the origin was asked twice
 * for one request; `harness`: no answer in time; `untested`: no result at all.
 */
export type Verdict = (typeof VERDICTS)[number];

export type ResultCounts = Readonly<Record<Verdict | 'total', number>>;
export type ResultsPerKind = Readonly<Record<Kind, ResultCounts>>;

export interface NotPassed {
  readonly id: string;
  readonly group: string;
  readonly kind: Kind;
  readonly verdict: Exclude<Verdict, 'pass'>;
  readonly reason: string;
}

export interface Score {
  readonly total: ResultsPerKind;
  readonly groups: Readonly<Record<string, ResultsPerKind>>;
  /** Ids in the order of the suite. */
  readonly passed: readonly string[];
  readonly notPassed: readonly NotPassed[];
  /** Results for tests that the suite does not have; they count nowhere. */
  readonly unknown: readonly string[];
}

export function scoreResults(suite: Suite, results: Results): Score {
  const verdicts = new Map(suite.applicable.map((test) => [test.id, judge(suite, test.id, results)]));
  const verdictOf = (test: SuiteTest): Verdict => verdicts.get(test.id) as Verdict;

  const groups: Record<string, ResultsPerKind> = {};
  for (const group of new Set(suite.applicable.map((test) => test.group))) {
    groups[group] = resultsPerKind(
      suite.applicable.filter((test) => test.group === group),
      verdictOf,
    );
  }

  const passed: string[] = [];
  const notPassed: NotPassed[] = [];
  for (const test of suite.applicable) {
    const verdict = verdictOf(test);
    if (verdict === 'pass') passed.push(test.id);
    else {
      const { id, group, kind } = test;
      notPassed.push({ id, group, kind, verdict, reason: reasonFor(suite, test, verdict, results) });
    }
  }
  return {
    total: resultsPerKind(suite.applicable, verdictOf),
    groups,
    passed,
    notPassed,
    unknown: Object.keys(results).filter((id) => !suite.tests.has(id)),
  };
}

/**
 * The verdict on one test.
 *
 * @throws {Error} when the suite contradicts itself: a dependency that it does not have.
 */
export function judge(suite: Suite, id: string, results: Results): Verdict {
  const result = Object.hasOwn(results, id) ? results[id] : undefined;
  if (result === undefined) return 'untested';
  if (unmetDependency(suite, id, results) !== undefined) return 'dependency';
  if (result === true) return 'pass';
  if (result[0] === 'Setup') return result[1] === 'retry' ? 'retry' : 'setup';
  if (result[0] === 'AbortError') return 'harness';
  return 'fail';
}

/** Reads a results file as the suite's client writes it. */
export function parseResults(text: string): Results {
  const parsed: unknown = JSON.parse(text);
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new Error('results are an object: from the id of a test to true, or to the name and message of an error');
  }
  for (const [id, result] of Object.entries(parsed)) {
    if (result !== true && !(Array.isArray(result) && typeof result[0] === 'string')) {
      throw new Error(`the result of ${id} is neither true nor the name and message of an error`);
    }
  }
  return parsed as Results;
}

function unmetDependency(suite: Suite, id: string, results: Results): string | undefined {
  return suite.tests.get(id)?.dependsOn.find((dependency) => {
    if (!suite.tests.has(dependency)) throw new Error(`${id} depends on ${dependency}, which the suite lacks`);
    return judge(suite, dependency, results) !== 'pass';
  });
}

function reasonFor(suite: Suite, test: SuiteTest, verdict: Verdict, results: Results): string {
  if (verdict === 'untested') return 'It did not run.';
  if (verdict === 'dependency') return `It depends on ${unmetDependency(suite, test.id, results)}.`;
  const result = results[test.id];
  return result === undefined || result === true ? '' : String(result[1] ?? result[0]);
}

function resultsPerKind(tests: readonly SuiteTest[], verdictOf: (test: SuiteTest) => Verdict): ResultsPerKind {
  const counts = (kind: Kind): ResultCounts => {
    const counts = { pass: 0, total: 0, fail: 0, setup: 0, dependency: 0, retry: 0, harness: 0, untested: 0 };
    for (const test of tests) {
      if (test.kind !== kind) continue;
      counts.total++;
      counts[verdictOf(test)]++;
    }
    return counts;
  };
  return Object.fromEntries(KINDS.map((kind) => [kind, counts(kind)])) as ResultsPerKind;
}
