/**
 * Tests mirror the tree: a file that decides something has a test of its name in the mirrored place, a folder of tests
 * of its name, or stands in a folder whose parts are tested together, with a test or a folder of tests for that.
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'tap';

const ROOT = join(import.meta.dirname, '..');

const FOLDERS = 'cache,cli,config,control,edge,geo,http,jobs,journal,lib,origin-shield,telemetry,tier,trust';

/** Parts that are tested together, and why; the number of files without a test of their own may only fall. */
interface Together {
  readonly folder: string;
  readonly why: string;
  readonly tests: readonly string[];
  readonly most: number;
}

const ENGINE = ['test/cache/engine/model.test.ts', 'test/cache/engine/evicted.test.ts', 'test/cache/lookup.test.ts'];

const TOGETHER: readonly Together[] = [
  {
    folder: 'cache',
    why: 'what the engine is made of shows in the answers that it gives, and in random histories of it',
    tests: ENGINE,
    most: 2,
  },
  { folder: 'cache/steps', why: 'steps of the engine', tests: ENGINE, most: 4 },
  {
    folder: 'cache/encoding',
    why: 'the program of a thread is tested in that thread',
    tests: ['test/cache/encoding/encoder-thread.test.ts'],
    most: 1,
  },
  {
    folder: 'cache/store',
    why: 'bodies and decoded copies are tested by the contract that every store keeps',
    tests: ['test/cache/store/memory-store.test.ts', 'test/cache/store/record.test.ts'],
    most: 2,
  },
  {
    folder: 'cache/disk',
    why: 'a disk is tested by what it holds after a restart, a crash or a failure',
    tests: [
      'test/cache/disk/segment-store.test.ts',
      'test/cache/disk/crash.test.ts',
      'test/cache/disk/failing.test.ts',
    ],
    most: 3,
  },
  {
    folder: 'cli',
    why: 'commands and wiring run as processes',
    tests: ['test/cli/start.test.ts', 'test/cli/main.test.ts', 'test/cli/purge.test.ts', 'test/cli/serve.test.ts'],
    most: 9,
  },
  { folder: 'cli/completion', why: 'shells complete with it', tests: ['test/cli/completion/shells.test.ts'], most: 4 },
  { folder: 'cli/demo', why: 'the demo network runs', tests: ['test/cli/demo/start.test.ts'], most: 5 },
  {
    folder: 'control',
    why: 'the addresses of the API are tested by its answers',
    tests: ['test/control/node.test.ts', 'test/control/purges.test.ts', 'test/control/regions.test.ts'],
    most: 4,
  },
  {
    folder: 'control/jobs',
    why: 'rows, their queue and their addresses are tested by random histories of jobs, and by the answers of the API',
    tests: ['test/control/jobs/queue.test.ts', 'test/control/jobs/job-routes.test.ts', 'test/journeys/jobs.test.ts'],
    most: 6,
  },
  {
    folder: 'control/store',
    why: 'one contract for what a control node keeps, in a folder and in etcd',
    tests: ['test/control/store/embedded-store.test.ts', 'test/control/store/etcd-store.test.ts'],
    most: 7,
  },
  {
    folder: 'edge',
    why: 'reading and finishing of requests is compared with node:http for random requests',
    tests: ['test/edge/equivalence.test.ts', 'test/edge/pipeline.test.ts', 'test/journeys/visitor-fields.test.ts'],
    most: 7,
  },
  {
    folder: 'geo',
    why: 'what follows a control node is tested with control nodes, and databases that change',
    tests: ['test/geo/open-locator.test.ts', 'test/control/region-stream.test.ts'],
    most: 4,
  },
  {
    folder: 'http/node-http',
    why: 'what node:http reads is tested on sockets, beside our own server',
    tests: ['test/http/exchange.test.ts', 'test/http/node-http/framing.test.ts', 'test/http/http1/connection.test.ts'],
    most: 3,
  },
  {
    folder: 'http/http1',
    why: 'the server is tested by its connections',
    tests: ['test/http/http1/connection.test.ts'],
    most: 1,
  },
  {
    folder: 'http/listener',
    why: 'options of TLS are tested by handshakes, moving of sockets by processes that take over',
    tests: ['test/http/listener/tls.test.ts', 'test/cli/takeover.test.ts'],
    most: 2,
  },
  {
    folder: 'journal/audit',
    why: 'the log is tested by what is found of each kind of tampering with both stores',
    tests: ['test/journal/audit/embedded.test.ts', 'test/journal/audit/etcd.test.ts'],
    most: 4,
  },
  {
    folder: 'journal',
    why: 'files and clients of the journal are tested between a journal and its followers',
    tests: ['test/journal/routes.test.ts', 'test/journal/stream.test.ts', 'test/journal/follower.test.ts'],
    most: 2,
  },
  {
    folder: 'telemetry',
    why: 'what nodes show is held against the table of metrics, by scrapes of real nodes',
    tests: ['test/cli/references.test.ts'],
    most: 2,
  },
  {
    folder: 'tier',
    why: 'the core of a node is tested by what nodes answer',
    tests: ['test/tier/pipeline.test.ts', 'test/tier/listener.test.ts', 'test/journeys/the-way.test.ts'],
    most: 5,
  },
  {
    folder: 'trust',
    why: 'nodes that know each other by certificates are tested on real sockets',
    tests: ['test/trust/network.test.ts', 'test/trust/changes.test.ts', 'test/trust/refusals.test.ts'],
    most: 2,
  },
  { folder: 'origin-shield', why: 'wiring of a shield', tests: ['test/journeys/the-way.test.ts'], most: 1 },
];

