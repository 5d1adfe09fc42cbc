/**
 * `seawall audit`: verifies and exports the audit log, and prints what is kept elsewhere to compare it with.
 * @module
 */
import { createReadStream, readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { loadRegion } from '../config/load.ts';
import { quote } from '../config/problem.ts';
import type { RegionConfig } from '../config/schema.ts';
import { auditSealing, knownKeys, ownVerifier } from '../control/audit-key.ts';
import { openDataFolder } from '../control/data-folder.ts';
import type { ProblemDocument } from '../control/errors.ts';
import { openStore } from '../control/store/open-store.ts';
import { exportedLog, exportLines, storedLog } from '../journal/audit/export.ts';
import { openAuditLogFile } from '../journal/audit/file-log.ts';
import { parseVerifier, type Verifier } from '../journal/audit/note.ts';
import { AUDIT_FINDINGS, type AuditSource, type Finding, type Verified, verifyAudit } from '../journal/audit/verify.ts';
import { JournalError } from '../journal/errors.ts';
import { actionOf } from './action.ts';
import { defineCommand } from './command.ts';
import { controlUrl, DEFAULT_CONTROL } from './control-url.ts';
import { EXIT_FAILURE, Failure, UsageError } from './failure.ts';
import { print } from './output.ts';

const ACTIONS = ['verify', 'export', 'checkpoint', 'key'] as const;

export const audit = defineCommand({
  name: 'audit',
  summary: 'Verify and export the audit log.',
  about: `
verify      finds the first entry of the audit log that was changed, removed or moved.
            Exits with 1 when there is one. Keep checkpoints elsewhere and name them with
            --checkpoint: they show what was written anew by someone who has the key.
export      prints the log as lines of JSON, for verify --export.
checkpoint  prints the newest signed checkpoint, of a control node that runs.
key         prints the public key of the control node that a region file names.

FILE is a region file: it names the store and the known keys. The store of a single
control node is read while that is stopped; of one that runs, read it with --control.`,
  operands: 'verify|export|checkpoint|key [FILE]',
  options: {
    checkpoint: { type: 'list', value: 'FILE', help: 'A checkpoint that was kept elsewhere. Can be repeated.' },
    key: { type: 'list', value: 'KEY', help: 'A public key that is known, beside those of FILE. Can be repeated.' },
    export: { type: 'text', value: 'FILE', help: 'Verify what export has printed.' },
    control: {
      type: 'text',
      value: 'URL',
      help: `Read the log of this control node. checkpoint: $SEAWALL_CONTROL, else ${DEFAULT_CONTROL}.`,
    },
    token: {
      type: 'text',
      value: 'TOKEN',
      help: 'The token, for --control. Command lines are visible in ps: prefer $SEAWALL_TOKEN, the default.',
    },
    json: { type: 'flag', help: 'Print JSON.' },
  },
  examples: [
    'verify config/regions/eu.yaml --checkpoint checkpoint-monday',
    'verify config/regions/eu.yaml --control http://10.0.0.3:8900',
    'export config/regions/eu.yaml',
    'checkpoint --control http://10.0.0.3:8900',
    'key config/regions/eu.yaml',
  ],

  async run(options, [action, file, ...more]) {
    const wanted = actionOf(ACTIONS, action);
    if (more[0] !== undefined) throw new UsageError(`${quote(more[0])} is not expected here`, '');
    const region = file === undefined ? undefined : loadRegion(file);
    switch (wanted) {
      case 'verify':
        return verify(region, options);
      case 'export':
        return withLog(region, options, async (log) => {
          for await (const lines of exportLines(log)) process.stdout.write(lines);
          return 0;
        });
      case 'checkpoint':
        print((await text(await call(options, '/v1/audit/checkpoint'))).trimEnd());
        return 0;
      case 'key':
        print(keyOf(region).text);
        return 0;
    }
  },
});

interface AuditOptions {
  readonly checkpoint: readonly string[];
  readonly key: readonly string[];
  readonly export: string | undefined;
  readonly control: string | undefined;
  readonly token: string | undefined;
  readonly json: boolean;
}

async function verify(region: RegionConfig | undefined, options: AuditOptions): Promise<number> {
  const known = verifiersOf(region, options.key);
  const pinned = options.checkpoint.map((file) => readFileSync(file, 'utf8'));
  const verified = await withLog(region, options, (log) => verifyAudit(log, { known, pinned }));
  if (options.json) print(JSON.stringify(shown(verified)));
  else for (const line of describe(verified)) print(line);
  return verified.finding === undefined ? 0 : EXIT_FAILURE;
}

function shown({ first, size, root, signers, pinned, finding }: Verified) {
  return {
    ok: finding === undefined,
    first,
    size,
    root: root.toString('base64'),
    signed_by: signers.map(({ text: key }) => key),
    checkpoints: pinned,
    finding: finding ?? null,
  };
}

function describe(verified: Verified): string[] {
  const { first, size, signers, pinned, finding } = verified;
  if (finding !== undefined) return [problemOf(finding)];
  if (size === 0) return ['The audit log is empty.'];
  return [
    `Entries ${first} to ${size - 1} are as they were written; signed by ${signers.map(({ text: key }) => key).join(', ')}.`,
    ...pinned.map((one) => `The checkpoint of ${one} entries is of this log.`),
  ];
}

/** Findings about a checkpoint as a whole, and no entry. */
const CHECKPOINT_FINDINGS: ReadonlySet<Finding['code']> = new Set([
  'audit_bad_checkpoint',
  'audit_unknown_key',
  'audit_bad_signature',
]);

function problemOf({ code, first, last, detail }: Finding): string {
  if (CHECKPOINT_FINDINGS.has(code))
    return `${code}: ${AUDIT_FINDINGS[code]}${detail === undefined ? '' : ` (${detail})`}`;
  const where = first === last ? `entry ${first}` : `one of the entries ${first} to ${last}`;
  return `${code}: ${AUDIT_FINDINGS[code]} The first is ${where}${detail === undefined ? '' : ` (${detail})`}.`;
}

function verifiersOf(region: RegionConfig | undefined, keys: readonly string[]): Verifier[] {
  const given = keys.map((key) => {
    const verifier = parseVerifier(key);
    if (verifier !== undefined) return verifier;
    throw new UsageError(`--key: ${quote(key)} is no public key`, 'Write what seawall audit key prints.');
  });
  const { control } = region ?? {};
  const own = region === undefined || control === undefined ? undefined : ownVerifier(region, control);
  const known = region === undefined || control === undefined ? [] : knownKeys(region, control);
  const all = [...given, ...(own === undefined ? [] : [own]), ...known];
  const names = new Set(all.map(({ name }) => name));
  if (names.size > 1) {
    throw new UsageError(`the keys are of several logs: ${[...names].join(', ')}`, 'Give those of one log.');
  }
  if (all.length > 0) return all;
  throw new UsageError('no key is known', 'Name the region file on the machine of the control node, or give --key.');
}

function keyOf(region: RegionConfig | undefined): Verifier {
  const { file, control } = controlOf(region);
  return auditSealing(file, control).signer;
}

function controlOf(region: RegionConfig | undefined) {
  if (region === undefined) throw new UsageError('no file is named', 'Name the region file: audit verify FILE.');
  if (region.control === undefined) {
    throw new Failure(`${region.file} names no control node: name the file that does`);
  }
  return { file: region, control: region.control };
}

async function withLog<T>(
  region: RegionConfig | undefined,
  options: AuditOptions,
  use: (log: AuditSource) => Promise<T>,
): Promise<T> {
  try {
    const { export: exported, control } = options;
    if (exported !== undefined) {
      return await use(await exportedLog(() => createReadStream(exported, 'utf8')));
    }
    if (control !== undefined) return await use(await exportedLog(() => fetched(options)));
    return await withStore(region, use);
  } catch (error) {
    throw error instanceof JournalError ? new Failure(`${error.message} ${FIXES[error.code] ?? ''}`.trim()) : error;
  }
}

const FIXES: Readonly<Record<string, string>> = {
  journal_in_use: 'Its control node runs: give --control, or stop it.',
};

async function withStore<T>(region: RegionConfig | undefined, use: (log: AuditSource) => Promise<T>): Promise<T> {
  const { file, control } = controlOf(region);
  if (control.journal !== undefined) {
    const store = await openStore(file, control);
    try {
      return await use(await storedLog(store.journal));
    } finally {
      await store.close();
    }
  }
  const log = openAuditLogFile(openDataFolder(file.file, control).journal);
  try {
    return await use(await storedLog(log));
  } finally {
    log.close();
  }
}

async function* fetched(options: AuditOptions): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  for await (const chunk of await call(options, '/v1/audit/export')) yield decoder.decode(chunk, { stream: true });
}

/** @throws {Failure} when there is no control node, or it refuses. */
async function call({ control, token = process.env['SEAWALL_TOKEN'] }: AuditOptions, path: string): Promise<Body> {
  if (!token) throw new UsageError('there is no token', 'Set SEAWALL_TOKEN, or give --token.');
  const url = controlUrl(control, path);
  let response: Response;
  try {
    // A token must not reach another host.
    response = await fetch(url, { headers: { authorization: `Bearer ${token}` }, redirect: 'error' });
  } catch (error) {
    const { cause, message } = error as Error;
    throw new Failure(`${url.origin} does not answer: ${(cause as Error | undefined)?.message ?? message}`);
  }
  if (response.ok && response.body !== null) return response.body;
  const problem = (await response.json().catch(() => ({}))) as Partial<ProblemDocument>;
  throw new Failure(`${url.origin} refuses: ${problem.detail ?? problem.title ?? `status ${response.status}`}`);
}

type Body = NonNullable<Response['body']>;
