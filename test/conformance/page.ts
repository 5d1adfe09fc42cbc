/**
 * docs/conformance.md, made from the scores on record, the arguments and the
 * other caches' scores.
 * @module
 */
import { paragraph, table as tableLines } from '../../lib/markdown.ts';
import { ARGUMENTS, type Argument, argumentFor } from './arguments.ts';
import { PEERS } from './peers.ts';
import type { RecordedScore } from './record.ts';
import { cell } from './report.ts';
import type { NotPassed } from './score.ts';
import { KINDS } from './suite.ts';

export const WAYS = {
  quick: 'one node',
  disk: 'one node, from disk and after restarts',
  tiers: 'edge → owner → shield',
  proxy: 'another proxy',
} as const;

/** Ways on which tests may not pass that pass through one node. */
const ONLY = {
  quick: 'through one node',
  disk: 'from disk',
  tiers: 'through the tiers',
  proxy: 'through another proxy',
} as const;

const INTRODUCTION = `<!-- Written by \`npm run conformance -- --update\`. Change test/conformance/, not this page. -->

# Conformance

Seawall is measured with the public caching suite, [http-tests/cache-tests](https://github.com/http-tests/cache-tests),
whose client and origin run unchanged with a real Seawall process between them. The suite has three kinds of tests:
*required* (what the RFCs demand), *optimal* (what they allow and a good cache does) and *check* (questions without a
right answer). A test counts as passed only if it passed and every test that it depends on passed; whatever else happens
to it, it stays in the total. Nothing in Seawall knows the suite: no test, header or timing of it is treated specially.
The site it runs with is [test/conformance/site.yaml](../test/conformance/site.yaml), four ordinary settings.

| command | what it runs |
| --- | --- |
| \`npm run conformance\` | the npm release 0.4.5, through one node; runs in CI |
| \`npm run conformance -- --disk\` | the same, from the disk of a node that is restarted between requests |
| \`npm run conformance:tiers\` | the same, through an edge that does not own the key, its owner and a shield |
| \`CACHE_TESTS_DIR=DIR npm run conformance\` | the newest revision: a clone of the repository, after \`npm install\` |

A run fails if a test fails that has passed before, if Seawall exits, logs an unhandled error, or does not stop when
asked. No test is retried. \`--help\` lists the options; \`--test ID\` shows the messages of one test.`;

/** @param scores - In the order in which they are to be shown. */
export function renderPage(scores: readonly RecordedScore[]): string {
  const quick = scores.filter(({ way }) => way === 'quick');
  const sections = [
    INTRODUCTION,
    '## Scores',
    scores.length === 0 ? 'Not measured yet.' : scoreTable(scores),
    '## Other caches',
    peerTable(scores.find(({ suite, way }) => suite === 'newest' && way === 'quick')),
    ...quick.flatMap(renderSuite),
    ...scores.filter(({ way }) => way !== 'quick').flatMap((score) => renderDifference(score, quick)),
    '## Where the RFC wins',
    'The suite and the RFCs differ on these tests. Seawall follows the RFCs and fails them on purpose.',
    ...renderArguments(scores),
  ];
  return `${sections.join('\n\n')}\n`;
}

function scoreTable(scores: readonly RecordedScore[]): string {
  return table(
    ['suite', 'through', ...KINDS],
    scores.map(({ suite, revision, way, total }) => [
      suite === 'newest' ? `newest (${revision})` : revision,
      WAYS[way],
      ...KINDS.map((kind) => cell(total[kind])),
    ]),
  );
}

function peerTable(own: RecordedScore | undefined): string {
  const rows = PEERS.map(({ name, passed }) => [name, ...KINDS.map((kind) => passed[kind].join(', '))]);
  if (own) rows.unshift(['**Seawall**', ...KINDS.map((kind) => `**${own.total[kind].pass}**`)]);
  const text =
    'Tests passed in the newest revision of the suite: 160 required, 105 optimal, 100 checks. The others were all measured ' +
    'on one machine, each version as named, as a caching reverse proxy in front of the suite’s origin; two numbers are two runs.';
  return `${wrap(text)}\n\n${table(['cache', ...KINDS], rows)}`;
}

function renderSuite({ suite, groups, notPassed }: RecordedScore): string[] {
  const title = suite === 'newest' ? 'the newest revision' : `release ${suite}`;
  const strict = notPassed.filter(({ kind }) => kind !== 'check');
  const checks = notPassed.filter(({ kind }) => kind === 'check');
  return [
    `## Groups of ${title}`,
    table(
      ['group', ...KINDS],
      Object.entries(groups).map(([id, counts]) => [id, ...KINDS.map((kind) => cell(counts[kind]))]),
    ),
    `## Not passed in ${title}`,
    strict.length === 0
      ? 'Every required and optimal test passes.'
      : table(
          ['test', 'kind', 'reason', 'why'],
          strict.map((test) => [`\`${test.id}\``, test.kind, reason(test), why(suite, test)]),
        ),
    `### Checks answered "no" in ${title}`,
    checks.length === 0
      ? 'None.'
      : table(
          ['test', 'reason'],
          checks.map((test) => [`\`${test.id}\``, reason(test)]),
        ),
  ];
}

/** Lists the tests whose result differs between the whole path and one node. */
function renderDifference(other: RecordedScore, quick: readonly RecordedScore[]): string[] {
  const one = quick.find(({ suite }) => suite === other.suite);
  if (!one) return [];
  const known = new Set(one.notPassed.map(({ id }) => id));
  const extra = other.notPassed.filter(({ id }) => !known.has(id));
  if (extra.length === 0) return [];
  return [
    `## Not passed ${ONLY[other.way]} only (${other.suite})`,
    table(
      ['test', 'kind', 'reason'],
      extra.map((test) => [`\`${test.id}\``, test.kind, reason(test)]),
    ),
  ];
}

function why(suite: string, { id, verdict }: NotPassed): string {
  if (verdict === 'dependency') return 'the test it depends on';
  const argument = argumentFor(suite, id);
  return argument ? `on purpose: [${argument.rfc}](#${anchor(argument.title)})` : '**a gap**';
}

/** The arguments for tests that Seawall does fail; all of them as long as nothing is on record. */
function renderArguments(scores: readonly RecordedScore[]): string[] {
  const failing = new Set(scores.flatMap(({ notPassed }) => notPassed.map(({ id }) => id)));
  const groups = new Map<string, { argument: Argument; ids: string[] }>();
  for (const [id, argument] of Object.entries(ARGUMENTS)) {
    if (scores.length > 0 && !failing.has(id)) continue;
    const group = groups.get(argument.title) ?? { argument, ids: [] };
    group.ids.push(id);
    groups.set(argument.title, group);
  }
  return [...groups.values()].flatMap(({ argument, ids }) => [
    `### ${argument.title}`,
    wrap(`${argument.rfc}. Tests: ${ids.map((id) => `\`${id}\`${suitesOf(id)}`).join(', ')}.`),
    wrap(argument.argument),
  ]);
}

function suitesOf(id: string): string {
  const suites = ARGUMENTS[id]?.suites ?? [];
  return suites.length === 1 ? ` (${suites[0]})` : '';
}

function anchor(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\w -]/g, '')
    .replaceAll(' ', '-');
}

function reason({ verdict, reason }: NotPassed): string {
  return verdict === 'fail' || verdict === 'dependency' || verdict === 'untested' ? reason : `${verdict}: ${reason}`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return tableLines(head, rows).join('\n');
}

function wrap(text: string): string {
  return paragraph(text).join('\n');
}
