import fc from 'fast-check';
import { test } from 'tap';
import { addTraffic, MAX_SITES, readTraffic, reportedUrl, type Traffic } from '../../lib/traffic.ts';

const REPORT: Traffic = {
  sites: [
    {
      site: 'www',
      answers: [
        ['hit', 2, 5, 500],
        ['uri-miss', 5, 1, 20],
      ],
      durations: [4, 2],
      origin: 1,
    },
  ],
  urls: [['h/a', 'www', 4]],
  misses: [['h/a', 'www', 'uri-miss', 1]],
  failures: [['origin_unreachable', 'refused', 1]],
  certificates: [['www', 1_000]],
};

test('a report is read as it was written', async (t) => {
  t.strictSame(readTraffic(JSON.parse(JSON.stringify(REPORT))), REPORT);
});

test('threads of a node are added up', async (t) => {
  const other: Traffic = {
    sites: [{ site: 'www', answers: [['hit', 2, 1, 100]], durations: [0, 0, 1], origin: 0 }],
    urls: [
      ['h/a', 'www', 2],
      ['h/b', 'www', 9],
    ],
  };
  t.strictSame(addTraffic([REPORT, other]), {
    sites: [
      {
        site: 'www',
        answers: [
          ['hit', 2, 6, 600],
          ['uri-miss', 5, 1, 20],
        ],
        durations: [4, 2, 1],
        origin: 1,
      },
    ],
    urls: [
      ['h/b', 'www', 9],
      ['h/a', 'www', 6],
    ],
    misses: REPORT.misses,
    failures: REPORT.failures,
    certificates: REPORT.certificates,
  });
  t.equal(addTraffic([]), undefined);
});

for (const [what, value] of [
  ['no object', null],
  ['no sites', {}],
  ['too many sites', { sites: Array.from({ length: MAX_SITES + 3 }, () => REPORT.sites[0]) }],
  ['a negative count', { sites: [{ ...REPORT.sites[0], origin: -1 }] }],
  ['a count that is no number', { sites: [{ ...REPORT.sites[0], durations: ['1'] }] }],
  ['a class of status beyond 9', { sites: [{ ...REPORT.sites[0], answers: [['hit', 10, 1, 1]] }] }],
  ['a name of a site that is too long', { sites: [{ ...REPORT.sites[0], site: 'x'.repeat(65) }] }],
  ['a URL that is too long', { sites: [], urls: [['x'.repeat(257), 'www', 1]] }],
  ['a row with too many members', { sites: [], urls: [['x', 'www', 'y', 1]] }],
] as const) {
  test(`a report is refused for ${what}`, async (t) => {
    t.throws(() => readTraffic(value), TypeError);
  });
}

test('whatever is sent is read or refused by a TypeError', async () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      try {
        readTraffic(value);
      } catch (error) {
        return error instanceof TypeError;
      }
      return true;
    }),
  );
});

test('a URL is reported without its query, and cut', async (t) => {
  t.equal(reportedUrl('h', '/a?token=secret'), 'h/a?…');
  t.equal(reportedUrl('h', `/${'x'.repeat(500)}`).length, 256);
});