/** A branch, a loop or a choice between two values. A value that is worked out once, `??=`, is none. */
const DECISION = /\b(?:if|for|while|switch)\s*\(|\?\?(?!=)|&&|\|\||(?<!\?)\?(?!\?)/;

/** A regular expression where one can stand: it is data for what uses it. */
const REGULAR_EXPRESSION = /(?<=[(,=:[!&|?{;]\s*)\/(?![*/])(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[dgimsuvy]*/g;

/** Returns whether the file decides something when it runs: others are types, tables and calls in order. */
function isDeciding(source: string): boolean {
  const code = stripTypeScriptTypes(source)
    .replaceAll(/\/\*.*?\*\//gs, '')
    .replaceAll(/(?<=^|\s)\/\/.*$/gm, '')
    .replaceAll(REGULAR_EXPRESSION, '')
    .replaceAll(/'(?:[^'\\\n]|\\.)*'/g, '')
    .replaceAll(/`(?:[^`\\]|\\.)*`/gs, (text) => (text.match(/\$\{[^}]*\}/g) ?? []).join(';'));
  return DECISION.test(code);
}

/** Returns whether there is a test of the file's name, or of that of a folder that it stands in below the first. */
function hasTest(file: string): boolean {
  const path = file.replace(/\.ts$/, '');
  if (existsSync(join(ROOT, `test/${path}.test.ts`))) return true;
  if (globSync(`test/${path}/*.test.ts`, { cwd: ROOT }).length > 0) return true;
  for (let folder = dirname(file); folder.includes('/'); folder = dirname(folder)) {
    if (existsSync(join(ROOT, `test/${folder}.test.ts`))) return true;
  }
  return false;
}

const files = globSync(`{${FOLDERS}}/**/*.ts`, { cwd: ROOT }).sort();
const untested = files.filter((file) => isDeciding(readFileSync(join(ROOT, file), 'utf8')) && !hasTest(file));

test('every file with a decision has a test by name, or is one of the parts that are tested together', async (t) => {
  t.ok(files.length > 400, 'the files were found');
  const folders = new Set(TOGETHER.map(({ folder }) => folder));
  t.strictSame(
    untested.filter((file) => !folders.has(dirname(file))),
    [],
    'write test/PATH.test.ts',
  );
});

for (const { folder, why, tests, most } of TOGETHER) {
  test(`${folder}/ has no more than ${most} files without a test of their own: ${why}`, async (t) => {
    const own = untested.filter((file) => dirname(file) === folder);
    t.equal(
      own.length,
      most,
      own.length > most ? `a new file needs a test: ${own.join(', ')}` : 'lower the number here',
    );
    t.strictSame(
      tests.filter((file) => !existsSync(join(ROOT, file))),
      [],
    );
  });
}

test('files that only have types, tables or calls in order decide nothing', async (t) => {
  t.notOk(
    isDeciding("interface A { readonly b?: string | undefined }\nconst ROWS = [{ c: 'is it? || no' }]; d(ROWS);"),
  );
  t.notOk(isDeciding("const A = /^(?:a|b)?[/?]$/;\nlet b; const c = (): B => { b ??= d(A, /'\\/?/g); return b; };"));
  t.ok(isDeciding('const a = (b?: string): string => b ?? c;'));
  t.ok(isDeciding('const a = b / 2 > 1 ? c : d / 2;'));
  t.ok(isDeciding(['const a = `x$', '{b ? c : d}`;'].join('')));
});
