/**
 * `npm run bench:audit`: the time that `seawall audit verify` takes for a long log, and what signing costs an append.
 * @module
 */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { storedLog } from '../journal/audit/export.ts';
import { openAuditLogFile } from '../journal/audit/file-log.ts';
import { signerOf } from '../journal/audit/note.ts';
import { verifyAudit } from '../journal/audit/verify.ts';
import { EmbeddedJournal } from '../journal/embedded.ts';
import { openJournalFile } from '../journal/embedded-file.ts';
import { wallNow } from '../lib/clock.ts';
import { readArguments } from '../test/support/arguments.ts';

const HELP = `Usage: npm run bench:audit -- [options]

Writes an audit log to the file of an embedded journal, in transactions of some entries
each, and verifies it as \`seawall audit verify\` does. Exits with 1 above the limit.

Options:
  --entries N      Entries of the log. Default: 1000000.
  --each N         Entries of a transaction, which has one checkpoint. Default: 10.
  --limit SECONDS  Maximum time of the verification. Default: 20.
  --help           Say this.
`;

const AT_ONCE = 1_000;

const given = readArguments('bench:audit', HELP, { entries: '1000000', each: '10', limit: '20' });
const entries = given.positive('entries');
const each = given.positive('each');
const limitSeconds = given.positive('limit');

const folder = mkdtempSync(join(tmpdir(), 'seawall-audit-'));
try {
  process.exitCode = await run(join(folder, 'journal.sqlite'));
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function run(file: string): Promise<number> {
  const signer = signerOf('seawall/bench/audit', generateKeyPairSync('ed25519').privateKey);
  const writing = measured();
  await write(file, signer);
  print('written', `${entries} entries, a checkpoint every ${each}`);
  const written = writing();
  print('processor, µs an entry', ((written.cpuSeconds * 1e6) / entries).toFixed(1));
  const verifying = measured();
  const log = openAuditLogFile(file);
  const { size, finding } = await verifyAudit(await storedLog(log), { known: [signer] });
  log.close();
  const { seconds, cpuSeconds } = verifying();
  print('verified', `${size} entries${finding === undefined ? '' : `: ${finding.code}`}`);
  print('time, s', seconds.toFixed(1), `≤ ${limitSeconds}`, seconds <= limitSeconds);
  print('processor, s', cpuSeconds.toFixed(1));
  return finding === undefined && size === entries && seconds <= limitSeconds ? 0 : 1;
}

async function write(file: string, signer: ReturnType<typeof signerOf>): Promise<void> {
  let flush = (): void => undefined;
  const db = openJournalFile(file, 'bench');
  db.exec('PRAGMA synchronous = OFF'); // the time that a disk takes is not what is measured
  const journal = new EmbeddedJournal(db, {
    now: wallNow,
    signer,
    defer: (run) => {
      flush = run;
    },
  });
  for (let done = 0; done < entries; ) {
    const pending: Promise<void>[] = [];
    while (pending.length < AT_ONCE && done < entries) {
      for (let nth = 0; nth < each && done < entries; nth += 1) {
        done += 1;
        pending.push(journal.note(entryOf(done)));
      }
      flush();
    }
    await Promise.all(pending);
  }
  await journal.close();
}

/** An entry of the length of a purge's. */
function entryOf(number: number) {
  return {
    time: new Date(Date.UTC(2030, 0, 1) + number).toISOString(),
    node: 'control',
    who: 'deploy',
    token: '0123456789abcdef',
    address: '10.0.0.1',
    action: 'purge',
    result: 'ok',
    id: `purge-${number}`,
    count: 1,
    selectors: [`url //www.example.com/products/${number}`],
  };
}

function measured(): () => { readonly seconds: number; readonly cpuSeconds: number } {
  const startedAt = performance.now();
  const before = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(before);
    return { seconds: (performance.now() - startedAt) / 1_000, cpuSeconds: (user + system) / 1e6 };
  };
}

function print(name: string, value: string, bound = '', isKept?: boolean): void {
  const verdict = isKept === undefined ? '' : isKept ? 'ok' : 'OUT OF BOUNDS';
  console.log(`${name.padEnd(26)} ${value.padStart(10)}   ${bound.padEnd(6)} ${verdict}`.trimEnd());
}
