/** Index of purges, beside a list of all records that is searched from end to end. */
import fc from 'fast-check';
import { test } from 'tap';
import { MAX_PATTERNS, type Purgeable, PurgeIndex, type PurgeRecord } from '../../cache/purge-index.ts';
import { isMatch } from '../../cache/url-pattern.ts';

const SITES = ['s', 't'];
const HOSTS = ['a.example', 'b.example'];
const TARGETS = ['/', '/a', '/a/b', '/ab?c', `/${'l'.repeat(300)}`];
const TAGS = ['x', 'y'];

const response: fc.Arbitrary<Purgeable & { tags: string[]; language: string }> = fc.record({
  site: fc.constantFrom(...SITES),
  host: fc.constantFrom(...HOSTS),
  authority: fc.constantFrom(...HOSTS),
  target: fc.constantFrom(...TARGETS),
  tags: fc.uniqueArray(fc.constantFrom(...TAGS)),
  language: fc.constantFrom('de', 'en'),
});

const url = fc
  .tuple(fc.constantFrom(...HOSTS), fc.constantFrom(...TARGETS))
  .map(([host, target]) => `//${host}${target}`);
const variant = fc
  .tuple(url, fc.constantFrom('de', 'en'))
  .map(([of, language]) => JSON.stringify({ url: of, headers: ['accept-language', language] }));
const asked = fc.oneof(
  fc.record({ kind: fc.constant('url' as const), selector: url }),
  fc.record({
    kind: fc.constant('prefix' as const),
    selector: fc.oneof(url, fc.constantFrom('//a.example/', '//b.example/a')),
  }),
  fc.record({
    kind: fc.constant('pattern' as const),
    selector: fc.constantFrom('//a.example/*', '//a.example/*b*', '//b.example/a*', '//a.example/*?c'),
  }),
  fc.record({ kind: fc.constant('tag' as const), selector: fc.constantFrom(...TAGS) }),
  fc.record({ kind: fc.constant('host' as const), selector: fc.constantFrom(...HOSTS) }),
  fc.record({ kind: fc.constant('site' as const), selector: fc.constant('') }),
  fc.record({ kind: fc.constant('everything' as const), selector: fc.constant('') }),
  fc.record({ kind: fc.constant('variant' as const), selector: variant }),
);
const record = fc
  .tuple(asked, fc.constantFrom(...SITES), fc.boolean())
  .map(([one, site, soft]) => ({ ...one, site, soft }));

function names(
  { kind, selector, site }: Omit<PurgeRecord, 'seq'>,
  one: Purgeable & { tags: string[]; language: string },
): boolean {
  const own = `//${one.authority}${one.target}`;
  switch (kind) {
    case 'everything':
      return true;
    case 'site':
      return site === one.site;
    case 'host':
      return selector === one.host;
    case 'tag':
      return site === one.site && one.tags.includes(selector);
    case 'url':
      return selector === own;
    case 'prefix':
      return own.startsWith(selector);
    case 'pattern':
      return site === one.site && isMatch(selector, own);
    case 'variant': {
      const { url: of, headers } = JSON.parse(selector) as { url: string; headers: string[] };
      return of === own && headers[1] === one.language;
    }
  }
}

const varyOf = (language: string) => [{ name: 'accept-language', value: language }] as never;

/** Newest numbers that name a response. */
function newest(
  index: PurgeIndex,
  one: Purgeable & { tags: string[]; language: string },
): { hard: number; soft: number } {
  const marks = index.match(one, one.tags, varyOf(one.language));
  return { hard: Math.max(0, ...marks.map(({ hard }) => hard)), soft: Math.max(0, ...marks.map(({ soft }) => soft)) };
}

