/**
 * Contract of the audit log of every journal: what is written to its store by anything but a journal is found.
 * @module
 */
import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { type Test, test } from 'tap';
import { formatCheckpoint } from '../../../journal/audit/checkpoint.ts';
import { type AuditReader, exportedLog, exportLines, storedLog } from '../../../journal/audit/export.ts';
import {
  AuditChain,
  type AuditHead,
  type AuditState,
  EMPTY_LOG,
  type SealedEntry,
} from '../../../journal/audit/log.ts';
import { type Signer, signerOf } from '../../../journal/audit/note.ts';
import type { SealerOptions } from '../../../journal/audit/sealer.ts';
import { type AuditFindingCode, type Verified, verifyAudit } from '../../../journal/audit/verify.ts';
import type { AuditedJournal } from '../../../journal/journal.ts';
import { purges } from '../contract.ts';

/** Rows of the store. */
export interface RawLog {
  readonly start: AuditState;
  readonly entries: readonly SealedEntry[];
  readonly head: AuditHead;
}

export interface RawStore {
  open(sealing: SealerOptions): Promise<AuditedJournal>;
  /** Reads what is stored, whatever it is; no journal has the store open. */
  read(): Promise<AuditReader & { close(): unknown }>;
  /** Writes these rows in place of those that are there; no journal has the store open. */
  overwrite(log: RawLog): Promise<void>;
}

const NAME = 'seawall/test/audit';
const signer = signerOf(NAME, generateKeyPairSync('ed25519').privateKey);
const thief = signerOf(NAME, generateKeyPairSync('ed25519').privateKey);
const stranger = signerOf('seawall/other/audit', generateKeyPairSync('ed25519').privateKey);

/** Entries 0, 1 and 2 alone, 3 to 5 in one transaction, 6 with a purge, 7 alone. */
const COUNT = 8;

async function written(store: RawStore): Promise<RawLog> {
  const journal = await store.open({ signer });
  for (const entry of [0, 1, 2]) await journal.note({ entry });
  await Promise.all([3, 4, 5].map((entry) => journal.note({ entry })));
  await journal.append(purges(2), undefined, ({ first }) => ({ entry: 6, first }));
  await journal.note({ entry: 7 });
  const log = await rawLog(journal);
  await journal.close();
  return log;
}

async function rawLog(journal: AuditedJournal): Promise<RawLog> {
  const { start, head } = await journal.auditBounds();
  const entries: SealedEntry[] = [];
  for (let from = start.size; ; ) {
    const next = await journal.sealed(from, 100);
    const last = next.at(-1);
    if (last === undefined) return { start, entries, head };
    entries.push(...next);
    from = last.index + 1;
  }
}

async function verify(store: RawStore, pinned: readonly string[] = [], known = [signer]): Promise<Verified> {
  const journal = await store.read();
  try {
    const direct = await verifyAudit(await storedLog(journal), { known, pinned });
    const lines = await Array.fromAsync(exportLines(await storedLog(journal)));
    const exported = await exportedLog(async function* () {
      yield* lines;
    });
    const again = await verifyAudit(exported, { known, pinned });
    if (JSON.stringify(again) !== JSON.stringify(direct)) throw new Error('the export is found to be otherwise');
    return direct;
  } finally {
    await journal.close();
  }
}

type Change = (log: RawLog) => RawLog;

function changed(index: number): Change {
  return (log) => ({
    ...log,
    entries: log.entries.map((one) => (one.index === index ? { ...one, text: '{"entry":"changed"}' } : one)),
  });
}

function removed(index: number): Change {
  return (log) => ({ ...log, entries: log.entries.filter((one) => one.index !== index) });
}

function added(log: RawLog): RawLog {
  const last = log.entries.at(-1) as SealedEntry;
  return { ...log, entries: [...log.entries, { ...last, index: last.index + 1, text: '{}', checkpoint: undefined }] };
}

/** @param parts - What goes to the other place. */
function swapped(one: number, other: number, parts: 'text' | 'row'): Change {
  return (log) => {
    const put = (row: SealedEntry, from: SealedEntry): SealedEntry =>
      parts === 'text' ? { ...row, text: from.text } : { ...from, index: row.index };
    const rows = [...log.entries];
    const [first, second] = [rows[one] as SealedEntry, rows[other] as SealedEntry];
    rows[one] = put(first, second);
    rows[other] = put(second, first);
    return { ...log, entries: rows };
  };
}

