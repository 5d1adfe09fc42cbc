/**
 * Runs the public caching suite against a real Seawall process, scores it and
 * compares it with what has passed before.
 * @module
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readArguments } from '../support/arguments.ts';
import { Child } from './child.ts';
import type { ClientReport, SeenResponse } from './client.ts';
import { type Origin, startOrigin } from './origin.ts';
import { renderPage, WAYS } from './page.ts';
import { type Comparison, compareWithPassed, readPassed, readScores, writePassed, writeScore } from './record.ts';
import { describeComparison, describeScore } from './report.ts';
import { parseResults, type Results, type Score, scoreResults } from './score.ts';
import { loadSuite, type Suite } from './suite.ts';
import { otherProxy, startOnDisk, startQuick, startTiers, type Way, type WayName } from './way.ts';

/**
 * Location and Content-Location of an unsafe request are invalidated by the
 * nodes on its own way (RFC 9111, section 4.4: "MAY"). Whether those keep the
 * URL that is named depends on which edge owns its key: chance, as the suite's
 * URLs are random.
 */
const CHANCE_BETWEEN_TIERS = /^invalidate-.+-(?:location|cl)$/;

const ROOT = join(import.meta.dirname, '../..');
const RELEASE_DIR = join(ROOT, 'node_modules/http-cache-tests');
const PAGE_FILE = join(ROOT, 'docs/conformance.md');
/** The newest revision takes about 50 s, most of it waiting for things to become stale. */
const SUITE_WITHIN_MS = 110_000;
const REPORT_WITHIN_MS = 2_000;
const STOP_WITHIN_MS = 2_000;

const USAGE = `usage: node test/conformance/run.ts [options]

Runs the public caching suite (github.com/http-tests/cache-tests) against Seawall. Exits with 1 if a test fails
that has passed before, or if Seawall ends, writes of an unhandled error, or does not stop when asked.

  --tiers          through an edge that does not own the key, its owner and a shield, instead of one node
  --disk           through one node that answers from its disk, and is killed and started again between the requests
                   of each test
  --workers N      threads of the one node; by default 1
  --suite DIR      this copy of the suite (also: CACHE_TESTS_DIR); by default the npm package http-cache-tests
  --update         record what passes now, and write docs/conformance.md
  --forget         with --update: also when tests that have passed before do not any more
  --test ID        run one test, print its messages, compare nothing
  --json           the score as JSON
  --out FILE       keep the results of the suite's client
  --results FILE   score these results instead of running anything
  --proxy URL      measure another proxy, already running, with --origin-port PORT for its origin
  --origin-port N  where the suite's origin listens; by default on a free port
  --help
`;

interface Options {
  readonly tiers: boolean;
  readonly disk: boolean;
  readonly workers: string;
  readonly suiteDir: string;
  readonly update: boolean;
  readonly forget: boolean;
  readonly test: string | undefined;
  readonly json: boolean;
  readonly out: string | undefined;
  readonly results: string | undefined;
  readonly proxy: string | undefined;
  readonly originPort: number;
}

interface Outcome {
  readonly results: Results;
  /** Problems beside the tests. */
  readonly problems: readonly string[];
  /** Remarks about the path that requests took. */
  readonly remarks: readonly string[];
}

try {
  process.exitCode = await main(readOptions());
} catch (error) {
  console.error(`conformance: ${(error as Error).message}`);
  process.exitCode = 1;
}

