import fc from 'fast-check';
import { test } from 'tap';
import type { JournalRecord, JournalState } from '../../journal/journal.ts';
import { type Connect, startAfter } from '../../journal/message.ts';
import { identityOf, type Term, termsFrom } from '../../journal/terms.ts';
import { aPurge } from './contract.ts';
import {
  type Clock,
  type Followed,
  follow,
  history,
  type Line,
  NotingTarget,
  recordOf,
  settle,
  termsOf,
} from './simulation.ts';

test('a new node takes on the journal’s identity and applies everything in order', async (t) => {
  const { exchange, target, follower, reports, problems } = follow();
  t.same(exchange.line.after, { identity: undefined, seq: 0 });
  exchange.line.hello('one', 3);
  exchange.line.records(...history(1, 2));
  exchange.line.records(...history(3, 3));
  await settle();
  t.same(target.takeCalls(), [
    'restart one 0..3',
    'heard 3 at 0',
    'apply 1 2',
    'heard 3 at 0',
    'apply 3',
    'heard 3 at 0',
  ]);
  t.same(target.applied, history(1, 3));
  t.same(reports, ['one 0', 'one 2', 'one 3']);
  await follower.stop();
  t.ok(exchange.line.signal.aborted);
  t.same(problems, []);
});

test('a heartbeat carries the state of the journal at its arrival', async (t) => {
  const { clock, exchange, target, follower } = follow();
  exchange.line.hello('one', 0);
  for (let second = 1; second <= 5; second += 1) {
    await clock.advance(1_000);
    exchange.line.heartbeat(0);
  }
  await settle();
  t.same(
    target.takeCalls().slice(1),
    [0, 1, 2, 3, 4, 5].map((second) => `heard 0 at ${second * 1_000}`),
  );
  await follower.stop();
});

test('a node that was behind counts as current when it last heard the number that it has reached', async (t) => {
  const { clock, exchange, target, follower } = follow();
  exchange.line.hello('one', 2);
  await clock.advance(700);
  exchange.line.records(...history(1, 2));
  await settle();
  t.equal(target.takeCalls().at(-1), 'heard 2 at 0');
  await follower.stop();
});

/** Takes nothing that is stored for verified, so that no older purge matters to it. */
class Newcomer extends NotingTarget {
  override restart(state: JournalState): void {
    super.restart(state);
    this.seq = state.newest;
  }
}

test('a ledger that begins at the newest record is not sent the whole journal', async (t) => {
  const { exchange, target, follower, problems, reports } = follow(new Newcomer());
  exchange.line.hello('one', 5_000, 10);
  await settle();
  t.equal(exchange.lines.length, 2, 'without a pause');
  t.same(exchange.line.after, { identity: 'one', seq: 5_000 });
  exchange.line.hello('one', 5_000, 10);
  exchange.line.records(...history(5_001, 5_001));
  await settle();
  t.same(target.applied, history(5_001, 5_001));
  t.same(reports, ['one 5000', 'one 5000', 'one 5001']);
  exchange.line.fail();
  await settle();
  t.same(problems, ['cut']);
  await follower.stop();
});

test('a ledger that begins at the newest record skips a few', async (t) => {
  const { exchange, target, follower } = follow(new Newcomer());
  exchange.line.hello('one', 5);
  exchange.line.records(...history(1, 6));
  await settle();
  t.equal(exchange.lines.length, 1);
  t.same(target.applied, history(6, 6));
  await follower.stop();
});

/** A follower that has applied three records and lost its connection. */
async function reconnected(): Promise<Followed> {
  const followed = follow();
  followed.exchange.line.hello('one', 3);
  followed.exchange.line.records(...history(1, 3));
  await settle();
  followed.exchange.line.fail();
  await followed.clock.advance(1_000);
  followed.target.takeCalls();
  followed.reports.length = 0;
  followed.problems.length = 0;
  return followed;
}

