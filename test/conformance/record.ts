/**
 * Records of earlier runs, in files beside this one.
 *
 * - `passed-SUITE.json`: the ids of the tests that have passed. A run in which
 *   one of them fails, by either way, is a failed run.
 * - `score-SUITE-WAY.json`: the scores that docs/conformance.md is made from.
 * @module
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NotPassed, ResultsPerKind, Score } from './score.ts';
import type { Suite } from './suite.ts';
import type { WayName } from './way.ts';

const DIR = import.meta.dirname;

export interface RecordedScore {
  readonly suite: string;
  readonly revision: string;
  readonly way: WayName;
  readonly total: ResultsPerKind;
  readonly groups: Readonly<Record<string, ResultsPerKind>>;
  readonly notPassed: readonly NotPassed[];
}

export interface Comparison {
  /** Passed before, not now. */
  readonly lost: readonly NotPassed[];
  /** In the record, but not in this revision of the suite. */
  readonly removed: readonly string[];
  /** Passed now, not before. */
  readonly gained: readonly string[];
}

/** @returns The ids that have passed, or `undefined` when none were ever noted. */
export function readPassed(suiteName: string, dir: string = DIR): readonly string[] | undefined {
  const file = join(dir, `passed-${suiteName}.json`);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as readonly string[]) : undefined;
}

export function writePassed(suiteName: string, ids: readonly string[], dir: string = DIR): void {
  writeFileSync(join(dir, `passed-${suiteName}.json`), json([...ids].sort()));
}

/** @param isByChance - True for a test that passes or fails by chance: failing it is no loss. */
export function compareWithPassed(
  before: readonly string[],
  now: Score,
  isByChance: (id: string) => boolean = () => false,
): Comparison {
  const notPassed = new Map(now.notPassed.map((test) => [test.id, test]));
  const passed = new Set(now.passed);
  return {
    lost: before.flatMap((id) => (isByChance(id) ? [] : (notPassed.get(id) ?? []))),
    removed: before.filter((id) => !passed.has(id) && !notPassed.has(id)),
    gained: now.passed.filter((id) => !before.includes(id)),
  };
}

/** Every score on record, in the order in which the page shows them. */
export function readScores(dir: string = DIR): readonly RecordedScore[] {
  return readdirSync(dir)
    .filter((name) => /^score-.+\.json$/.test(name))
    .map((name) => JSON.parse(readFileSync(join(dir, name), 'utf8')) as RecordedScore)
    .sort((a, b) => b.suite.localeCompare(a.suite) || a.way.localeCompare(b.way));
}

export function writeScore(suite: Suite, way: WayName, score: Score, dir: string = DIR): void {
  const { total, groups, notPassed } = score;
  const record: RecordedScore = {
    suite: suite.name,
    revision: suite.revision,
    way,
    total,
    groups,
    notPassed: notPassed.map((test) => ({ ...test, reason: withoutChance(test.reason) })),
  };
  writeFileSync(join(dir, `score-${suite.name}-${way}.json`), json(record));
}

/** A reason without what differs from run to run: the random URL of a test, and the time. */
export function withoutChance(reason: string): string {
  return reason
    .replace(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '(the test’s id)')
    .replace(/(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT/g, '(a date)')
    .replace(/127\.0\.0\.1:\d+/g, '(an address)');
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
