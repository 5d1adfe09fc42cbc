import fc from 'fast-check';
import { test } from 'tap';
import { conditionsIn } from '../../cache/answer.ts';
import { formatCacheStatus } from '../../cache/cache-status.ts';
import { MemoryStore } from '../../cache/store/memory-store.ts';
import { storedAnswer } from '../../cache/stored-answer.ts';
import type { StoredResponse } from '../../cache/stored-response.ts';
import { compileRules } from '../../config/match.ts';
import { siteSchema } from '../../config/schema.ts';
import { finishedHead } from '../../edge/finish.ts';
import { type Kind, Prepared } from '../../edge/prepared.ts';
import { withField } from '../../http/fields/headers.ts';
import { epochMs } from '../../lib/clock.ts';
import { storedResponse } from '../support/stored-response.ts';

const NOW = 1_800_000_000_000;
const store = new MemoryStore(2 ** 20);

const serve = (others: object) => {
  const site = siteSchema.parse({
    name: 'www',
    hosts: ['*'],
    origin: { servers: [{ url: 'http://127.0.0.1' }] },
    ...others,
  });
  return { site, rules: compileRules(site) };
};
const SITES = [
  serve({}),
  serve({ rules: [{ browser_ttl: '90s' }], response_headers: { set: { 'X-A': 'b' }, remove: ['Vary'] } }),
  serve({ rules: [{ browser_ttl: '0s', status: 200 }], response_headers: { set: { age: '5' } } }),
  serve({ cache_status: false, response_headers: { set: { 'Cache-Status': 'x; ttl=12' } } }),
];

const stored = fc
  .record({
    initialAgeMs: fc.nat(10_000_000),
    lifetimeMs: fc.double({ min: 10_000_000, max: 90_000_000, noNaN: true }),
  })
  .map(({ initialAgeMs, lifetimeMs }): StoredResponse => {
    const response = storedResponse(store, 1, 20, NOW);
    return { ...response, policy: { ...response.policy, initialAgeMs, lifetimeMs } };
  });
const aged = fc.record({
  stored,
  served: fc.constantFrom(...SITES),
  made: fc.integer({ min: -5_000, max: 99_000 }),
  later: fc.nat(2_500),
});

const prepare = (response: StoredResponse, served: (typeof SITES)[number]): Prepared =>
  new Prepared({ stored: response, served, path: '/', node: 'eu-1', keepAliveMs: 65_000 });

test('prepared bytes equal freshly made ones', async (t) => {
  let kept = 0;
  fc.assert(
    fc.property(aged, ({ stored: response, served, made, later }) => {
      const prepared = prepare(response, served);
      prepared.makeBytes('whole', false, epochMs(NOW + made), true);
      const ready = prepared.readyBytes('whole', false, epochMs(NOW + made + later));
      if (ready === undefined) return;
      kept++;
      const anew = prepare(response, served).makeBytes('whole', false, epochMs(NOW + made + later), false);
      if (anew === undefined || !ready.bytes.equals(anew.bytes)) throw new Error(`${ready.bytes}\nand\n${anew?.bytes}`);
    }),
    { numRuns: 3_000 },
  );
  t.ok(kept > 300, `${kept} times`);
});

test('a head from a template equals the one of the slow path', async (t) => {
  const kinds: readonly [Kind, string, string[]][] = [
    ['whole', 'GET', []],
    ['head', 'HEAD', []],
    ['not-modified', 'GET', ['If-None-Match', '"0000000000000001"']],
  ];
  fc.assert(
    fc.property(
      aged,
      fc.constantFrom(...kinds),
      fc.boolean(),
      ({ stored: response, served, made, later }, asked, hot) => {
        const [kind, method, headers] = asked;
        const prepared = prepare(response, served);
        prepared.head(kind, hot, epochMs(NOW + made));
        const now = NOW + made + later;
        const answer = storedAnswer({ request: { method }, profile: conditionsIn(headers) }, response, epochMs(now), {
          hit: true,
        });
        const status = formatCacheStatus('eu-1', { ...answer.status, detail: hot ? 'hot-copy' : undefined });
        const head = { ...answer.head, headers: withField(answer.head.headers, 'Cache-Status', status) };
        const finished = finishedHead(served, '/', head).headers;
        const text = prepared.head(kind, hot, epochMs(now))?.split('\r\n') ?? [];
        const lines = finished.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${finished[i + 1]}`] : []));
        t.strictSame(text.slice(1, -4), lines);
      },
    ),
    { numRuns: 1_000 },
  );
});

test('answers that cannot be prepared are left to the slow path', async (t) => {
  const response = storedResponse(store, 1, 20, NOW);
  const [plain] = SITES;
  if (plain === undefined) throw new Error('no site');
  for (const [what, changed, served] of [
    ['a message that is framed otherwise', { headers: [...response.headers, 'Content-Length', '20'] }, plain],
    ['a field about the connection', {}, serve({ response_headers: { set: { Connection: 'close' } } })],
    ['no Date', {}, serve({ response_headers: { remove: ['Date'] } })],
  ] as const) {
    t.equal(
      prepare({ ...response, ...changed }, served).makeBytes('whole', false, epochMs(NOW), true),
      undefined,
      what,
    );
  }
  for (const [what, changed] of [
    ['trailers', { trailers: ['X', 'y'] }],
    ['a part', { length: 30 }],
    ['no content', { status: 204 }],
    ['a status that has no name', { status: 299 }],
  ] as const) {
    t.notOk(prepare({ ...response, ...changed }, plain).isPlain, what);
  }
});