test('after a broken connection a follower resumes at its position', async (t) => {
  const { exchange, target, follower, reports, problems } = await reconnected();
  t.same(exchange.line.after, { identity: 'one', seq: 3 });
  exchange.line.hello('one', 4);
  exchange.line.records(...history(4, 4));
  await settle();
  t.same(target.takeCalls(), ['heard 4 at 1000', 'apply 4', 'heard 4 at 1000']);
  t.same(reports, ['one 3', 'one 4']);
  t.same(target.applied, history(1, 4));
  t.same(problems, []);
  await follower.stop();
});

test('a broken connection without new records changes nothing', async (t) => {
  const { exchange, target, follower, reports } = await reconnected();
  exchange.line.hello('one', 3);
  exchange.line.heartbeat(3);
  await settle();
  t.same(target.takeCalls(), ['heard 3 at 1000', 'heard 3 at 1000']);
  t.same(reports, ['one 3']);
  await follower.stop();
});

test('after the journal was reopened the follower continues, by the term of its position', async (t) => {
  const { clock, exchange, target, follower, reports, problems } = await reconnected();
  exchange.line.hello({ one: -1, two: 3 }, 3);
  await settle();
  t.same(target.takeCalls(), ['extend two', 'heard 3 at 1000']);
  t.same(target.position, { identity: 'one', seq: 3 }, 'who has not heard of it yet is at the same place');
  exchange.line.fail();
  await clock.advance(1_000);
  t.same(exchange.line.after, { identity: 'one', seq: 3 });
  exchange.line.hello({ one: -1, three: 3 }, 4); // the second opening gave out nothing
  exchange.line.records(...history(4, 4));
  exchange.line.fail();
  await clock.advance(1_000);
  t.same(exchange.line.after, { identity: 'three', seq: 4 });
  t.same(reports, ['one 3', 'one 3', 'three 4']);
  t.same(problems, ['cut', 'cut']);
  await follower.stop();
});

test('rule 9: another identity drops what was verified', async (t) => {
  const { exchange, target, follower, reports } = await reconnected();
  exchange.line.hello('two', 5);
  exchange.line.records(...history(1, 5, 'b'));
  await settle();
  t.same(target.takeCalls(), ['restart two 0..5', 'heard 5 at 1000', 'apply 1 2 3 4 5', 'heard 5 at 1000']);
  t.same(target.applied, history(1, 5, 'b'));
  t.same(reports, ['two 0', 'two 5']);
  await follower.stop();
});

for (const { what, line, newest, copied, reported } of [
  { what: 'without being opened again', line: { one: -1 }, newest: 1, copied: 1, reported: 'one 1' },
  { what: 'and has given out nothing since', line: { one: -1, two: 1 }, newest: 1, copied: 1, reported: 'one 1' },
  { what: 'and is back at the same number', line: { one: -1, two: 1 }, newest: 3, copied: 1, reported: 'two 3' },
  { what: 'and has got further', line: { one: -1, two: 2 }, newest: 5, copied: 2, reported: 'two 5' },
  { what: 'twice', line: { one: -1, two: 1, three: 2 }, newest: 5, copied: 1, reported: 'three 5' },
  { what: 'of when it was empty', line: { one: -1, two: 0 }, newest: 5, copied: 0, reported: 'two 5' },
]) {
  test(`rule 9: restored from an older copy ${what}`, async (t) => {
    const { exchange, target, follower, reports, problems } = await reconnected();
    const forked = [...history(1, copied), ...history(copied + 1, newest, 'b')];
    exchange.line.hello(line, newest);
    exchange.line.records(...forked);
    await settle();
    t.equal(target.takeCalls()[0], `restart ${Object.keys(line).at(-1)} 0..${newest}`);
    t.same(target.applied, forked);
    t.equal(reports.at(-1), reported);
    t.same(problems, []);
    await follower.stop();
  });
}

