/** Messages of the journal's stream, and where a stream begins. */
import fc from 'fast-check';
import { test } from 'tap';
import { checkMessage, MAX_RECORDS, startAfter } from '../../journal/message.ts';
import { identityOf } from '../../journal/terms.ts';

const TERMS = [{ identity: 'a', after: -1 }];
const RECORD = { seq: 1, time: 1, site: 's', kind: 'tag', selector: 'x', soft: false, who: '', why: '' };

for (const { message, isMessage } of [
  { message: { type: 'hello', state: { terms: TERMS, floor: 0, newest: 0 } }, isMessage: true },
  { message: { type: 'hello' }, isMessage: false },
  { message: { type: 'records', records: [RECORD] }, isMessage: true },
  { message: { type: 'records', records: [] }, isMessage: false },
  { message: { type: 'records', records: [RECORD, { ...RECORD, seq: 0 }] }, isMessage: false },
  { message: { type: 'records', records: Array(MAX_RECORDS).fill(RECORD) }, isMessage: true },
  { message: { type: 'records', records: Array(MAX_RECORDS + 1).fill(RECORD) }, isMessage: false },
  { message: { type: 'heartbeat', newest: 3 }, isMessage: true },
  { message: { type: 'heartbeat', newest: 3, floor: 3 }, isMessage: true },
  { message: { type: 'heartbeat', newest: 3, floor: 4 }, isMessage: false },
  { message: { type: 'heartbeat', newest: 3, floor: null }, isMessage: false },
  { message: { type: 'heartbeat' }, isMessage: false },
  { message: { type: 'toString' }, isMessage: false },
  { message: {}, isMessage: false },
  { message: null, isMessage: false },
  { message: [], isMessage: false },
]) {
  test(`${JSON.stringify(message).slice(0, 70)} ${isMessage ? 'is' : 'is not'} a message`, async (t) => {
    const check = () => checkMessage(message);
    if (isMessage) check();
    else t.throws(check, { code: 'journal_bad_message' });
  });
}

test('a stream begins after what a follower has, or at the floor where it may have missed something', async (t) => {
  const gaps = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(
      gaps,
      fc.nat({ max: 20 }),
      fc.nat({ max: 25 }),
      fc.constantFrom('own', 'other', 'none'),
      (lengths, floorAt, seq, from) => {
        let after = -1;
        const terms = lengths.map((length, index) => {
          const one = { identity: `t${index}`, after };
          after += length;
          return one;
        });
        const newest = Math.max(0, after);
        const floor = Math.min(floorAt, newest);
        const identity = from === 'own' ? identityOf(terms, seq) : from === 'other' ? 'elsewhere' : undefined;
        const start = startAfter({ terms, floor, newest }, { identity, seq });
        t.ok(start >= floor && start <= newest, `${start} of ${floor} to ${newest}`);
        if (from !== 'own' || seq > newest) t.equal(start, floor, 'nothing is in common');
        else t.equal(start, Math.max(seq, floor));
      },
    ),
    { numRuns: 1_000 },
  );
});