/** Numbers and links everything anew, with the head. */
function relinked(log: RawLog): RawLog {
  const chain = new AuditChain(log.start);
  const entries = log.entries.map((one) => ({ ...one, index: chain.size, link: chain.push(one.text) }));
  return { ...log, entries, head: { ...chain.state, checkpoint: log.head.checkpoint } };
}

/** Only the link of this entry. */
function relinkedAt(index: number): Change {
  return (log) => {
    const all = relinked(log).entries;
    return { ...log, entries: log.entries.map((one) => (one.index === index ? (all[index] as SealedEntry) : one)) };
  };
}

/** Writes everything anew, with checkpoints. */
function resigned(by: Signer): Change {
  return (log) => {
    const { entries, head, start } = relinked(log);
    const chain = new AuditChain(start);
    const signed = entries.map((one) => {
      chain.push(one.text);
      const { size, root } = chain;
      return { ...one, checkpoint: one.checkpoint && by.sign(formatCheckpoint({ origin: by.name, size, root })) };
    });
    return { start, entries: signed, head: { ...head, checkpoint: signed.at(-1)?.checkpoint } };
  };
}

/** The log as it was at this size. */
function cutAt(size: number): Change {
  return (log) => {
    const entries = log.entries.filter(({ index }) => index < size);
    return {
      ...relinked({ ...log, entries }),
      entries,
      head: { ...relinked({ ...log, entries }).head, checkpoint: entries.at(-1)?.checkpoint },
    };
  };
}

function headWith(head: Partial<AuditHead>): Change {
  return (log) => ({ ...log, head: { ...log.head, ...head } });
}

function all(...changes: readonly Change[]): Change {
  return (log) => changes.reduce((so, change) => change(so), log);
}

interface Tampering {
  readonly what: string;
  readonly change: Change;
  /** Undefined: only a checkpoint that was kept elsewhere shows it. */
  readonly found: AuditFindingCode | undefined;
  readonly first?: number;
  readonly last?: number;
}

const TAMPERINGS: readonly Tampering[] = [
  { what: 'an entry changed', change: changed(1), found: 'audit_changed', first: 1 },
  { what: 'the first entry changed', change: changed(0), found: 'audit_changed', first: 0 },
  { what: 'the last entry changed', change: changed(7), found: 'audit_changed', first: 7 },
  { what: 'an entry changed in the middle of a transaction', change: changed(4), found: 'audit_changed', first: 4 },
  { what: 'two entries changed', change: all(changed(5), changed(2)), found: 'audit_changed', first: 2 },
  { what: 'an entry changed, with its link', change: all(changed(1), relinkedAt(1)), found: 'audit_forged', first: 1 },
  { what: 'an entry changed, with all links', change: all(changed(1), relinked), found: 'audit_forged', first: 1 },
  {
    what: 'an entry of a transaction changed, with all links',
    change: all(changed(4), relinked),
    found: 'audit_forged',
    first: 3,
    last: 5,
  },
  { what: 'an entry removed', change: removed(2), found: 'audit_removed', first: 2 },
  { what: 'the first entry removed', change: removed(0), found: 'audit_removed', first: 0 },
  { what: 'the last entry removed', change: removed(7), found: 'audit_removed', first: 7 },
  { what: 'all entries removed', change: (log) => ({ ...log, entries: [] }), found: 'audit_removed', first: 0 },
  {
    what: 'an entry removed, with numbers and links',
    change: all(removed(2), relinked),
    found: 'audit_forged',
    first: 2,
    last: 4,
  },
  { what: 'texts of two entries exchanged', change: swapped(1, 2, 'text'), found: 'audit_reordered', first: 1 },
  { what: 'two entries exchanged', change: swapped(1, 6, 'row'), found: 'audit_reordered', first: 1 },
  { what: 'two entries of a transaction exchanged', change: swapped(4, 5, 'row'), found: 'audit_reordered', first: 4 },
  {
    what: 'two entries exchanged, with all links',
    change: all(swapped(1, 2, 'text'), relinked),
    found: 'audit_forged',
    first: 1,
  },
  { what: 'an entry added', change: added, found: 'audit_added', first: 8 },
  { what: 'an entry added, with its link', change: all(added, relinked), found: 'audit_unsigned', first: 8 },
  { what: 'the head changed', change: headWith({ link: Buffer.alloc(32, 1) }), found: 'audit_head_changed', first: 8 },
  {
    what: 'the hashes of the head changed',
    change: headWith({ hashes: [Buffer.alloc(32, 1)] }),
    found: 'audit_head_changed',
    first: 8,
  },
  { what: 'the checkpoint removed', change: headWith({ checkpoint: undefined }), found: 'audit_unsigned', first: 0 },
  {
    what: 'the checkpoint replaced by none',
    change: headWith({ checkpoint: 'none\n' }),
    found: 'audit_bad_checkpoint',
  },
  {
    what: 'an older checkpoint in its place',
    change: (log) => headWith({ checkpoint: log.entries[2]?.checkpoint })(log),
    found: 'audit_unsigned',
    first: 3,
  },
  {
    what: 'everything changed and signed with another key',
    change: all(changed(0), resigned(thief)),
    found: 'audit_unknown_key',
  },
  { what: 'a checkpoint of another log', change: resigned(stranger), found: 'audit_unknown_key' },
  {
    what: 'the signature changed',
    change: (log) => headWith({ checkpoint: spoiled(log.head.checkpoint) })(log),
    found: 'audit_bad_signature',
  },
  {
    what: 'an entry changed and everything signed with the stolen key',
    change: all(changed(4), resigned(signer)),
    found: undefined,
  },
  { what: 'the newest entries cut off, with head and checkpoint of before', change: cutAt(3), found: undefined },
  { what: 'nothing', change: (log) => log, found: undefined },
];