test('rule 9: a number that was announced but not applied is outside the history', async (t) => {
  const { clock, exchange, target, follower, problems } = await reconnected();
  exchange.line.hello('one', 5);
  exchange.line.fail();
  await clock.advance(1_000);
  target.takeCalls();
  exchange.line.hello({ one: -1, two: 4 }, 6);
  await clock.advance(1_000);
  t.same(
    target.takeCalls(),
    ['restart two 0..6'],
    'what it has asked for since may be as old as the numbers that were lost',
  );
  t.same(problems, ['cut', 'journal_forked'], 'the connection would go on after 3');
  t.same(exchange.line.after, { identity: 'one', seq: 0 }, 'it asks for what it does not have');
  const forked = [...history(1, 4), ...history(5, 6, 'b')];
  exchange.line.hello({ one: -1, two: 4 }, 6);
  exchange.line.records(...forked);
  await settle();
  t.same(target.applied, forked);
  await follower.stop();
});

test('rule 10: missed records below the floor are noticed', async (t) => {
  const { exchange, target, follower, reports } = await reconnected();
  exchange.line.hello('one', 9, 7);
  exchange.line.records(...history(8, 9));
  await settle();
  t.same(target.takeCalls(), ['skipTo 7', 'heard 9 at 1000', 'apply 8 9', 'heard 9 at 1000']);
  t.same(reports, ['one 7', 'one 9']);
  await follower.stop();
});

test('a removed record that was applied is not missed', async (t) => {
  const { exchange, target, follower, reports } = await reconnected();
  exchange.line.hello('one', 4, 3);
  exchange.line.records(...history(4, 4));
  await settle();
  t.same(target.takeCalls(), ['heard 4 at 1000', 'apply 4', 'heard 4 at 1000']);
  t.same(reports, ['one 3', 'one 4']);
  await follower.stop();
});

test('the ledger gets a raised floor once it has applied everything', async (t) => {
  const { exchange, target, follower } = follow();
  exchange.line.hello('one', 3);
  exchange.line.records(...history(1, 2));
  exchange.line.heartbeat(3, 2);
  exchange.line.records(...history(3, 3));
  exchange.line.heartbeat(3, 2);
  exchange.line.heartbeat(3, 2);
  await settle();
  t.same(
    target.takeCalls().filter((call) => call.startsWith('raise')),
    ['raiseFloor 2'],
  );
  await follower.stop();
});

const terms = termsOf('one');
const hello = { type: 'hello', state: { terms, floor: 0, newest: 3 } };
const two = { type: 'records', records: history(1, 2) };

