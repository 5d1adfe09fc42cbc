/**
 * The reference pages hold what the code has, and nothing else: every code,
 * reason and metric is in a table, every table is in its page, and every entry
 * of a table is used.
 */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { DETAIL_MEANINGS, FORWARD_REASON_MEANINGS, STORE_REFUSAL_MEANINGS } from '../../cache/policy/refusals.ts';
import { EXIT_CODES } from '../../cli/failure.ts';
import type { ReadyLine } from '../../cli/ready.ts';
import { referencePages } from '../../cli/references/generate.ts';
import { API_ERRORS } from '../../control/errors.ts';
import { DATABASE_ERRORS } from '../../geo/database.ts';
import { HTTP_ERRORS } from '../../http/errors.ts';
import { CONNECTION_REFUSALS } from '../../http/listener/connection-refusals.ts';
import { UPSTREAM_CAUSES } from '../../http/upstream/errors.ts';
import { AUDIT_FINDINGS } from '../../journal/audit/verify.ts';
import { JOURNAL_ERRORS } from '../../journal/errors.ts';
import { METRICS, type MetricRole } from '../../telemetry/metric-table.ts';
import { RESULT_MEANINGS } from '../../telemetry/results.ts';
import { AUTHORITY_ERRORS } from '../../trust/authority/errors.ts';
import { PEER_REFUSALS } from '../../trust/refusals.ts';
import { makeCertificate } from '../support/certificate.ts';
import { startOrigin } from '../support/origin.ts';
import { ROOT, startCommand } from './process.ts';

interface Table {
  readonly file: string;
  readonly entries: Readonly<Record<string, unknown>>;
}

/** Codes of errors, in the order of docs/errors.md. */
const ERRORS: readonly Table[] = [
  { file: 'http/errors.ts', entries: HTTP_ERRORS },
  { file: 'http/upstream/errors.ts', entries: UPSTREAM_CAUSES },
  { file: 'http/listener/connection-refusals.ts', entries: CONNECTION_REFUSALS },
  { file: 'trust/refusals.ts', entries: PEER_REFUSALS },
  { file: 'control/errors.ts', entries: API_ERRORS },
  { file: 'journal/errors.ts', entries: JOURNAL_ERRORS },
  { file: 'journal/audit/verify.ts', entries: AUDIT_FINDINGS },
  { file: 'cli/failure.ts', entries: EXIT_CODES },
  { file: 'geo/database.ts', entries: DATABASE_ERRORS },
  { file: 'trust/authority/errors.ts', entries: AUTHORITY_ERRORS },
];

/** Reasons, in the order of docs/cache-status.md. */
const REASONS: readonly Table[] = [
  { file: 'cache/policy/refusals.ts', entries: STORE_REFUSAL_MEANINGS },
  { file: 'cache/policy/refusals.ts', entries: FORWARD_REASON_MEANINGS },
  { file: 'cache/policy/refusals.ts', entries: DETAIL_MEANINGS },
  { file: 'telemetry/results.ts', entries: RESULT_MEANINGS },
];

const FOLDERS = '{cache,cli,config,control,edge,geo,http,journal,lib,origin-shield,telemetry,tier,trust}';
const sources = new Map(
  globSync(`${FOLDERS}/**/*.ts`, { cwd: ROOT }).map((file) => [file, readFileSync(join(ROOT, file), 'utf8')]),
);
const codes = new Set(ERRORS.flatMap(({ entries }) => Object.keys(entries)));

function pageText(name: string): string {
  return readFileSync(join(ROOT, 'docs', name), 'utf8');
}

/** Returns what a pattern captures in the sources, as `file: capture`. */
function found(pattern: RegExp): { readonly file: string; readonly name: string }[] {
  return [...sources].flatMap(([file, text]) => [...text.matchAll(pattern)].map(([, name = '']) => ({ file, name })));
}

