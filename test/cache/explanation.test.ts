/** A lookup is explained as it then turns out, by the fields of Cache-Status. */
import { test } from 'tap';
import type { Explanation } from '../../cache/explanation.ts';
import { explainMember } from '../../cache/explanation.ts';
import type { PurgeRecord } from '../../cache/ledger.ts';
import { type ExplainedSite, startExplained } from '../support/explained.ts';
import type { NetworkOptions } from '../support/network.ts';
import { ask, HOST } from '../support/visitor.ts';

interface Case extends ExplainedSite {
  readonly target?: string;
  readonly method?: 'GET' | 'HEAD';
  /** Fields of a visit before; absent: none was there. */
  readonly before?: Readonly<Record<string, string>>;
  readonly beforeTarget?: string;
  /** Purge after that visit. */
  readonly purge?: Omit<PurgeRecord, 'seq' | 'site'>;
  /** Fields of the request that is explained. */
  readonly request?: Readonly<Record<string, string>>;
  /** Meaning of the lookup: `hit`, a detail of a hit, or the reason to go on. */
  readonly expected: string;
  /** Further parts of the explanation that the case is about. */
  readonly says?: (explanation: Explanation) => unknown;
  readonly as?: unknown;
}

const HOUR = { 'Cache-Control': 'max-age=3600' };
const NONE = {};
const HONOUR: NetworkOptions['rules'] = [{ request_directives: 'honour' }];
/** Stale when it arrives, and kept as it has a validator. */
const STALE = { 'Cache-Control': 'max-age=60', Age: '100', ETag: '"a"' };

const freshness = ({ lookup }: Explanation) => lookup?.stored[0]?.freshness;
const from = (explanation: Explanation) => freshness(explanation)?.lifetime_from;
const purges = ({ lookup }: Explanation) => lookup?.stored[0]?.purges;