/** @returns The exit code. */
async function main(options: Options): Promise<number> {
  const suite = await loadSuite(options.suiteDir);
  if (options.results !== undefined) {
    print(options, suite, scoreResults(suite, parseResults(readFileSync(options.results, 'utf8'))));
    return 0;
  }
  if (options.test !== undefined && !suite.tests.has(options.test)) {
    throw new Error(`the suite has no test ${options.test}`);
  }

  const beganAt = Date.now();
  const outcome = await runSuite(suite, options);
  if (options.test !== undefined) {
    console.log(`result: ${JSON.stringify(outcome.results[options.test] ?? 'none')}`);
    for (const problem of outcome.problems) console.error(`PROBLEM ${problem}`);
    return outcome.results[options.test] === true && outcome.problems.length === 0 ? 0 : 1;
  }
  if (options.out !== undefined) writeFileSync(options.out, `${JSON.stringify(outcome.results, null, 2)}\n`);
  const score = scoreResults(suite, outcome.results);

  const passedBefore = options.proxy === undefined ? readPassed(suite.name) : undefined;
  const isByChance = (id: string): boolean => options.tiers && CHANCE_BETWEEN_TIERS.test(id);
  const comparison = compareWithPassed(passedBefore ?? [], score, isByChance);
  print(options, suite, score, outcome, Date.now() - beganAt);
  if (options.proxy === undefined && !options.json) {
    console.log(
      passedBefore ? describeComparison(comparison, passedBefore.length) : `No run of ${suite.name} is on record.`,
    );
  }
  for (const problem of outcome.problems) console.error(`PROBLEM ${problem}`);
  if (options.update) return update(suite, options, score, outcome, comparison);
  return comparison.lost.length > 0 || outcome.problems.length > 0 ? 1 : 0;
}

/** Updates the record of passed tests: those that pass through one node, which the whole path must pass as well. */
function update(suite: Suite, options: Options, score: Score, outcome: Outcome, { lost }: Comparison): number {
  if (outcome.problems.length > 0) {
    console.error('Nothing is recorded of a run with problems.');
    return 1;
  }
  const isOfRecord = !options.tiers && !options.disk;
  if (isOfRecord && lost.length > 0 && !options.forget) {
    console.error(`Nothing is recorded: ${lost.length} tests have passed before and fail now (see --forget).`);
    return 1;
  }
  if (isOfRecord) writePassed(suite.name, score.passed);
  writeScore(suite, wayOf(options), score);
  writeFileSync(PAGE_FILE, renderPage(readScores()));
  console.error('Recorded in test/conformance/ and docs/conformance.md.');
  return !isOfRecord && lost.length > 0 ? 1 : 0;
}

function wayOf({ tiers, disk }: Options): WayName {
  return tiers ? 'tiers' : disk ? 'disk' : 'quick';
}

async function runSuite(suite: Suite, options: Options): Promise<Outcome> {
  const workDir = mkdtempSync(join(tmpdir(), 'seawall-conformance-'));
  const removeWorkDir = (): void => rmSync(workDir, { recursive: true, force: true });
  process.once('exit', removeWorkDir);
  let origin: Origin | undefined;
  let way: Way | undefined;
  const problems: string[] = [];
  let report: ClientReport = { results: {}, seen: [] };
  try {
    const originLine = (line: string): void => {
      if (options.test !== undefined) console.log(`origin: ${line}`);
    };
    origin = await startOrigin(suite, options.originPort, workDir, originLine);
    way = await startWay(options, origin.url, workDir);
    report = await runClient(suite, way, origin, options.test, problems);
  } finally {
    problems.push(...((await way?.stop()) ?? []));
    await origin?.child.stop(STOP_WITHIN_MS);
    process.off('exit', removeWorkDir);
    removeWorkDir();
  }
  const account: { lines: readonly string[]; problems: readonly string[] } = accountOf(way, report.seen, options);
  return { results: report.results, problems: [...problems, ...account.problems], remarks: account.lines };
}

function accountOf(way: Way, seen: readonly SeenResponse[], options: Options): ReturnType<Way['account']> {
  return options.test === undefined ? way.account(seen) : { lines: [], problems: [] };
}

function startWay(options: Options, originUrl: string, workDir: string): Promise<Way> {
  if (options.proxy !== undefined) return Promise.resolve(otherProxy(options.proxy));
  if (options.disk) return startOnDisk(originUrl, workDir);
  return options.tiers ? startTiers(originUrl, workDir) : startQuick(originUrl, options.workers);
}

