/**
 * The audit log as lines of JSON: what `seawall audit export` prints, GET /v1/audit/export answers and
 * `seawall audit verify` reads.
 *
 *     {"format":"seawall audit 1","start":{"size":0,"link":"…","hashes":[]}}
 *     {"index":0,"entry":"{…}","link":"…","checkpoint":"…"}     one line an entry; checkpoint: null where there is none
 *     {"head":{"size":1,"link":"…","hashes":["…"],"checkpoint":"…"}}
 *
 * The last line says that nothing is missing.
 * @module
 */
import { JournalError } from '../errors.ts';
import type { AuditBounds } from '../journal.ts';
import {
  type AuditHead,
  type AuditState,
  decodeHash,
  decodeHead,
  decodeState,
  encodeHead,
  encodeState,
  type SealedEntry,
} from './log.ts';
import type { AuditSource } from './verify.ts';

const FORMAT = 'seawall audit 1';
const ENTRIES_AT_ONCE = 1_000;

/** Source of the log; the journal is one. */
export interface AuditReader {
  auditBounds(): Promise<AuditBounds>;
  sealed(from: number, limit: number): Promise<readonly SealedEntry[]>;
}

/** The log of a store, which may grow while it is read. */
export async function storedLog(reader: AuditReader): Promise<AuditSource> {
  let { start } = await reader.auditBounds();
  const [first] = await reader.sealed(start.size, 1);
  if (first !== undefined && first.index > start.size) start = (await reader.auditBounds()).start; // forgotten meanwhile
  let head: AuditHead | undefined;
  return {
    start,
    async *entries() {
      for (let next = start.size; ; ) {
        const entries = await reader.sealed(next, ENTRIES_AT_ONCE);
        const last = entries.at(-1);
        if (last === undefined) {
          ({ head } = await reader.auditBounds());
          // Entries and head are written in one transaction: what came since the last read is there now.
          const isGrown = head.size > next && (await reader.sealed(next, 1)).length > 0;
          if (!isGrown) return;
        } else {
          yield entries;
          next = last.index + 1;
        }
      }
    },
    head: () => {
      if (head === undefined) throw new TypeError('the entries have not been read');
      return head;
    },
  };
}

/** @returns Lines, each with its line feed; several at once. */
export async function* exportLines(log: AuditSource): AsyncGenerator<string> {
  yield line({ format: FORMAT, start: encodeState(log.start) });
  for await (const entries of log.entries()) {
    yield entries
      .map(({ index, text, link, checkpoint = null }) => {
        return line({ index, entry: text, link: link.toString('base64'), checkpoint });
      })
      .join('');
  }
  yield line({ head: encodeHead(await log.head()) });
}

/**
 * @param open - Opens the export from its beginning, as text; may be called again.
 * @throws {JournalError} (rejects) `journal_corrupt` when it is none, or not whole.
 */
export async function exportedLog(open: () => AsyncIterable<string>): Promise<AuditSource> {
  const start = await startOf(linesOf(open()));
  let head: AuditHead | undefined;
  return {
    start,
    async *entries() {
      head = undefined;
      let batch: SealedEntry[] = [];
      let number = 0;
      for await (const text of linesOf(open())) {
        number += 1;
        if (number === 1) continue;
        if (head !== undefined) throw broken(number, 'it goes on after its end');
        const value = parsed(text, number);
        if ('head' in value) head = decodeHead(value['head']);
        else batch.push(entryOf(value, number));
        if (batch.length < ENTRIES_AT_ONCE) continue;
        yield batch;
        batch = [];
      }
      if (head === undefined) throw broken(number, 'it ends before its last line');
      if (batch.length > 0) yield batch;
    },
    head: () => {
      if (head === undefined) throw new TypeError('the entries have not been read');
      return head;
    },
  };
}

async function startOf(lines: AsyncGenerator<string>): Promise<AuditState> {
  for await (const text of lines) {
    const value = parsed(text, 1);
    if (value['format'] !== FORMAT) throw broken(1, `it is no ${FORMAT}`);
    return decodeState(value['start']);
  }
  throw broken(1, 'it is empty');
}

function entryOf(value: Readonly<Record<string, unknown>>, number: number): SealedEntry {
  const { index, entry: text, link, checkpoint } = value;
  const isValid = Number.isSafeInteger(index) && typeof text === 'string';
  if (!isValid || (checkpoint !== null && typeof checkpoint !== 'string')) throw broken(number, 'it is no entry');
  return { index: index as number, text, link: decodeHash(link), checkpoint: checkpoint ?? undefined };
}

function parsed(text: string, number: number): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Readonly<Record<string, unknown>>;
  } catch {
    // It is said below.
  }
  throw broken(number, 'it is no JSON object');
}

function broken(number: number, what: string): JournalError {
  return new JournalError('journal_corrupt', `export of the audit log, line ${number}: ${what}`);
}

function line(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

/** Bound of a line: an entry is far shorter. */
const MAX_LINE_LENGTH = 16 * 1_048_576;

async function* linesOf(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() as string;
    if (rest.length > MAX_LINE_LENGTH) throw broken(0, `a line has more than ${MAX_LINE_LENGTH} characters`);
    yield* lines;
  }
  if (rest !== '') yield rest;
}