for (const { url, content } of referencePages()) {
  test(`${url.pathname.split('/').at(-1)} is up to date with npm run docs:references`, async (t) => {
    t.equal(readFileSync(url, 'utf8'), content);
  });
}

for (const [page, tables] of [
  ['errors.md', ERRORS],
  ['cache-status.md', REASONS],
] as const) {
  test(`${page} has every entry of its tables, and no other`, async (t) => {
    const documented = [...pageText(page).matchAll(/^(?:\| |- )`([\w-]+)`(?: \||:| \()/gm)].map(([, name]) => name);
    t.strictSame(
      documented,
      tables.flatMap(({ entries }) => Object.keys(entries)),
    );
  });
}

test('error codes have one casing', async (t) => {
  t.strictSame(
    [...codes].filter((code) => !/^[a-z][a-z0-9]*(?:_[a-z0-9]+)*$/.test(code)),
    [],
  );
});

test('every error code in the source is in a table', async (t) => {
  const thrown = found(/\bnew (?!Type|Range)\w+(?:Error|Failure|Name)\(\s*'([\w-]+)'/g);
  const assigned = found(/\bcode(?:: \w+Code)?(?: = |: )'([\w-]+)'/g);
  const closed = found(/\b(?:connectionRefused|closeForFlood)\('([\w-]+)'/g);
  t.ok(thrown.length > 100, 'codes of errors were found');
  t.ok(assigned.length > 10 && closed.length > 1, 'codes of fields and calls were found');
  t.strictSame(
    // HPE_: errors of node:http's parser, which mean what its own mean.
    [...thrown, ...assigned, ...closed].filter(({ name }) => !codes.has(name) && !name.startsWith('HPE_')),
    [],
  );
});

/** Classes of errors without a code of ours, because none of them leaves the code that throws it. */
const INTERNAL = new Map([
  ['DiskBusyError', 'cache/disk/segment-disk.ts counts it as a miss'],
  ['DiskInUseError', 'tier/node-disk.ts makes it a ConfigError'],
  ['EtcdRefusal', 'journal/etcd/journal.ts makes it a JournalError'],
  ['EvictedError', 'a caller that has retained a body does not get it (cache/store/store.ts)'],
  ['LaggedError', 'cache/resume.ts fetches the rest, or ends the response'],
  ['SelectorError', 'control/purge-request.ts makes it an ApiError'],
]);

test('every class of errors has codes from a table', async (t) => {
  const classes = found(/\bclass (\w+) extends Error\b/g);
  t.ok(classes.length > 8, 'classes were found');
  const without = classes.filter(({ file, name }) => {
    const body = sources.get(file)?.split(`class ${name} extends Error`)[1]?.split('\n}\n')[0] ?? '';
    return !/\breadonly (?:code|reason)(?:: (?:\w+Code|UpstreamCause)| = ')/.test(body);
  });
  t.strictSame(without.map(({ name }) => name).sort(), [...INTERNAL.keys()].sort());
});

test('every entry of the tables is used', async (t) => {
  const unused = [...ERRORS, ...REASONS].flatMap(({ file, entries }) =>
    Object.keys(entries)
      .filter((name) => {
        const used = `'${name}'`;
        return ![...sources].some(([other, text]) => (other === file ? withoutTables(text) : text).includes(used));
      })
      .map((name) => `${file}: ${name}`),
  );
  t.strictSame(unused, []);
});

/** Returns the source without its tables of meanings. */
function withoutTables(text: string): string {
  return text.replaceAll(/^export const \w+ = \{\n.*?^\} as const[^\n]*;$/gms, '');
}

test('metrics are made from the table only', async (t) => {
  const makers = ['telemetry/instruments.ts', 'telemetry/fast-counter.ts'];
  const made = found(/\bnew (Counter|Gauge|Histogram|Summary)\b/g).filter(({ file }) => !makers.includes(file));
  t.strictSame(
    made.filter(({ file }) => file !== 'telemetry/metrics.ts'),
    [],
  );
});

const names = new Set(
  Object.entries(METRICS).flatMap(([name, { type }]) =>
    type === 'histogram' ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
  ),
);

test('metrics.md has every metric, and no page or source names another', async (t) => {
  const documented = [...pageText('metrics.md').matchAll(/^### `(\w+)`$/gm)].map(([, name]) => name ?? '');
  t.strictSame(documented.toSorted(), Object.keys(METRICS).toSorted());
  const files = globSync([`${FOLDERS}/**/*.ts`, '{load-tests,test}/**/*.ts', 'docs/**/*.md', '*.md'], {
    cwd: ROOT,
    exclude: ['node_modules/**', '**/.tap/**', 'CHANGELOG.md'],
  });
  const unknown = files.flatMap((file) =>
    [...readFileSync(join(ROOT, file), 'utf8').matchAll(/\bseawall_[a-z_]+[a-z]\b(?!:)/g)]
      .map(([name]) => name)
      .filter((name) => !names.has(name) && !['seawall_tier'].includes(name))
      .map((name) => `${file}: ${name}`),
  );
  t.strictSame(unknown, []);
});

async function startAllRoles(t: Test): Promise<ReadyLine['nodes']> {
  const origin = await startOrigin((_request, response) => void response.end('hello'));
  t.teardown(() => origin.close());
  const yaml = [
    'region: eu',
    'tier_secret: a-secret-of-the-tests',
    'edges: [{ name: edge, listen: "127.0.0.1:0", listen_tls: "127.0.0.1:0", tier: "127.0.0.1:0", control: "127.0.0.1:0", workers: 2, disk: { path: edge, size: 256MiB } }]',
    'shields: [{ name: shield, tier: "127.0.0.1:0", control: "127.0.0.1:0", disk: { path: shield, size: 256MiB } }]',
    'control: { name: control, listen: "127.0.0.1:0" }',
    'dns:',
    '  name: dns',
    '  listen: ["127.0.0.1:0"]',
    '  control: "127.0.0.1:0"',
    '  zones:',
    '    - name: example.com',
    '      nameservers: [{ name: ns1.example.com, addresses: [192.0.2.53] }]',
    '      hostmaster: dns@example.com',
    '      serial: 1',
    'sites:',
    '  - name: site',
    '    hosts: [www.example.com]',
    '    tls: { cert_file: site.pem, key_file: site.key }',
    `    origin: { servers: [{ url: '${origin.url}' }] }`,
  ].join('\n');
  const folder = t.testdir({ 'eu.yaml': yaml });
  makeCertificate(folder, 'site', ['www.example.com']);
  const file = join(folder, 'eu.yaml');
  const { ready } = await startCommand<ReadyLine>(t, 'cli/seawall.ts', ['start', file]);
  return ready.nodes;
}

test('a node of each role serves the metrics that the table says, with their types and help', async (t) => {
  const nodes = await startAllRoles(t);
  for (const role of ['edge', 'shield', 'control', 'dns'] as const satisfies readonly MetricRole[]) {
    const node = nodes.find(({ name }) => name === role);
    const text = await (await fetch(`http://${node?.control}/metrics`)).text();
    const types = [...text.matchAll(/^# TYPE (seawall_\w+) (\w+)$/gm)].map(([, name, type]) => `${name} ${type}`);
    const help = [...text.matchAll(/^# HELP (seawall_\w+) (.+)$/gm)].map(([, name, logLine]) => `${name} ${logLine}`);
    const expected = Object.entries(METRICS).filter(([, { roles }]) => (roles as readonly string[]).includes(role));
    t.strictSame(types.toSorted(), expected.map(([name, { type }]) => `${name} ${type}`).toSorted(), role);
    t.strictSame(help.toSorted(), expected.map(([name, entry]) => `${name} ${entry.help}`).toSorted(), role);
  }
});
