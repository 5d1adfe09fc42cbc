/**
 * A score as text for a terminal.
 * @module
 */
import { argumentFor } from './arguments.ts';
import type { Comparison } from './record.ts';
import type { NotPassed, ResultCounts, ResultsPerKind, Score } from './score.ts';
import { VERDICTS } from './score.ts';
import { KINDS, type Kind, type Suite } from './suite.ts';

const LABELS: Readonly<Record<Kind, string>> = { required: 'required', optimal: 'optimal', check: 'check' };

/**
 * Score per kind, per group, and every test not passed with its reason.
 *
 * @param ofSeawall - Whether the arguments for failing a test apply.
 */
export function describeScore(suite: Suite, score: Score, ofSeawall: boolean): string {
  const argued = (id: string): string => (ofSeawall ? (argumentFor(suite.name, id)?.rfc ?? '') : '');
  const lines = KINDS.map((kind) => `${LABELS[kind].padEnd(9)}${describeResults(score.total[kind])}`);
  if (score.unknown.length > 0) {
    lines.push(`${score.unknown.length} results are for tests that this suite does not have; they do not count.`);
  }
  lines.push('', ...groupTable(score.groups), '');
  for (const kind of KINDS) {
    const tests = score.notPassed.filter((test) => test.kind === kind);
    if (tests.length === 0) continue;
    lines.push(
      `${tests.length} ${kind} tests not passed:`,
      ...tests.map((test) => describeTest(test, argued(test.id))),
      '',
    );
  }
  const despite = score.passed.filter((id) => argued(id) !== '');
  if (despite.length > 0) {
    lines.push('Passed, though test/conformance/arguments.ts argues against them:', ...despite.map(indent), '');
  }
  return lines.join('\n');
}

export function describeComparison(comparison: Comparison, before: number): string {
  const { lost, removed, gained } = comparison;
  const lines = [`${before} tests have passed before: ${lost.length} of them fail now, ${gained.length} pass newly.`];
  for (const { id, verdict, reason } of lost) lines.push(indent(`LOST ${id} (${verdict}): ${reason}`));
  for (const id of gained) lines.push(indent(`new ${id}`));
  if (removed.length > 0) lines.push(`${removed.length} of them are not in this revision of the suite.`);
  if (lost.length === 0 && gained.length > 0) lines.push('--update records what passes now.');
  return lines.join('\n');
}

/** `150/165  90.9 %  (fail 12, dependency 3)` */
export function describeResults(counts: ResultCounts): string {
  const share = counts.total === 0 ? '' : `  ${((100 * counts.pass) / counts.total).toFixed(1)} %`;
  const why = VERDICTS.filter((verdict) => verdict !== 'pass' && counts[verdict] > 0);
  const reasons = why.map((verdict) => `${verdict} ${counts[verdict]}`).join(', ');
  return `${`${counts.pass}/${counts.total}`.padStart(7)}${share}${reasons && `  (${reasons})`}`;
}

function groupTable(groups: Readonly<Record<string, ResultsPerKind>>): string[] {
  const width = Math.max(...Object.keys(groups).map((id) => id.length), 'group'.length) + 1;
  const head = `${'group'.padEnd(width)}${KINDS.map((kind) => LABELS[kind].padStart(10)).join('')}`;
  const rows = Object.entries(groups).map(
    ([id, counts]) => id.padEnd(width) + KINDS.map((kind) => cell(counts[kind]).padStart(10)).join(''),
  );
  return [head, ...rows];
}

/** `3/4`, or `-` where a group has no tests of a kind. */
export function cell({ pass, total }: ResultCounts): string {
  return total === 0 ? '-' : `${pass}/${total}`;
}

function describeTest({ id, verdict, reason }: NotPassed, rfc: string): string {
  // What a test rests on failed: that is not what the argument is about.
  const onPurpose = rfc !== '' && verdict !== 'dependency';
  return indent(`${id} (${verdict}): ${reason}${onPurpose ? ` [on purpose: ${rfc}]` : ''}`);
}

function indent(text: string): string {
  return `  ${text}`;
}