test('a response is named by the newest purge that names it, also in a copy, and after older ones are forgotten', async (t) => {
  fc.assert(
    fc.property(
      fc.array(record, { maxLength: 25 }),
      fc.array(response, { minLength: 1, maxLength: 5 }),
      fc.nat({ max: 25 }),
      (records, responses, floor) => {
        const index = new PurgeIndex();
        records.forEach((one, at) => {
          index.note({ ...one, seq: at + 1 });
        });
        t.equal(index.newest, records.length);
        const copy = PurgeIndex.restore(structuredClone(index.state));
        const expected = (one: (typeof responses)[number], soft: boolean, above: number): number =>
          records.findLastIndex((each, at) => at + 1 > above && each.soft === soft && names(each, one)) + 1;
        for (const one of responses) {
          for (const each of [index, copy])
            t.same(newest(each, one), { hard: expected(one, false, 0), soft: expected(one, true, 0) });
        }
        index.forgetUntil(floor);
        for (const one of responses) {
          const { hard, soft } = newest(index, one);
          const [hardAbove, softAbove] = [expected(one, false, floor), expected(one, true, floor)];
          if (hardAbove > 0) t.equal(hard, hardAbove);
          if (softAbove > 0) t.equal(soft, softAbove);
          t.ok(hard <= records.length && soft <= records.length);
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('a variant whose fields are not known yet is named by any purge of a variant of its URL', async (t) => {
  const index = new PurgeIndex();
  index.note({
    kind: 'variant',
    site: 's',
    selector: JSON.stringify({ url: '//a.example/', headers: ['accept-language', 'de'] }),
    soft: false,
    seq: 7,
  });
  const one = { site: 's', host: 'a.example', authority: 'a.example', target: '/' };
  t.equal(Math.max(...index.match(one, [], undefined).map(({ hard }) => hard)), 7);
  t.equal(Math.max(...index.match(one, [], varyOf('en')).map(({ hard }) => hard)), 0);
});

test('memory is bounded: many variants, or long ones, are their URL; a selector is kept by its hash; what cannot be read is everything', async (t) => {
  const one = { site: 's', host: 'a.example', authority: 'a.example', target: '/' };
  const index = new PurgeIndex();
  for (let i = 0; i < 33; i += 1) {
    index.note({
      kind: 'variant',
      site: 's',
      selector: JSON.stringify({ url: '//a.example/', headers: ['x', String(i)] }),
      soft: false,
      seq: i + 1,
    });
  }
  t.equal(newest(index, { ...one, tags: [], language: 'none' }).hard, 33, 'the one too many is the URL');
  const long = new PurgeIndex();
  const before = long.bytes;
  long.note({ kind: 'url', site: 's', selector: `//a.example/${'x'.repeat(10_000)}`, soft: false, seq: 1 });
  t.ok(long.bytes - before < 500);
  t.equal(newest(long, { ...one, target: `/${'x'.repeat(10_000)}`, tags: [], language: '' }).hard, 1);
  t.equal(newest(long, { ...one, target: `/${'x'.repeat(9_999)}`, tags: [], language: '' }).hard, 0);
  for (const selector of ['', 'no JSON', '{}', '{"url":1,"headers":[]}', '{"url":"//a.example/","headers":[1]}']) {
    const odd = new PurgeIndex();
    odd.note({ kind: 'variant', site: 's', selector, soft: false, seq: 3 });
    t.equal(newest(odd, { ...one, tags: [], language: '' }).hard, 3, selector);
  }
});

test('of more patterns than are kept, the oldest counts as a purge of its whole site, and of no other', async (t) => {
  const index = new PurgeIndex();
  const note = (selector: string, seq: number): void =>
    index.note({ kind: 'pattern', selector, site: 's', soft: false, seq });
  const page = (site: string) => ({ site, host: 'a', authority: 'a', target: '/page', tags: [], language: 'en' });
  for (let seq = 1; seq <= MAX_PATTERNS; seq += 1) note(`//a/${seq}/*`, seq);
  note('//a/1/*', MAX_PATTERNS + 1);
  t.equal(newest(index, page('s')).hard, 0, 'a pattern that is named again is no further one');
  t.equal(index.size, MAX_PATTERNS);
  note('//a/more/*', MAX_PATTERNS + 2);
  t.equal(newest(index, page('s')).hard, 2, 'the one that was not named for longest');
  t.equal(newest(index, page('t')).hard, 0);
  t.equal(newest(PurgeIndex.restore(structuredClone(index.state)), page('s')).hard, 2);
});
