/**
 * Explanations beside what a node then does: what a lookup would find, by the fields of Cache-Status, and why what was
 * fetched is not stored.
 */
import type { ServerResponse } from 'node:http';
import { type Test, test } from 'tap';
import type { PurgeRecord } from '../../cache/ledger.ts';
import { NodeQuestions } from '../../control/node-questions.ts';
import type { Explanation, Question } from '../../tier/explain.ts';
import { type Network, type NetworkOptions, SECRET, startNetwork } from '../support/network.ts';
import { startOrigin } from '../support/origin.ts';
import { ask, HOST } from '../support/visitor.ts';

interface Case {
  /** Fields of the origin's answer. */
  readonly origin?: Readonly<Record<string, string>>;
  readonly status?: number;
  readonly body?: string;
  readonly site?: NetworkOptions['site'];
  readonly rules?: NetworkOptions['rules'];
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

/** Reasons of the refusals that a fetch shows. */
const REFUSED: Readonly<Record<string, Pick<Case, 'origin' | 'status' | 'body' | 'site' | 'rules' | 'request'>>> = {
  'no-store': { origin: { 'Cache-Control': 'no-store' } },
  private: { origin: { 'Cache-Control': 'private, max-age=60' } },
  'set-cookie': { origin: { ...HOUR, 'Set-Cookie': 'a=b' } },
  'vary-star': { origin: { ...HOUR, Vary: '*' } },
  status: { status: 418, origin: {} },
  'no-freshness': { origin: {} },
  'too-large': { origin: { ...HOUR, 'Content-Length': '3000' }, body: 'x'.repeat(3_000), site: { max_object: '1KiB' } },
  authorization: { rules: [{ ttl: '5m' }], request: { Authorization: 'Basic eDp5' } },
  cookies: { rules: [{ ttl: '5m' }], request: { Cookie: 'session=1' } },
  'rule-never': { origin: HOUR, rules: [{ cache: 'never' }] },
};

interface Stage {
  readonly network: Network;
  explain(question: Partial<Question>): Promise<Explanation>;
}

async function stage(
  t: Test,
  { origin: fields = {}, status = 200, body = 'page', site = {}, rules = [] }: Case,
): Promise<Stage> {
  const origin = await startOrigin((request, response: ServerResponse) => {
    if (request.headers['if-none-match'] === fields['ETag'] && fields['ETag'] !== undefined) {
      response.writeHead(304, fields).end();
    } else response.writeHead(status, fields).end(body);
  });
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 }, shields: 0, site, rules });
  const questions = new NodeQuestions('control');
  t.teardown(() => Promise.all([network.close(), origin.close(), questions.close()]));
  const { tier } = network.edge('eu-1').addresses;
  const node = { region: 'eu', name: 'eu-1', role: 'edge', tier, secret: SECRET } as const;
  return {
    network,
    async explain(question) {
      const usual = { method: 'GET', scheme: 'http', authority: HOST, target: '/page', headers: [], fetch: false };
      const result = await questions.ask(node, 'explain', { ...usual, ...question });
      if ('problem' in result) throw new Error(result.problem);
      return result.answer as Explanation;
    },
  };
}

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
    const { network, explain } = await stage(t, one);
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

for (const [refusal, one] of Object.entries(REFUSED)) {
  test(`a fetch is explained as it turned out: not stored because of ${refusal}`, async (t) => {
    const { network, explain } = await stage(t, { ...one, expected: '' });
    const headers = one.request ?? {};
    const { fetched } = await explain({ headers: Object.entries(headers).flat(), fetch: true });
    t.equal(fetched?.status, one.status ?? 200);
    const [member] = fetched?.members ?? [];
    t.match(member?.text, `detail=${refusal}`);
    t.ok(member?.meanings.at(-1), 'and what it means');
    const answer = await ask(network.at('eu-1'), '/page', { headers });
    t.match(answer.headers['cache-status'], `detail=${refusal}`, 'a visitor gets the same');
  });
}

test('a fetch through the cache is stored, and shows in the next explanation', async (t) => {
  const { network, explain } = await stage(t, { origin: HOUR, expected: '' });
  const { fetched } = await explain({ fetch: true });
  t.match(fetched?.members[0]?.text, /^"eu-1";fwd=uri-miss;ttl=\d+;stored$/);
  t.equal((await explain({})).lookup?.outcome, 'fresh');
  t.match((await ask(network.at('eu-1'), '/page')).headers['cache-status'], /^"eu-1";hit/);
});

test('what is refused before the cache is explained by its code', async (t) => {
  const { explain } = await stage(t, { origin: HOUR, expected: '', site: { redirect: { https: true } } });
  t.match(await explain({ authority: 'other.test' }), { refused: { code: 'unknown_host', status: 421 }, lookup: null });
  t.match(await explain({ target: '/a/../b' }), { refused: { status: 400 }, lookup: null });
  t.match(await explain({ target: `/${'a'.repeat(20_000)}` }), { refused: { code: 'target_too_long' }, lookup: null });
  t.match(await explain({}), { refused: null, redirect: `https://${HOST}/page` });
});
