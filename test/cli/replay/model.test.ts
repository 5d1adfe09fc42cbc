import { test } from 'tap';
import type { LoggedAnswer } from '../../../cli/replay/line.ts';
import { ReplayModel } from '../../../cli/replay/model.ts';
import { siteSchema } from '../../../config/schema.ts';

const NOON = Date.parse('2026-01-31T12:00:00Z');
const siteOf = (others: object = {}) =>
  siteSchema.parse({
    name: 'site',
    hosts: ['site.test'],
    origin: { servers: [{ url: 'http://127.0.0.1' }] },
    ...others,
  });
const modelOf = (others: object = {}): ReplayModel => new ReplayModel({ sites: [siteOf(others)] }, 16 * 2 ** 20);

const line = (other: Partial<LoggedAnswer> = {}): LoggedAnswer => ({
  ...{ time: NOON, method: 'GET', scheme: 'http', host: 'site.test', target: '/a', status: 200, bytes: 5 },
  ...{ key: 'k', length: 5, cacheStatus: '"e";fwd=uri-miss;stored', request: [], purge: undefined },
  response: [['cache-control', 'max-age=60']],
  ...other,
});

test('what is stored answers until its lifetime has passed on the clock of the log', async (t) => {
  const model = modelOf();
  t.match(await model.play(line(), undefined), { isHit: false, originRequests: 1, originBytes: 5, isStored: true });
  t.match(await model.play(line({ time: NOON + 59_000 }), undefined), {
    isHit: true,
    originRequests: 0,
    from: { key: 'k' },
  });
  t.match(await model.play(line({ time: NOON + 61_000 }), undefined), { isHit: false, originRequests: 1 });
});

test('Expires counts from the moment at which the answer comes, and a validator costs no body', async (t) => {
  const model = modelOf();
  const response: LoggedAnswer['response'] = [
    ['date', 'Thu, 01 Jan 2026 00:00:00 GMT'],
    ['expires', 'Thu, 01 Jan 2026 00:01:00 GMT'],
    ['age', '3000'],
    ['etag', '"1"'],
  ];
  await model.play(line({ response }), undefined);
  t.match(await model.play(line({ response, time: NOON + 50_000 }), undefined), { isHit: true });
  const validated = await model.play(line({ response, time: NOON + 70_000 }), undefined);
  t.match(validated, { isHit: false, originRequests: 1, originBytes: 0 });
});

test('a purge that the log knows of takes away what is stored', async (t) => {
  const model = modelOf();
  await model.play(line(), undefined);
  t.match(await model.play(line({ purge: 7 }), undefined), { isHit: false, originRequests: 1 });
  t.match(await model.play(line(), undefined), { isHit: true });
});

test('Vary and the key of the config tell answers apart', async (t) => {
  const model = modelOf({ key: { headers: ['X-Shop'] } });
  const response: LoggedAnswer['response'] = [
    ['cache-control', 'max-age=60'],
    ['vary', 'Accept-Language'],
  ];
  const of = (language: string, shop: string) =>
    model.play(
      line({
        response,
        request: [
          ['accept-language', language],
          ['x-shop', shop],
        ],
      }),
      undefined,
    );
  t.match(await of('de', '1'), { isHit: false });
  t.match(await of('en', '1'), { isHit: false });
  t.match(await of('de', '2'), { isHit: false });
  t.match(await of('en', '1'), { isHit: true });
});

test('what the config does not serve is no answer', async (t) => {
  const model = modelOf();
  t.equal(await model.play(line({ host: 'other.test' }), undefined), undefined);
  t.equal(await model.play(line({ target: '/../x' }), undefined), undefined);
  t.match(await model.play(line({ method: 'POST' }), undefined), { isHit: false, originRequests: 1 });
});
