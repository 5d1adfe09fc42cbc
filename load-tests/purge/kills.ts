/**
 * The control node dies at any moment (SIGKILL) while it acknowledges purges.
 * Afterwards every acknowledged purge is there, in order, exactly once; and
 * one that was not acknowledged, and is repeated with its idempotency key, is
 * there exactly once, too.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { journalClient } from '../../journal/client.ts';
import type { Random } from '../../test/support/random.ts';
import { exactly, number, print } from '../report.ts';
import { type Control, SECRET, SITE, startControl } from './control.ts';

const CALLERS = 8;
const KILL_AFTER_MS = { least: 30, most: 500 };

interface Acknowledged {
  readonly id: string;
  readonly seq: number;
  readonly tag: string;
  /** Caller that made the purge; purges of one caller must be in the journal in the order of the calls. */
  readonly caller: number;
}

/** Node that reads the journal; it reports nothing. */
const READER = 'reader';

export async function measureKills(rounds: number, random: Random): Promise<void> {
  const control = await startControl([READER]);
  const acknowledged: Acknowledged[] = [];
  const counts = { unanswered: 0, repeated: 0 };
  let made = 0;
  for (let round = 0; round < rounds; round += 1) {
    let isDead = false;
    const interrupted: string[] = [];
    const callers = Array.from({ length: CALLERS }, async (_, caller) => {
      while (!isDead) {
        made += 1;
        const tag = `purge-${made}`;
        try {
          const { id, first } = await control.purge({ site: SITE, tags: [tag] }, tag);
          acknowledged.push({ id, seq: first, tag, caller });
        } catch {
          interrupted.push(tag); // its outcome is unknown so far
        }
      }
    });
    await sleep(KILL_AFTER_MS.least + random() * (KILL_AFTER_MS.most - KILL_AFTER_MS.least));
    isDead = true;
    await control.kill();
    await Promise.all(callers);
    await control.start();
    counts.unanswered += interrupted.length;
    const known = new Set((await readJournal(control)).map(({ selector }) => selector));
    for (const tag of interrupted) {
      if (known.has(tag)) counts.repeated += 1;
      const { id, first } = await control.purge({ site: SITE, tags: [tag] }, tag);
      acknowledged.push({ id, seq: first, tag, caller: CALLERS }); // in turn, for every caller
    }
  }
  await report(control, acknowledged, rounds, counts);
  await control.close();
}

async function report(
  control: Control,
  acknowledged: readonly Acknowledged[],
  rounds: number,
  { unanswered, repeated }: { unanswered: number; repeated: number },
): Promise<void> {
  const records = await readJournal(control);
  const bySeq = new Map(records.map(({ seq, selector }) => [seq, selector]));
  const times = new Map<string, number>();
  for (const { selector } of records) times.set(selector, (times.get(selector) ?? 0) + 1);
  const missing = acknowledged.filter(({ seq, tag }) => bySeq.get(seq) !== tag).length;
  const twice = [...times.values()].filter((count) => count > 1).length;
  const holes = records.filter(({ seq }, index) => seq !== index + 1).length;
  const newest = new Map<number, number>();
  let disordered = 0;
  for (const { caller, seq } of acknowledged) {
    // Those that were repeated may have been taken before the kill.
    if (caller < CALLERS && seq <= (newest.get(caller) ?? 0)) disordered += 1;
    newest.set(caller, seq);
  }
  let unknown = 0;
  for (const { id } of acknowledged) {
    const { status, body } = await control.get<{ id: string }>(`/v1/purges/${id}`);
    if (status !== 200 || body.id !== id) unknown += 1;
  }
  print(`5. The control node killed ${rounds} times while ${CALLERS} callers purge`, [
    { what: 'purges acknowledged', value: number(acknowledged.length) },
    { what: 'calls that the kill left without an answer, and that were repeated', value: number(unanswered) },
    { what: '  of these, in the journal all the same', value: number(repeated) },
    { what: 'records in the journal', value: number(records.length) },
    exactly('acknowledged, and not in the journal at its number', missing, 0),
    exactly('in the journal twice', twice, 0),
    exactly('holes in the journal', holes, 0),
    exactly('acknowledged one after the other, and not in that order', disordered, 0),
    exactly('acknowledged, and without a receipt (GET /v1/purges/{id})', unknown, 0),
  ]);
}

interface JournalRecord {
  readonly seq: number;
  readonly selector: string;
}

/** @returns All of it, as a node reads it. */
async function readJournal({ url }: Control): Promise<JournalRecord[]> {
  const enough = new AbortController();
  const source = journalClient({ url, secret: SECRET, node: READER }).messages;
  const records: JournalRecord[] = [];
  let newest = Number.POSITIVE_INFINITY;
  for await (const message of source({ identity: undefined, seq: 0 }, enough.signal)) {
    if (message.type === 'hello') ({ newest } = message.state);
    if (message.type === 'records') records.push(...message.records);
    if (records.length >= newest) break;
  }
  enough.abort();
  return records;
}
