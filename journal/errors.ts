/**
 * Errors of the journal: code → message. The codes are the same in code, log and answers.
 * @module
 */

export const JOURNAL_ERRORS = {
  journal_gap: 'The journal no longer has the records that were asked for.',
  journal_bad_purge: 'The purge is not one that the journal can keep.',
  journal_key_conflict: 'The idempotency key came with another request before.',
  journal_closed: 'The journal is closed.',
  journal_broken: 'The journal could not be written to its disk; it takes nothing more until it is opened again.',
  journal_not_written: 'The journal could not be written to; nothing of this purge was kept.',
  journal_too_large: 'The purge is too large for one transaction of etcd; nothing was kept. Send it in several calls.',
  journal_unconfirmed:
    'It is not known whether the purge is in the journal. Repeat it; with the same idempotency key it is made once.',
  journal_unopenable: 'The journal file cannot be opened.',
  journal_in_use: 'Another process has the journal file open.',
  journal_foreign: 'The file is not a journal of Seawall.',
  journal_version:
    'The journal file is of a version that this program does not know. Run the program that made it, or move the ' +
    'file away: a new journal is begun then, and nodes revalidate what they have stored.',
  journal_moved:
    'The journal was moved into etcd by `seawall control migrate`. Name that in `control.journal`, or move the file ' +
    'away: a new journal is begun then, and nodes revalidate what they have stored.',
  journal_corrupt: 'The journal file is damaged.',
  journal_bad_message: 'The journal sent an invalid message.',
  journal_out_of_order: 'The journal sent a message out of turn.',
  journal_forked: 'The journal tells another history than before: it was restored from an older copy.',
  journal_silent: 'The journal has not been heard of for too long.',
  journal_stalled: 'The journal tells of records that it does not send.',
  journal_ended: 'The journal ended the connection.',
  journal_slow_follower: 'A follower of the journal takes nothing of what it is sent.',
  journal_refused: 'The journal refused to answer.',
  journal_unreachable: 'The journal cannot be reached.',
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
    super('journal_gap', `after ${seq}, but records up to ${floor} are gone`);
    this.floor = floor;
  }
}