/** First messages of a new node's connection, and how many of their records may be applied. */
const REFUSED: readonly { what: string; messages: unknown[]; applied: number; code: string }[] = [
  { what: 'records before hello', messages: [two], applied: 0, code: 'journal_out_of_order' },
  {
    what: 'a heartbeat before hello',
    messages: [{ type: 'heartbeat', newest: 3 }],
    applied: 0,
    code: 'journal_out_of_order',
  },
  { what: 'hello twice', messages: [hello, hello], applied: 0, code: 'journal_out_of_order' },
  { what: 'a hole at the beginning', messages: [hello, records(2, 3)], applied: 0, code: 'journal_out_of_order' },
  { what: 'a hole between messages', messages: [hello, two, records(4, 4)], applied: 2, code: 'journal_out_of_order' },
  { what: 'the same message twice', messages: [hello, two, two], applied: 2, code: 'journal_out_of_order' },
  {
    what: 'messages in the wrong order',
    messages: [hello, records(3, 3), two],
    applied: 0,
    code: 'journal_out_of_order',
  },
  {
    what: 'a hole within a message',
    messages: [hello, list(recordOf(1), recordOf(3))],
    applied: 0,
    code: 'journal_out_of_order',
  },
  {
    what: 'a record twice within a message',
    messages: [hello, list(recordOf(1), recordOf(1))],
    applied: 0,
    code: 'journal_out_of_order',
  },
  {
    what: 'a heartbeat that knows less than was applied',
    messages: [hello, two, { type: 'heartbeat', newest: 1 }],
    applied: 2,
    code: 'journal_out_of_order',
  },
  ...[
    ['nothing', null],
    ['a string', 'hello'],
    ['a list', []],
    ['an unknown type', { type: 'bye' }],
    ['no records', { type: 'records', records: [] }],
    ['records that are no list', { type: 'records', records: { length: 1 } }],
    ['too many records', { type: 'records', records: history(1, 1_001) }],
    ['a record that is none', list(7)],
    ['number 0', list(recordOf(0))],
    ['a negative number', list(recordOf(-1))],
    ['half a number', list(recordOf(1.5))],
    ['a number that is a string', list({ ...recordOf(1), seq: '1' })],
    ['a number beyond all', list(recordOf(2 ** 53))],
    ['no time', list({ ...recordOf(1), time: undefined })],
    ['an unknown kind', list({ ...recordOf(1), kind: 'regex' })],
    ['a kind that every object has', list({ ...recordOf(1), kind: '__proto__' })],
    ['a good record and a bad one', list(recordOf(1), recordOf(2, { selector: '' }))],
    ['a selector of a megabyte', list(recordOf(1, { selector: 'x'.repeat(1_000_000) }))],
    ['a heartbeat without a number', { type: 'heartbeat' }],
    ['a heartbeat of infinity', { type: 'heartbeat', newest: Number.POSITIVE_INFINITY }],
    ['a floor above the newest', { type: 'heartbeat', newest: 3, floor: 4 }],
  ].map(([what, message]) => ({
    what: what as string,
    messages: [hello, message],
    applied: 0,
    code: 'journal_bad_message',
  })),
  ...[
    ['no state', undefined],
    ['a floor above the newest', { terms, floor: 4, newest: 3 }],
    ['a negative newest', { terms, floor: 0, newest: -1 }],
    ['no terms', { floor: 0, newest: 3 }],
    ...Object.entries({
      'an empty list of terms': [],
      'terms that are no list': { length: 1, 0: { identity: 'one', after: -1 } },
      'a term that is none': [7],
      'no identity': [{ after: 0 }],
      'an identity with a space': termsOf('a b'),
      'an identity of a kilobyte': termsOf('a'.repeat(1_024)),
      'one identity twice': [...termsOf('one'), { identity: 'one', after: 2 }],
      'two terms after the same number': termsOf({ one: 1, two: 1 }),
      'terms in the wrong order': termsOf({ one: 2, two: 1 }),
      'a term after what is to come': termsOf({ one: -1, two: 4 }),
      'a term after half a number': termsOf({ one: -1, two: 0.5 }),
      'a term after no number': [...termsOf('one'), { identity: 'two', after: '2' }],
      'a term from before the beginning': termsOf({ one: -2 }),
      'too many terms': Array.from({ length: 1_001 }, (_, index) => ({ identity: `t${index}`, after: index - 1_000 })),
    }).map(([what, list]): [string, unknown] => [what, { terms: list, floor: 0, newest: 3 }]),
  ].map(([what, state]) => ({
    what: `hello with ${what}`,
    messages: [{ type: 'hello', state }],
    applied: 0,
    code: 'journal_bad_message',
  })),
];

function records(first: number, last: number): unknown {
  return { type: 'records', records: history(first, last) };
}

function list(...entries: unknown[]): unknown {
  return { type: 'records', records: entries };
}

for (const { what, messages, applied, code } of REFUSED) {
  test(`an announced record that is never applied causes a new connection: ${what}`, async (t) => {
    const { clock, exchange, target, follower, problems } = follow();
    exchange.line.send(...messages);
    exchange.line.records(...history(1, 3));
    await settle();
    t.same(target.applied, history(1, applied));
    t.same(problems, [code]);
    t.ok(exchange.line.signal.aborted, 'the connection is given up');
    await clock.advance(100);
    t.equal(exchange.lines.length, 2);
    const first = exchange.line.after.seq + 1;
    exchange.line.hello('one', 3);
    exchange.line.records(...history(first, 3));
    await settle();
    t.same(target.applied, history(1, 3), 'the next connection makes up for it');
    await follower.stop();
  });
}