/** Another signature than the one that it has. */
function spoiled(note: string | undefined): string {
  const [text = '', line = ''] = (note as string).split('\n\n');
  const [dash, name, base64 = ''] = line.trimEnd().split(' ');
  const bytes = Buffer.from(base64, 'base64');
  bytes[20] = (bytes[20] as number) ^ 1;
  return `${text}\n\n${dash} ${name} ${bytes.toString('base64')}\n`;
}

export function tamperingContract(name: string, make: (t: Test) => Promise<RawStore>): void {
  for (const { what, change, found, first, last = first } of TAMPERINGS) {
    test(`${name}: audit log with ${what}: ${found ?? 'as it was written'}`, async (t) => {
      const store = await make(t);
      const log = await written(store);
      t.equal(log.entries.length, COUNT);
      await store.overwrite(change(log));
      const { finding } = await verify(store);
      t.equal(finding?.code, found, JSON.stringify(finding));
      if (first !== undefined) t.match(finding, { first, last });
    });
  }

  test(`${name}: what was signed with the stolen key is found by a checkpoint that was kept elsewhere`, async (t) => {
    const store = await make(t);
    const log = await written(store);
    const kept = [0, 2, 7].map((index) => log.entries[index]?.checkpoint as string);
    t.match(await verify(store, kept), { finding: undefined, pinned: [1, 3, 8] });
    for (const { change, code, first, last } of [
      { change: all(changed(1), resigned(signer)), code: 'audit_rewritten', first: 1, last: 2 },
      { change: all(changed(4), resigned(signer)), code: 'audit_rewritten', first: 3, last: 7 },
      { change: all(removed(0), resigned(signer)), code: 'audit_rewritten', first: 0, last: 0 },
      { change: cutAt(3), code: 'audit_rolled_back', first: 3, last: 3 },
      { change: all(cutAt(3), changed(2), resigned(signer)), code: 'audit_rewritten', first: 1, last: 2 },
    ]) {
      await store.overwrite(change(log));
      t.match((await verify(store, kept)).finding, { code, first, last });
    }
    await store.overwrite(log);
    t.match((await verify(store, [thief.sign('x\n')])).finding, { code: 'audit_unknown_key' });
    t.match((await verify(store, ['x'])).finding, { code: 'audit_bad_checkpoint' });
  });

  test(`${name}: what is left of a log is verified when the oldest entries are forgotten`, async (t) => {
    const store = await make(t);
    const log = await written(store);
    const journal = await store.open({ signer });
    await journal.compact(Number.NEGATIVE_INFINITY, 3);
    await journal.note({ entry: 8 });
    const left = await rawLog(journal);
    await journal.close();
    const { size } = left.start;
    t.ok(size > 0 && size <= 5, `${size} are forgotten`);
    const kept = log.entries[7]?.checkpoint as string;
    t.match(await verify(store, [kept]), { first: size, size: 9, finding: undefined });
    const old = log.entries[0]?.checkpoint as string;
    t.match((await verify(store, [old])).finding, { code: 'audit_forgotten' });
    await store.overwrite({ ...left, start: { ...left.start, hashes: left.start.hashes.map(() => Buffer.alloc(32)) } });
    t.match((await verify(store)).finding, { code: 'audit_head_changed' });
    await store.overwrite({ ...left, entries: left.entries.slice(1) });
    t.match((await verify(store)).finding, { code: 'audit_removed', first: size });
  });

  test(`${name}: a log that does not fit its checkpoint is not signed over`, async (t) => {
    const store = await make(t);
    const log = await written(store);
    await store.overwrite(all(changed(1), relinked)(log));
    const journal = await store.open({ signer, known: [] });
    await journal.append(purges(1), undefined, () => ({ entry: 8 }));
    t.equal(journal.auditFits, false);
    t.equal(journal.state().newest, 3, 'purges go on');
    await journal.close();
    t.match((await verify(store)).finding, { code: 'audit_unsigned', first: 8 });
    await store.overwrite(all(changed(1), resigned(thief))(log));
    const strict = await store.open({ signer, known: [] });
    await strict.note({ entry: 8 });
    t.equal(strict.auditFits, false, 'of a key that is not known');
    await strict.close();
  });

  test(`${name}: several signers go on with each other's log`, async (t) => {
    const store = await make(t);
    const one = await store.open({ signer, known: [thief] });
    await one.note({ entry: 0 });
    await one.close();
    const other = await store.open({ signer: thief, known: [signer] });
    await other.note({ entry: 1 });
    t.equal(other.auditFits, true);
    await other.close();
    t.match(await verify(store, [], [signer, thief]), { size: 2, finding: undefined, signers: [{ id: thief.id }] });
    t.match((await verify(store)).finding, { code: 'audit_unknown_key' });
  });
}

