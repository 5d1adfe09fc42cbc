import { type Test, test } from 'tap';
import { originSchema } from '../../config/schema/origin.ts';
import { UpstreamClient } from '../../http/upstream/client.ts';
import { probingOf } from '../../origin-shield/origin-check.ts';
import { startOrigin, startTcp, text } from '../support/origin.ts';

type Check = NonNullable<Parameters<typeof originSchema.parse>[0]>;

/** Resolves with the result of one probe of a server. */
async function probe(t: Test, url: string, origin: object, latest?: readonly string[]): Promise<boolean> {
  const config = originSchema.parse({ servers: [{ url }, { url: 'http://127.0.0.1:1' }], ...origin } as Check);
  const client = new UpstreamClient({
    url,
    connectTimeoutMs: 5_000,
    firstByteTimeoutMs: 5_000,
    idleTimeoutMs: 5_000,
    maxConnections: 1,
    maxWaiting: 1,
    busyCode: 'origin_overloaded',
  });
  t.teardown(() => client.destroy());
  const request = latest && { method: 'GET', target: '/page', headers: latest, body: undefined };
  const probing = probingOf({ url, client, latest: () => request }, config);
  return new Promise((resolve) => {
    const giveUp = probing.probe((isGood) => {
      giveUp();
      resolve(isGood);
    });
  });
}

for (const { what, status, check, isGood } of [
  { what: 'a status below 400', status: 302, check: { path: '/healthz' }, isGood: true },
  { what: 'another status', status: 404, check: { path: '/healthz' }, isGood: false },
  { what: 'a status of the list', status: 404, check: { path: '/healthz', status: [404] }, isGood: true },
  { what: 'one that is not in it', status: 200, check: { path: '/healthz', status: [404] }, isGood: false },
]) {
  test(`a check that is answered with ${what}: ${isGood ? 'healthy' : 'not'}`, async (t) => {
    const origin = await startOrigin((_request, response) => void response.writeHead(status).end());
    t.teardown(() => origin.close());
    t.equal(await probe(t, origin.url, { check: { host: 'app.test', ...check } }), isGood);
    t.match(origin.requests[0], { method: 'GET', url: '/healthz', headers: { host: 'app.test' } });
  });
}

test('without a path a connection is enough', async (t) => {
  const silent = await startTcp(() => undefined);
  t.teardown(() => silent.close());
  t.equal(await probe(t, silent.url, { check: {} }), true);
  t.equal(await probe(t, 'http://127.0.0.1:1', { check: {} }), false);
});

test('without a check the latest request is sent again, without what was the visitor’s', async (t) => {
  const origin = await startOrigin(text('hello'));
  t.teardown(() => origin.close());
  const sent = ['Host', 'site.test', 'Cookie', 'a=1', 'Authorization', 'Basic x', 'Range', 'bytes=0-1', 'X-Kept', '1'];
  t.equal(await probe(t, origin.url, {}, sent), true);
  const [request] = origin.requests;
  t.strictSame(Object.keys(request?.headers ?? {}).sort(), ['connection', 'host', 'x-kept']);
  origin.script = (_request, response) => void response.writeHead(503).end();
  t.equal(await probe(t, origin.url, {}, sent), false);
});
