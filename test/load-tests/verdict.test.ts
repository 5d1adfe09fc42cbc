/** The verdict on a fault: which requests count, and which bounds they have to keep. */
import { test } from 'tap';
import { ONE_FAULT, rollingRows, rowsOf, TWO_FAULTS } from '../../load-tests/chaos/verdict.ts';
import type { Visit } from '../../load-tests/chaos/visitors.ts';

const RIGHT: Visit = {
  edge: 'east-1',
  began: 100,
  ended: 110,
  path: '/long/1',
  error: undefined,
  isWrong: false,
  isStale: false,
  isFinal: true,
  cacheStatus: '',
};

const TIMES = {
  began: 0,
  healed: 4_000,
  recovered: 5_000,
  victims: ['west-1'],
  victimsBefore: ['east-2'],
  hedges: 0,
  retries: 0,
};

function broken(visits: readonly Visit[], times: Partial<typeof TIMES> = {}, bounds = ONE_FAULT): string[] {
  const rows = rowsOf({ ...TIMES, ...times, visits }, bounds);
  return rows.filter(({ promise }) => promise?.kept === false).map(({ what }) => what.replace(/ \(.*/, ''));
}

const many = Array.from({ length: 200 }, () => RIGHT);

for (const { what, visits, breaks, two = breaks } of [
  { what: 'all well', visits: many, breaks: [] },
  { what: 'an error', visits: [...many, { ...RIGHT, error: 'ECONNRESET' }], breaks: ['errors'], two: [] },
  { what: 'an error at the victim', visits: [...many, { ...RIGHT, edge: 'west-1', error: '502' }], breaks: [] },
  { what: 'a wrong body', visits: [...many, { ...RIGHT, isWrong: true }], breaks: ['wrong bodies'] },
  {
    what: 'a wrong body from the victim',
    visits: [...many, { ...RIGHT, edge: 'west-1', isWrong: true }],
    breaks: ['wrong bodies'],
  },
  {
    what: 'a request to the victim of the fault before, from its time',
    visits: [...many, { ...RIGHT, edge: 'east-2', began: -7_000, error: 'ECONNRESET' }],
    breaks: [],
  },
  {
    what: 'a later one to that edge',
    visits: [...many, { ...RIGHT, edge: 'east-2', error: 'ECONNRESET' }],
    breaks: ['errors'],
    two: [],
  },
  {
    what: 'something too old',
    visits: [...many, { ...RIGHT, isStale: true }],
    breaks: ['stale beyond what is allowed'],
  },
  { what: 'one that waits for a second', visits: [...many, { ...RIGHT, ended: 1_100 }], breaks: [] },
  {
    what: 'one that waits for 3 s',
    visits: [...many, { ...RIGHT, ended: 3_100 }],
    breaks: ['longest wait, ms'],
    two: [],
  },
  { what: 'one that waits for 6 s', visits: [...many, { ...RIGHT, ended: 6_100 }], breaks: ['longest wait, ms'] },
  {
    what: 'a fiftieth that wait for 300 ms',
    visits: many.map((visit, i) => (i % 50 === 0 ? { ...visit, ended: 400 } : visit)),
    breaks: ['wait, p99, ms'],
    two: [],
  },
]) {
  test(`${what}: ${breaks.join(', ') || 'met'}`, async (t) => {
    t.strictSame(broken(visits), breaks);
    t.strictSame(broken(visits, {}, TWO_FAULTS), two, 'with two faults');
  });
}

test('what does not recover, or not in time, is out of bounds', async (t) => {
  t.strictSame(broken(many, { recovered: 14_001 }), ['as before after, ms']);
  t.strictSame(broken(many, { recovered: undefined as unknown as number }), ['as before after, ms']);
});

test('rolling: a request that another edge answers has not failed', async (t) => {
  const refused = { ...RIGHT, error: 'ECONNREFUSED', isFinal: false };
  const failed = (visits: readonly Visit[]): boolean | undefined =>
    rollingRows(visits, 1).find(({ what }) => what === 'failed')?.promise?.kept;
  t.equal(failed([refused, RIGHT]), true);
  t.equal(failed([refused, { ...refused, isFinal: true }]), false);
});
