import { test } from 'tap';
import { MemoryStore } from '../../cache/store/memory-store.ts';
import type { StoredResponse } from '../../cache/stored-response.ts';
import { compileRules } from '../../config/match.ts';
import { siteSchema } from '../../config/schema.ts';
import { PreparedResponses } from '../../edge/prepared-responses.ts';
import { epochMs } from '../../lib/clock.ts';
import { storedResponse } from '../support/stored-response.ts';

const NOW = 1_800_000_000_000;
const store = new MemoryStore(2 ** 22);

const serve = () => {
  const site = siteSchema.parse({ name: 'www', hosts: ['*'], origin: { servers: [{ url: 'http://127.0.0.1' }] } });
  return { site, rules: compileRules(site) };
};
const SITE = serve();

const stored = (bytes = 20): StoredResponse => storedResponse(store, 1, bytes, NOW);

const shown = (keepAliveMs: number, name = 'off') => ({
  request_id: name,
  limits: { keep_alive_timeout: keepAliveMs },
});

function responses(): PreparedResponses {
  return new PreparedResponses('eu-1', shown(65_000));
}

test('a response is prepared once until it changes', async (t) => {
  const all = responses();
  t.teardown(() => all.close());
  const response = stored();
  const first = all.of(response, SITE, { path: '/a' });
  t.equal(all.of(response, SITE, { path: '/a' }), first);

  t.not(all.of(response, serve(), { path: '/a' }), first, 'anew by a new config');
  const again = all.of(response, SITE, { path: '/a' });
  all.update(shown(5_000));
  const later = all.of(response, SITE, { path: '/a' });
  t.not(later, again, 'anew when another time is announced to visitors');
  all.update(shown(5_000, 'X-Request-Id'));
  t.not(all.of(response, SITE, { path: '/a' }), later, 'anew with the field of a request’s id');
});

test('a copy of a response with other fields has a prepared form of its own', async (t) => {
  const all = responses();
  t.teardown(() => all.close());
  const response = stored();
  const first = all.of(response, SITE, { path: '/a' });
  const changed: StoredResponse = { ...response, headers: [...response.headers, 'X-New', 'yes'] };
  const second = all.of(changed, SITE, { path: '/a' });
  t.not(second, first);
  t.match(second.head('whole', false, epochMs(NOW)), /^X-New: yes\r$/m);
  t.equal(all.of(response, SITE, { path: '/a' }), first);
});

test('a foreign object in the same property is not used as a prepared form', async (t) => {
  const all = responses();
  t.teardown(() => all.close());
  const response: StoredResponse = { ...stored(), prepared: { isFor: () => true } };
  t.match(all.of(response, SITE, { path: '/a' }).head('whole', false, epochMs(NOW)), /^HTTP\/1\.1 200 /);
});

test('a whole answer is prepared at its second use in a second, while there is room', async (t) => {
  const all = responses();
  t.teardown(() => all.close());
  const response = stored();
  const prepared = all.of(response, SITE, { path: '/a' });
  const bytes = all.makeBytes(prepared, 'whole', false, epochMs(NOW));
  t.ok(bytes);
  t.equal(prepared.readyBytes('whole', false, epochMs(NOW)), undefined, 'asked for once');
  all.makeBytes(prepared, 'whole', false, epochMs(NOW + 1_000));
  t.equal(prepared.readyBytes('whole', false, epochMs(NOW + 1_000)), undefined, 'asked for a second later');
  const kept = all.makeBytes(prepared, 'whole', false, epochMs(NOW + 1_500));
  t.equal(prepared.readyBytes('whole', false, epochMs(NOW + 1_500)), kept, 'asked for again');
  t.equal(kept?.bytes.buffer.byteLength, kept?.bytes.length, 'holds nothing but itself');

  const large = stored(16 * 1024);
  for (let i = 0; i < 1_100; i++) {
    const copy = all.of({ ...large }, SITE, { path: '/large' });
    all.makeBytes(copy, 'whole', false, epochMs(NOW));
    all.makeBytes(copy, 'whole', false, epochMs(NOW));
  }
  const late = all.of({ ...response }, SITE, { path: '/a' });
  all.makeBytes(late, 'whole', false, epochMs(NOW));
  t.same(all.makeBytes(late, 'whole', false, epochMs(NOW)), bytes, 'answered all the same');
  t.equal(late.readyBytes('whole', false, epochMs(NOW)), undefined, '16 MiB are full');
});