test('a connection that is silent for three heartbeat intervals is closed', async (t) => {
  const { clock, exchange, target, follower, problems } = follow();
  exchange.line.hello('one', 0);
  await clock.advance(2_999);
  exchange.line.heartbeat(0);
  await clock.advance(2_999);
  t.same(problems, []);
  await clock.advance(1);
  t.same(problems, ['journal_silent']);
  t.ok(exchange.line.signal.aborted);
  await clock.advance(100);
  t.equal(exchange.lines.length, 2);
  exchange.lines[0]?.heartbeat(9);
  await settle();
  t.notMatch(target.takeCalls(), ['heard 9'], 'what a dead connection brings is not heard');
  await clock.advance(3_000);
  t.same(problems, ['journal_silent', 'journal_silent'], 'nor is one that never says a word alive');
  await follower.stop();
});

test('a clock that is set back does not hide a silent connection', async (t) => {
  const { clock, exchange, target, follower, problems } = follow();
  exchange.line.hello('one', 0);
  await clock.advance(1_000);
  exchange.line.heartbeat(0);
  await settle();
  clock.setBack(3_600_000);
  await clock.advance(1_000);
  exchange.line.heartbeat(0);
  await settle();
  t.equal(target.takeCalls().at(-1), 'heard 0 at -3598000', 'what comes is heard all the same');
  clock.setBack(3_600_000);
  await clock.advance(6_000);
  t.same(problems, ['journal_silent']);
  await follower.stop();
});

for (const [what, pass] of Object.entries({
  'the process stood still': (clock: Clock) => clock.freeze(60_000),
  'the machine slept': (clock: Clock) => clock.sleep(60_000),
})) {
  test(`messages that waited while ${what} say nothing about the present`, async (t) => {
    const { clock, exchange, target, follower, problems } = follow();
    exchange.line.hello('one', 0);
    await settle();
    target.takeCalls();
    pass(clock);
    exchange.line.heartbeat(0);
    await settle();
    t.same(target.takeCalls(), []);
    t.same(problems, ['journal_silent']);
    await follower.stop();
  });
}

test('announced records that never arrive cause a new connection', async (t) => {
  const { clock, exchange, follower, problems } = follow();
  exchange.line.hello('one', 2);
  exchange.line.records(...history(1, 1));
  for (let heartbeat = 0; heartbeat < 3; heartbeat += 1) {
    t.same(problems, []);
    exchange.line.heartbeat(2);
    await clock.advance(1_000);
  }
  t.same(problems, ['journal_stalled']);
  t.equal(exchange.lines.length, 2);
  await follower.stop();
});

for (const [what, lose] of Object.entries({
  fails: (line: Line) => line.fail(),
  ends: (line: Line) => line.end(),
})) {
  test(`pauses double up to the maximum while the connection ${what}, and reset after progress`, async (t) => {
    const { clock, exchange, follower } = follow(undefined, {
      firstPauseMs: 100,
      maxPauseMs: 1_000,
      random: () => 0.5,
    });
    for (const pauseMs of [75, 150, 300, 600, 750, 750]) {
      lose(exchange.line);
      const before = exchange.lines.length;
      await clock.advance(pauseMs - 1);
      t.equal(exchange.lines.length, before, `not before ${pauseMs} ms`);
      await clock.advance(1);
      t.equal(exchange.lines.length, before + 1, `after ${pauseMs} ms`);
    }
    exchange.line.hello('one', 1);
    exchange.line.records(...history(1, 1));
    lose(exchange.line);
    const before = exchange.lines.length;
    await clock.advance(75);
    t.equal(exchange.lines.length, before + 1);
    await follower.stop();
  });
}