const CASES: Readonly<Record<string, Case>> = {
  'nothing is stored': { origin: HOUR, expected: 'uri-miss' },
  'fresh by max-age': { origin: HOUR, before: NONE, expected: 'hit', says: from, as: 'max-age' },
  'fresh by s-maxage, which counts more': {
    origin: { 'Cache-Control': 'max-age=0, s-maxage=60' },
    before: NONE,
    expected: 'hit',
    says: (it) => [from(it), freshness(it)?.lifetime],
    as: ['s-maxage', 60],
  },
  'fresh by Expires': {
    origin: { Expires: new Date(Date.now() + 3_600_000).toUTCString() },
    before: NONE,
    expected: 'hit',
    says: from,
    as: 'expires',
  },
  'fresh by a targeted field': {
    origin: { 'CDN-Cache-Control': 'max-age=60', 'Cache-Control': 'no-store' },
    before: NONE,
    expected: 'hit',
    says: (it) => freshness(it)?.lifetime,
    as: 60,
  },
  'fresh by a rule': { rules: [{ ttl: '5m' }], before: NONE, expected: 'hit', says: from, as: 'rule' },
  'fresh by a guess': {
    origin: { 'Last-Modified': new Date(Date.now() - 86_400_000 * 100).toUTCString() },
    before: NONE,
    expected: 'hit',
    says: from,
    as: 'heuristic',
  },
  'old when it arrived': {
    origin: { 'Cache-Control': 'max-age=3600', Age: '100' },
    before: NONE,
    expected: 'hit',
    says: (it) => Math.floor(freshness(it)?.initial_age ?? 0),
    as: 100,
  },
  'stale, with a validator': { origin: STALE, before: NONE, expected: 'stale' },
  'stale, and revalidated in the background': {
    origin: { ...STALE, 'Cache-Control': 'max-age=60, stale-while-revalidate=3600' },
    before: NONE,
    expected: 'stale-while-revalidate',
  },
  'stale, and kept for errors': {
    origin: { ...STALE, 'Cache-Control': 'max-age=60, stale-if-error=3600' },
    before: NONE,
    expected: 'stale',
    says: (it) => freshness(it)?.on_error,
    as: true,
  },
  'a window of the rule': {
    origin: STALE,
    rules: [{ stale_while_revalidate: '1h' }],
    before: NONE,
    expected: 'stale-while-revalidate',
    says: (it) => freshness(it)?.stale_while_revalidate,
    as: 3_600,
  },
  'must-revalidate forbids the window': {
    origin: { ...STALE, 'Cache-Control': 'max-age=60, must-revalidate, stale-while-revalidate=3600' },
    before: NONE,
    expected: 'stale',
    says: (it) => freshness(it)?.directives,
    as: ['must-revalidate'],
  },
  'no-cache of the origin': {
    origin: { 'Cache-Control': 'no-cache, max-age=60', ETag: '"a"' },
    before: NONE,
    expected: 'stale',
    says: (it) => freshness(it)?.directives,
    as: ['no-cache'],
  },
  'no-cache of the request, which does not count': {
    origin: HOUR,
    before: NONE,
    request: { 'Cache-Control': 'no-cache' },
    expected: 'hit',
  },
  'no-cache of the request, which counts': {
    origin: HOUR,
    rules: HONOUR,
    before: NONE,
    request: { 'Cache-Control': 'no-cache' },
    expected: 'request',
  },
  'max-age of the request': {
    origin: { 'Cache-Control': 'max-age=3600', Age: '100' },
    rules: HONOUR,
    before: NONE,
    request: { 'Cache-Control': 'max-age=50' },
    expected: 'request',
  },
  'min-fresh of the request': {
    origin: HOUR,
    rules: HONOUR,
    before: NONE,
    request: { 'Cache-Control': 'min-fresh=7200' },
    expected: 'request',
  },
  'max-stale of the request': {
    origin: STALE,
    rules: HONOUR,
    before: NONE,
    request: { 'Cache-Control': 'max-stale=1000' },
    expected: 'stale ',
  },
  'another variant': {
    origin: { ...HOUR, Vary: 'Accept-Language' },
    before: { 'Accept-Language': 'de' },
    request: { 'Accept-Language': 'fr' },
    expected: 'vary-miss',
    says: ({ lookup }) => lookup?.stored[0]?.vary,
    as: [{ name: 'accept-language', stored: 'de', asked: 'fr' }],
  },
  'the same variant in another spelling': {
    origin: { ...HOUR, Vary: 'Accept-Encoding' },
    before: { 'Accept-Encoding': 'gzip, br' },
    request: { 'Accept-Encoding': 'gzip,br' },
    expected: 'hit',
  },
  'cookies that count': {
    rules: [{ ttl: '5m' }],
    before: NONE,
    request: { Cookie: 'session=1' },
    expected: 'bypass',
    says: ({ personal }) => personal,
    as: 'It has cookies that are neither ignored nor in the key: session.',
  },
  'cookies that are ignored': {
    rules: [{ ttl: '5m' }],
    site: { ignored_cookies: ['seen'] },
    before: NONE,
    request: { Cookie: 'seen=1' },
    expected: 'hit',
    says: ({ personal }) => personal,
    as: null,
  },
  'cookies, and an answer that is declared public': {
    origin: { 'Cache-Control': 'public, max-age=60' },
    before: NONE,
    request: { Cookie: 'session=1' },
    expected: 'hit',
  },
  Authorization: {
    rules: [{ ttl: '5m' }],
    before: NONE,
    request: { Authorization: 'Basic eDp5' },
    expected: 'bypass',
    says: ({ personal }) => personal,
    as: 'It has Authorization.',
  },
  'a cookie in the key': {
    origin: HOUR,
    site: { key: { cookies: ['lang'] } },
    before: { Cookie: 'lang=de' },
    request: { Cookie: 'lang=fr' },
    expected: 'uri-miss',
    says: ({ key }) => key?.more,
    as: ['cookie lang=fr'],
  },
  'a field in the key': {
    origin: HOUR,
    site: { key: { headers: ['X-Variant'] } },
    before: { 'X-Variant': 'a' },
    request: { 'X-Variant': 'a' },
    expected: 'hit',
    says: ({ key }) => key?.more,
    as: ['x-variant:a'],
  },
  'a parameter that is not in the key': {
    origin: HOUR,
    site: { key: { query: { deny: ['utm_*'] } } },
    target: '/page?utm_source=x&page=2',
    beforeTarget: '/page?page=2',
    before: NONE,
    expected: 'hit',
    says: ({ key }) => key?.url,
    as: `http://${HOST}/page?page=2`,
  },
  'a rule that never caches': {
    origin: HOUR,
    rules: [{ path: '/page', cache: 'never' }],
    before: NONE,
    expected: 'bypass',
    says: ({ rule }) => [rule?.number, rule?.bypasses],
    as: [1, true],
  },
  'the second rule counts': {
    rules: [
      { path: '/other/*', ttl: '1m' },
      { path: '/page', ttl: '5m' },
    ],
    before: NONE,
    expected: 'hit',
    says: (it) => [it.rule?.number, freshness(it)?.lifetime],
    as: [2, 300],
  },
  'no rule counts': { origin: HOUR, expected: 'uri-miss', says: ({ rule }) => rule?.number, as: null },
  'a path that servers read in different ways': {
    origin: HOUR,
    target: '/a/..%23/page',
    expected: 'bypass',
    says: ({ path }) => path,
    as: null,
  },
  'a part that is stored': {
    origin: { ...HOUR, ETag: '"a"' },
    before: NONE,
    request: { Range: 'bytes=1-2' },
    expected: 'hit',
  },
  HEAD: { origin: HOUR, before: NONE, method: 'HEAD', expected: 'hit' },
  'a condition for the origin that does not hold': {
    origin: { ...HOUR, ETag: '"a"' },
    before: NONE,
    request: { 'If-Match': '"b"' },
    expected: 'request',
  },
  'a purge of the URL': {
    origin: HOUR,
    before: NONE,
    purge: { kind: 'url', selector: `//${HOST}/page`, soft: false },
    expected: 'uri-miss',
    says: purges,
    as: { verdict: 'hard', as_of: 0, newest: 1 },
  },
  'a purge of a tag': {
    origin: { ...HOUR, 'Cache-Tag': 'news, sport' },
    before: NONE,
    purge: { kind: 'tag', selector: 'sport', soft: false },
    expected: 'uri-miss',
    says: purges,
    as: { verdict: 'hard', as_of: 0, newest: 1 },
  },
  'a soft purge of the host': {
    origin: { ...HOUR, ETag: '"a"' },
    before: NONE,
    purge: { kind: 'host', selector: HOST, soft: true },
    expected: 'stale-while-revalidate',
    says: purges,
    as: { verdict: 'soft', as_of: 0, newest: 1 },
  },
  'a soft purge of what must be validated': {
    origin: { 'Cache-Control': 'max-age=60, must-revalidate', ETag: '"a"' },
    before: NONE,
    purge: { kind: 'site', selector: '', soft: true },
    expected: 'stale',
    says: purges,
    as: { verdict: 'soft', as_of: 0, newest: 1 },
  },
  'a purge of something else': {
    origin: HOUR,
    before: NONE,
    purge: { kind: 'prefix', selector: `//${HOST}/other/`, soft: false },
    expected: 'hit',
    says: purges,
    as: { verdict: 'current', as_of: 0, newest: null },
  },
};

