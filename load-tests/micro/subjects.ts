/**
 * The parts of a hit, each alone.
 * @module
 */
import { cacheKey } from '../../cache/key.ts';
import { NOTHING_KNOWN } from '../../cache/ledger.ts';
import { lookup } from '../../cache/lookup.ts';
import { NO_REQUEST_DIRECTIVES } from '../../cache/policy/directives.ts';
import { reuse } from '../../cache/policy/reuse.ts';
import { RequestProfile } from '../../cache/request-profile.ts';
import { KeyBytes } from '../../cache/store/key-bytes.ts';
import { MemoryStore } from '../../cache/store/memory-store.ts';
import { matchesVary } from '../../cache/vary.ts';
import { compileRules } from '../../config/match.ts';
import { siteSchema } from '../../config/schema.ts';
import { Prepared } from '../../edge/prepared.ts';
import { parseSection, Recogniser, type Section } from '../../http/http1/recogniser.ts';
import { parseRequestTarget } from '../../http/request-target.ts';
import { epochMs, monotonicMs } from '../../lib/clock.ts';
import { ledger, storedResponse } from '../../test/support/stored-response.ts';
import { Ring } from '../../tier/ring.ts';

export interface Subject {
  readonly what: string;
  readonly call: () => unknown;
}

const LINES = [
  ...['Host: www.example.com', 'Connection: keep-alive', 'sec-ch-ua: "Chromium";v="126", "Not.A/Brand";v="24"'],
  ...['sec-ch-ua-mobile: ?0', 'sec-ch-ua-platform: "Linux"', 'Upgrade-Insecure-Requests: 1'],
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36',
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8',
  ...['Sec-Fetch-Site: none', 'Sec-Fetch-Mode: navigate', 'Sec-Fetch-Dest: document'],
  ...['Accept-Encoding: gzip, deflate, br, zstd', 'Accept-Language: en-GB,en;q=0.9,de;q=0.8'],
];

const TARGET = '/articles/2026/how-a-cache-works.html';

/** Keys of other requests, so that what is looked up is not always the same. */
const KEYS = 4_096;

export function subjects(): Subject[] {
  const now = Date.now();
  const site = siteSchema.parse({
    name: 'www',
    hosts: ['www.example.com'],
    origin: { servers: [{ url: 'http://127.0.0.1' }] },
    rules: [
      { path: '/api/*', cache: 'never' },
      { path: ['/*.css', '/*.js'], ttl: '1d' },
    ],
  });
  const served = { site, rules: compileRules(site) };
  const section = LINES.map((line) => `${line}\r\n`).join('');
  const bytes = Buffer.from(`GET ${TARGET} HTTP/1.1\r\n${section}\r\n`, 'latin1');
  const headers = parseSection(section, 100) ?? [];
  const recogniser = new Recogniser({ maxBytes: 32_768, maxLines: 100 });
  const recognise = (): boolean => recogniser.recognise(bytes.toString('latin1'), 0, undefined);
  recognise();
  const last = recogniser.section as Section;
  const target = parseRequestTarget('GET', TARGET, headers);
  const store = new MemoryStore(1024 * 1024 * 1024);
  const small = new MemoryStore(16 * 1024 * 1024); // in which nothing is remembered of what was looked up 4,000 keys before
  const keys = Array.from({ length: KEYS }, (_, i) => `http://www.example.com/articles/${i}`);
  keys.forEach((key, i) => {
    store.set(key, [storedResponse(store, i, 1_024, now)]);
    small.set(key, [storedResponse(small, i, 1_024, now)]);
  });
  const stored = storedResponse(store, 0, 1_024, now);
  const keyed = cacheKey(site, 'http', target, headers);
  ledger.check(stored, keyed);
  const request = { method: 'GET', keyed, path: TARGET, rules: served.rules, minPosition: NOTHING_KNOWN };
  const profile = new RequestProfile({ ...served, headers, credentials: undefined });
  const ring = new Ring(['a', 'b', 'c', 'd'].map((name) => ({ name, weight: 1 })));
  const prepared = new Prepared({ stored, served, path: TARGET, node: 'eu-1', keepAliveMs: 65_000 });
  prepared.makeBytes('whole', false, epochMs(now), true);
  const hashed = new KeyBytes();
  let at = 0;
  const next = (): string => keys[at++ % KEYS] as string;
  return [
    {
      what: 'recogniser: the section of the request before',
      call: () => recogniser.recogniseRepeat(bytes, bytes.length, last),
    },
    { what: 'recogniser: a section that is known', call: recognise },
    { what: 'recogniser: a section that is new', call: () => parseSection(section, 100) },
    { what: 'request target: read and checked', call: () => parseRequestTarget('GET', TARGET, headers) },
    { what: 'key: made', call: () => cacheKey(site, 'http', target, headers) },
    { what: `key: hashed, ${keyed.key.length} bytes`, call: () => hashed.set(keyed.key).hash },
    { what: `store: one of ${KEYS} keys found, looked up lately`, call: () => store.get(next()) },
    { what: 'store: one found, read from its record', call: () => small.get(next()) },
    { what: 'Vary: compared', call: () => matchesVary(stored.vary, headers) },
    {
      what: `lookup: one of ${KEYS} keys found fresh`,
      call: () => lookup({ store, ledger }, next(), request, profile, epochMs(now), monotonicMs(now)),
    },
    { what: 'policy: may it be reused', call: () => reuse(stored, NO_REQUEST_DIRECTIVES, epochMs(now)) },
    { what: 'rules: of the path', call: () => served.rules.ruleFor(TARGET, 200) },
    { what: 'ledger: checked since the last purge', call: () => ledger.isStillCurrent(stored.stamp) },
    { what: 'ledger: the lease', call: () => ledger.holdsLease(epochMs(now), monotonicMs(now)) },
    { what: 'ring: whose a key is', call: () => ring.successors(next()) },
    { what: 'answer: the bytes of this second', call: () => prepared.readyBytes('whole', false, epochMs(now)) },
    { what: 'answer: a head from its template', call: () => prepared.head('whole', false, epochMs(now)) },
    {
      what: 'answer: head and body in one buffer',
      call: () => prepared.makeBytes('whole', false, epochMs(now), false),
    },
    {
      what: 'answer: prepared from the stored response',
      call: () =>
        new Prepared({ stored, served, path: TARGET, node: 'eu-1', keepAliveMs: 65_000 }).head(
          'whole',
          false,
          epochMs(now),
        ),
    },
  ];
}