test('a transport that throws at once, or never ends, does no harm', async (t) => {
  const never = { next: () => new Promise<never>(() => undefined), return: () => Promise.reject(new Error('no')) };
  const hung = { [Symbol.asyncIterator]: () => never };
  let attempts = 0;
  const connect: Connect = () => {
    attempts += 1;
    if (attempts === 1) throw new Error('no transport');
    return hung;
  };
  const { clock, follower, problems } = follow(undefined, { connect });
  await clock.advance(100);
  t.equal(attempts, 2);
  await clock.advance(3_000);
  t.same(problems, ['no transport', 'journal_silent']);
  await follower.stop();
});

test('caughtUp resolves when the number is applied, at its timeout, or when the follower stops', async (t) => {
  const { clock, exchange, follower } = follow();
  exchange.line.hello('one', 3);
  exchange.line.records(...history(1, 1));
  await settle();
  t.equal(await follower.caughtUp({ identity: 'one', seq: 1 }, 0), true, 'applied already');
  t.equal(await follower.caughtUp({ identity: 'one', seq: 2 }, 0), false);
  const results: string[] = [];
  const note = (seq: number, timeoutMs: number): void => {
    void follower
      .caughtUp({ identity: 'one', seq }, timeoutMs)
      .then((reached) => results.push(`${seq} ${reached} ${clock.now().wall}`));
  };
  note(2, 500);
  note(3, 200);
  note(4, 9_000);
  await clock.advance(100);
  exchange.line.records(...history(2, 2));
  await clock.advance(200);
  t.same(results, ['2 true 100', '3 false 200']);
  await follower.stop();
  await settle();
  t.same(results.slice(2), ['4 false 300']);
  t.equal(await follower.caughtUp({ identity: 'one', seq: 9 }, 1_000), false, 'after it has stopped');
  t.equal(clock.waiting, 0, 'nobody waits any more');
});

test('caughtUp ignores a number that was applied as another purge before the journal was restored', async (t) => {
  const { exchange, follower } = await reconnected();
  const purge = { identity: 'two', seq: 2 };
  t.equal(await follower.caughtUp(purge, 0), false);
  const caughtUp = follower.caughtUp(purge, 5_000);
  exchange.line.hello({ one: -1, two: 1 }, 2);
  await settle();
  t.equal(await follower.caughtUp(purge, 0), false, 'the journal has been heard of');
  exchange.line.records(...history(1, 2, 'b'));
  t.equal(await caughtUp, true);
  await follower.stop();
});

test('a follower can be stopped before it has begun and between attempts', async (t) => {
  const { clock, exchange, follower } = follow();
  exchange.line.fail();
  await settle();
  await follower.stop();
  await follower.stop();
  await clock.advance(10_000);
  t.equal(exchange.lines.length, 1);
  t.equal(clock.waiting, 0);
});

/** A journal that can be restored from a copy of itself. */
class FakeJournal {
  terms: readonly Term[] = termsOf({ begin: -1, t0: 0 });
  floor = 0;
  records: JournalRecord[] = [];
  #made = 0;
  #openings = 0;

  get newest(): number {
    return this.floor + this.records.length;
  }

  get identity(): string {
    return (this.terms.at(-1) as Term).identity;
  }

