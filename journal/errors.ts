/**
 * What can go wrong with the journal, by code: the same string in code, log
 * and answer.
 * @module
 */

export const JOURNAL_ERRORS = {
  JOURNAL_GAP: 'The journal no longer has the records that were asked for.',
  JOURNAL_BAD_PURGE: 'The purge is not one that the journal can keep.',
  JOURNAL_CLOSED: 'The journal is closed.',
  JOURNAL_BROKEN: 'The journal could not be written to its disk; it takes nothing more until it is opened again.',
  JOURNAL_NOT_WRITTEN: 'The journal could not be written to; nothing of this purge was kept.',
  JOURNAL_UNOPENABLE: 'The journal file cannot be opened.',
  JOURNAL_IN_USE: 'Another process has the journal file open.',
  JOURNAL_FOREIGN: 'The file is not a journal of Seawall.',
  JOURNAL_VERSION:
    'The journal file is of a version that this program does not know. Run the program that made it, or move the ' +
    'file away: a new journal is begun then, and nodes revalidate what they have stored.',
  JOURNAL_CORRUPT: 'The journal file is damaged.',
  JOURNAL_BAD_MESSAGE: 'The journal sent what is not a message of the protocol.',
  JOURNAL_OUT_OF_ORDER: 'The journal sent a message out of turn.',
  JOURNAL_FORKED: 'The journal tells another history than before: it was restored from an older copy.',
  JOURNAL_SILENT: 'The journal has not been heard of for too long.',
  JOURNAL_STALLED: 'The journal tells of records that it does not send.',
  JOURNAL_ENDED: 'The journal ended the connection.',
  JOURNAL_SLOW_FOLLOWER: 'A follower of the journal takes nothing of what it is sent.',
  JOURNAL_REFUSED: 'The journal refused to answer.',
  JOURNAL_UNREACHABLE: 'The journal cannot be reached.',
} as const satisfies Readonly<Record<string, string>>;

export type JournalErrorCode = keyof typeof JOURNAL_ERRORS;

export class JournalError extends Error {
  readonly code: JournalErrorCode;

  /** @param detail - What exactly was wrong, for the log. */
  constructor(code: JournalErrorCode, detail?: string, options?: ErrorOptions) {
    super(detail === undefined ? JOURNAL_ERRORS[code] : `${JOURNAL_ERRORS[code]} (${detail})`, options);
    this.name = 'JournalError';
    this.code = code;
  }
}

/** Records were asked for that are gone: those after `floor` are left. */
export class JournalGapError extends JournalError {
  readonly floor: number;

  constructor(seq: number, floor: number) {
    super('JOURNAL_GAP', `after ${seq}, but records up to ${floor} are gone`);
    this.floor = floor;
  }
}