/** Runs the suite's client; whatever it has when the time is up, or Seawall is gone, is what is scored. */
async function runClient(
  suite: Suite,
  way: Way,
  origin: Origin,
  test: string | undefined,
  problems: string[],
): Promise<ClientReport> {
  const args = ['--no-warnings', join(import.meta.dirname, 'client.ts'), suite.dir, way.base];
  const client = new Child('the suite’s client', test === undefined ? args : [...args, test], {
    cwd: suite.dir,
    // The client asks Seawall itself, whatever proxy this machine uses otherwise.
    env: {
      HTTP_PROXY: undefined,
      http_proxy: undefined,
      NODE_USE_ENV_PROXY: undefined,
      CONFORMANCE_BETWEEN: way.between && 'yes',
    },
    ipc: true,
    onLine: (line) => {
      if (test !== undefined) console.log(line);
    },
  });
  const reported = new Promise<ClientReport>((resolve) => {
    client.onMessage((message) => {
      if ((message as { readonly between?: true }).between !== true) resolve(message as ClientReport);
      else void way.between?.().then(() => client.send({ done: true }));
    });
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`the suite was not through after ${SUITE_WITHIN_MS / 1000} s`), SUITE_WITHIN_MS);
  });
  const broken = client.ended.then((how) => `the suite’s client ended (${how}) without a report:\n${client.tail}`);
  const first = await Promise.race([
    reported,
    late,
    broken,
    way.died,
    origin.child.died.then((how) => `the suite’s origin ended (${how})`),
  ]);
  clearTimeout(timer);
  if (typeof first !== 'string') {
    await client.stop(STOP_WITHIN_MS);
    return first;
  }
  problems.push(first);
  client.send({ report: true });
  const partial = await Promise.race([
    reported,
    client.ended,
    new Promise((done) => setTimeout(done, REPORT_WITHIN_MS)),
  ]);
  await client.stop(STOP_WITHIN_MS);
  return typeof partial === 'object' ? (partial as ClientReport) : { results: {}, seen: [] };
}

function print(options: Options, suite: Suite, score: Score, outcome?: Outcome, tookMs?: number): void {
  if (options.json) {
    const { total, groups, notPassed, unknown } = score;
    const { revision, name } = suite;
    console.log(
      JSON.stringify(
        { suite: name, revision, total, groups, notPassed, unknown, problems: outcome?.problems },
        null,
        2,
      ),
    );
    return;
  }
  const through = options.results ?? options.proxy ?? WAYS[wayOf(options)];
  const took = tookMs === undefined ? '' : `, in ${Math.round(tookMs / 1000)} s`;
  console.log(`${suite.revision}, ${suite.applicable.length} tests, ${through}${took}\n`);
  for (const line of outcome?.remarks ?? []) console.log(`${line}\n`);
  console.log(describeScore(suite, score, options.proxy === undefined && options.results === undefined));
}

function readOptions(): Options {
  const given = readArguments(
    'conformance',
    USAGE,
    { suite: '', test: '', out: '', results: '', proxy: '', 'origin-port': '0', workers: '1' },
    { flags: ['tiers', 'disk', 'update', 'forget', 'json'] },
  );
  const { flags } = given;
  const options: Options = {
    tiers: flags.has('tiers'),
    disk: flags.has('disk'),
    workers: String(given.whole('workers', 1, 256)),
    update: flags.has('update'),
    forget: flags.has('forget'),
    json: flags.has('json'),
    suiteDir: given.optional('suite') ?? process.env['CACHE_TESTS_DIR'] ?? RELEASE_DIR,
    test: given.optional('test'),
    out: given.optional('out'),
    results: given.optional('results'),
    proxy: given.optional('proxy')?.replace(/\/$/, ''),
    originPort: given.whole('origin-port', 0, 65_535),
  };
  const { test, proxy, results } = options;
  if (proxy !== undefined && options.originPort === 0) given.refuse('--proxy needs --origin-port');
  if (options.disk && (options.tiers || options.workers !== '1')) given.refuse('--disk is of one node with one thread');
  if (options.forget && !options.update) given.refuse('--forget goes with --update');
  if (options.update && (test ?? proxy ?? results) !== undefined) {
    given.refuse('--update needs a whole run of Seawall');
  }
  return options;
}