  append(count: number): void {
    for (let added = 0; added < count; added += 1) {
      this.#made += 1;
      const purge = aPurge({ selector: `purge-${this.#made}` });
      this.records.push({ seq: this.newest + 1, time: this.#made, ...purge });
    }
  }

  compact(count: number): void {
    this.floor += this.records.splice(0, count).length;
    this.terms = termsFrom(this.terms, this.floor);
  }

  /** As if it had been copied so many records ago. */
  restore(count: number): void {
    this.records.splice(Math.max(0, this.records.length - count));
    this.#openings += 1;
    const used = this.terms.filter(({ after }) => after < this.newest);
    this.terms = [...used, { identity: `t${this.#openings}`, after: this.newest }];
  }

  replace(): void {
    this.floor = 0;
    this.records = [];
    this.terms = termsOf(`begin-${this.#openings}`);
    this.restore(0);
  }

  after(seq: number): JournalRecord[] {
    return this.records.filter((record) => record.seq > seq);
  }
}

/** The journal's end of a connection that it serves well, until the test interferes. */
class FakeStream {
  readonly line: Line;
  readonly #journal: FakeJournal;
  #sent: number;
  readonly #identity: string;

  constructor(line: Line, journal: FakeJournal) {
    this.line = line;
    this.#journal = journal;
    this.#identity = journal.identity;
    const { terms, floor, newest } = journal;
    const state = { terms, floor, newest };
    this.#sent = startAfter(state, line.after);
    line.send({ type: 'hello', state });
  }

  /** Sends what is new, in messages of this many, which the network treats as it likes. */
  pump(size: number, fault: 'drop' | 'repeat' | 'swap' | 'none'): void {
    const journal = this.#journal;
    // A control node that is restored or loses its records was down: its connections are gone.
    if (journal.identity !== this.#identity || this.#sent < journal.floor) {
      this.line.end();
      return;
    }
    const messages: JournalRecord[][] = [];
    const news = journal.after(this.#sent);
    for (let at = 0; at < news.length; at += size) messages.push(news.slice(at, at + size));
    this.#sent = Math.max(this.#sent, journal.newest);
    if (fault === 'drop') messages.shift();
    if (fault === 'repeat' && messages[0]) messages.unshift(messages[0]);
    if (fault === 'swap') messages.reverse();
    for (const message of messages) this.line.records(...message);
    this.line.heartbeat(journal.newest, journal.floor);
  }
}

const event = fc.record({
  what: fc.constantFrom(
    'append',
    'append',
    'append',
    'compact',
    'reopen',
    'restore',
    'restoreAndAppend',
    'replace',
    'cut',
    'idle',
  ),
  fault: fc.constantFrom('none', 'none', 'none', 'drop', 'repeat', 'swap'),
  count: fc.integer({ min: 1, max: 8 }),
  size: fc.integer({ min: 1, max: 3 }),
  passMs: fc.constantFrom(0, 10, 1_000),
});

test('under any history the ledger holds a contiguous part of the journal and reaches its end', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 30 }), async (events) => {
      const journal = new FakeJournal();
      const { clock, exchange, target, follower } = follow(new NotingTarget(), { maxPauseMs: 400 });
      let stream: FakeStream | undefined;
      const pump = (size: number, fault: 'drop' | 'repeat' | 'swap' | 'none'): void => {
        if (stream?.line !== exchange.line) stream = new FakeStream(exchange.line, journal);
        stream.pump(size, fault);
      };
      for (const { what, fault, count, size, passMs } of events) {
        const isDown = what === 'reopen' || what === 'restore' || what === 'restoreAndAppend' || what === 'replace';
        if (isDown || what === 'cut') {
          exchange.line.fail();
          await clock.advance(400);
        }
        if (what === 'append') journal.append(count);
        if (what === 'compact') journal.compact(count);
        if (what === 'reopen') journal.restore(0);
        if (what === 'restore' || what === 'restoreAndAppend') journal.restore(count);
        if (what === 'restoreAndAppend') journal.append(count);
        if (what === 'replace') journal.replace();
        pump(size, fault);
        await clock.advance(passMs);
      }
      for (let round = 0; round < 12; round += 1) {
        pump(3, 'none');
        await clock.advance(1_000);
      }
      t.same(target.position, { identity: identityOf(journal.terms, journal.newest), seq: journal.newest });
      const kept = target.applied.filter(({ seq }) => seq > journal.floor);
      t.same(kept, journal.after(Math.max(target.base, journal.floor)));
      await follower.stop();
      t.equal(clock.waiting, 0);
    }),
    { numRuns: 300 },
  );
});
