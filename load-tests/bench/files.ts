/** Output files: JSON and chart in load-tests/results/, tables in the documentation. @module */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chart } from './chart.ts';
import { BenchError } from './errors.ts';
import type { Results } from './results.ts';
import { disturbance, goalMarkdown, provenance, scenarioMarkdown } from './table.ts';

const FOLDER = join(import.meta.dirname, '../results');
const PAGE = join(import.meta.dirname, '../../docs/performance.md');

/** Between these lines of the page stands what a run printed. */
const MARKERS = { begin: '<!-- bench: begin -->', end: '<!-- bench: end -->' };

/** @param name - Without ending. @returns The names of the files that were written. */
export function writeResults(results: Results, name: string): string[] {
  mkdirSync(FOLDER, { recursive: true });
  const [json, svg] = [join(FOLDER, `${name}.json`), join(FOLDER, `${name}.svg`)];
  writeFileSync(json, `${JSON.stringify(results, rounded, 2)}\n`);
  writeFileSync(svg, chart(results));
  return [json, svg];
}

export function writePage(results: Results): string {
  writeFileSync(PAGE, replaceBetween(readFileSync(PAGE, 'utf8'), pageOf(results)));
  return PAGE;
}

/** @throws {BenchError} when the page has no markers. */
export function replaceBetween(page: string, text: string): string {
  const [begin, end] = [page.indexOf(MARKERS.begin), page.indexOf(MARKERS.end)];
  if (begin < 0 || end < begin) throw new BenchError(`the page has no ${MARKERS.begin} and ${MARKERS.end}`);
  return `${page.slice(0, begin + MARKERS.begin.length)}\n\n${text.trim()}\n\n${page.slice(end)}`;
}

function pageOf(results: Results): string {
  const warning = disturbance(results.scenarios);
  return [
    provenance(results),
    ...(warning === undefined ? [] : ['', `**${warning}**`]),
    '',
    ...goalMarkdown(results.goals),
    ...results.scenarios.flatMap((scenario) => scenarioMarkdown(scenario)),
  ].join('\n');
}

/** Six digits say all that was measured. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value;
}
