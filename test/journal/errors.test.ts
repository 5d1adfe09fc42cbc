/** Errors of the journal: their messages say what is wrong, and the detail where there is one. */
import { test } from 'tap';
import { JOURNAL_ERRORS, JournalError, type JournalErrorCode, JournalGapError } from '../../journal/errors.ts';

test('an error has the message of its code, the detail behind it, and its cause', async (t) => {
  for (const code of Object.keys(JOURNAL_ERRORS) as JournalErrorCode[]) {
    const cause = new Error('disk');
    t.equal(new JournalError(code).message, JOURNAL_ERRORS[code]);
    const error = new JournalError(code, '', { cause });
    t.equal(error.message, `${JOURNAL_ERRORS[code]} ()`, 'an empty detail is one');
    t.match(error, { name: 'JournalError', code, cause });
  }
});

test('a gap tells from where on records are left', async (t) => {
  const error = new JournalGapError(3, 10);
  t.ok(error instanceof JournalError);
  t.match(error, { code: 'journal_gap', floor: 10, message: /after 3, but records up to 10 are gone/ });
});