test('any change to any log is found, at the entry or before it where the log cannot tell', async (t) => {
  const logs = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 8 });
  const change = fc.record({
    at: fc.nat(),
    to: fc.nat(),
    how: fc.constantFrom('change', 'remove', 'swap', 'swap texts'),
    afterwards: fc.constantFrom('nothing', 'its link', 'all links'),
  });
  await fc.assert(
    fc.asyncProperty(logs, change, async (transactions, { at, to, how, afterwards }) => {
      const log = logOf(transactions);
      const { length } = log.entries;
      const [index, other] = [at % length, to % length].sort((a, b) => a - b) as [number, number];
      if (how.startsWith('swap') && index === other) return;
      const changes: Record<typeof how, Change> = {
        change: changed(index),
        remove: removed(index),
        swap: swapped(index, other, 'row'),
        'swap texts': swapped(index, other, 'text'),
      };
      const more: Record<typeof afterwards, Change> = {
        nothing: (same) => same,
        'its link': how === 'remove' ? (same) => same : relinkedAt(index),
        'all links': relinked,
      };
      const { start, entries, head } = all(changes[how], more[afterwards])(log);
      const { finding } = await verifyAudit({ start, entries: () => [entries], head: () => head }, { known: [signer] });
      if (finding === undefined) throw new Error('it is not found');
      // The transaction that the entry is of: within it only links tell, which may have been written anew.
      const first =
        Math.max(-1, ...log.entries.filter((one) => one.index < index && one.checkpoint).map((one) => one.index)) + 1;
      if (finding.first < first || finding.first > index + 1) throw new Error(`${index}: ${JSON.stringify(finding)}`);
    }),
    { numRuns: 300 },
  );
  t.pass();
});

/** @param transactions - The number of entries of each. */
function logOf(transactions: readonly number[]): RawLog {
  const chain = new AuditChain(EMPTY_LOG);
  const entries: SealedEntry[] = [];
  let checkpoint: string | undefined;
  for (const count of transactions) {
    for (let nth = 0; nth < count; nth += 1) {
      const index = chain.size;
      const text = JSON.stringify({ entry: index });
      const link = chain.push(text);
      const { size, root } = chain;
      checkpoint = signer.sign(formatCheckpoint({ origin: NAME, size, root }));
      entries.push({ index, text, link, checkpoint: nth === count - 1 ? checkpoint : undefined });
    }
  }
  return { start: EMPTY_LOG, entries, head: { ...chain.state, checkpoint } };
}