/** Parameters of this edge's own member of Cache-Status. */
function ownMember(status: string | undefined): string[] {
  return (status ?? '').split(', ').at(-1)?.split(';').slice(1) ?? [];
}

/** Meaning of an explanation as Cache-Status would have it. */
function foreseen({ lookup }: Explanation): string {
  switch (lookup?.outcome) {
    case 'fresh':
      return 'hit';
    case 'while-revalidate':
      return 'stale-while-revalidate';
    case 'max-stale':
      return 'stale ';
    default:
      return lookup?.fwd ?? '';
  }
}

/** The same of what the edge has done. */
function done(parameters: readonly string[]): string {
  if (!parameters.includes('hit'))
    return /^fwd=(.*)$/.exec(parameters.find((one) => one.startsWith('fwd=')) ?? '')?.[1] ?? '';
  if (parameters.includes('detail=stale-while-revalidate')) return 'stale-while-revalidate';
  return parameters.includes('detail=stale') ? 'stale ' : 'hit';
}

for (const [what, one] of Object.entries(CASES)) {
  test(`a lookup is explained as it then turns out: ${what}`, async (t) => {
    const { network, explain } = await startExplained(t, one);
    const address = network.at('eu-1');
    const { target = '/page', beforeTarget = target, before, method = 'GET', request = {}, purge } = one;
    if (before !== undefined) await ask(address, beforeTarget, { headers: before });
    if (purge !== undefined) network.edge('eu-1').core.ledger.apply([{ seq: 1, site: 'site', ...purge }]);
    const explanation = await explain({ method, target, headers: Object.entries(request).flat() });
    t.equal(foreseen(explanation), one.expected, explanation.lookup?.meaning ?? '');
    if (one.says !== undefined) t.strictSame(one.says(explanation), one.as);
    const { headers } = await ask(address, target, { method, headers: request });
    t.equal(done(ownMember(headers['cache-status'])), one.expected, headers['cache-status'] ?? '');
  });
}

test('a member of Cache-Status is explained by its parameters', async (t) => {
  for (const [text, meanings] of [
    ['"eu-1";hit;ttl=5', []],
    ['"eu-1";hit;detail=disk', [/was on disk/]],
    ['"eu-1";fwd=uri-miss;stored', [/Nothing is stored/]],
    ['"eu-1";fwd=stale;fwd-status=304', [/outlived/]],
    ['"eu-1";fwd=uri-miss;detail=private', [/Nothing is stored/, /`private`/]],
    ['"eu-1";fwd=uri-miss;detail=origin_timeout', [/Nothing is stored/, /./]],
    ['"eu-1";detail=constructor', []],
    ['"eu-1";fwd=toString', []],
  ] as const) {
    const explained = explainMember(text);
    t.equal(explained.text, text);
    t.match(explained.meanings, meanings);
    t.equal(explained.meanings.length, meanings.length, text);
  }
});
