import { type Test, test } from 'tap';
import { MAX_READ_FIELD_BYTES } from '../../http/fields/field-bounds.ts';
import { type Origin, startOrigin, text } from '../support/origin.ts';
import { askHttp2, openHttp2, startSecureEdge } from '../support/secure-edge.ts';

const LONG = `${'a,'.repeat(MAX_READ_FIELD_BYTES / 2)}a`;
const THOUSANDS_OF_PARTS = `bytes=${Array.from({ length: 2_500 }, (_, i) => `${i}-${i}`).join(',')}`;
const SEVENTEEN_PARTS = `bytes=${Array.from({ length: 17 }, (_, i) => `${2 * i}-${2 * i}`).join(',')}`;

async function edgeFor(t: Test) {
  const origin = await startOrigin(text('hello', { 'Cache-Control': 'max-age=60', ETag: '"tag"' }));
  t.teardown(() => origin.close());
  const keys = { key: { query: { deny: ['utm_*'] } } };
  const edge = await startSecureEdge(t, origin.url, [{ name: 'site', hosts: ['*'], keys }]);
  return { origin, ask: asker(t, edge), askHttp1: http1Asker(edge.node.addresses.listen ?? '') };
}

function asker(t: Test, edge: Awaited<ReturnType<typeof startSecureEdge>>) {
  return async (path: string, headers: Record<string, string> = {}) =>
    (await askHttp2(openHttp2(t, edge), path, headers)).status;
}

function http1Asker(address: string) {
  return async (path: string, headers: Record<string, string> = {}): Promise<number> =>
    (await fetch(`http://${address}${path}`, { headers })).status;
}

function received(origin: Origin, name: string): unknown {
  return origin.requests.at(-1)?.headers[name];
}

for (const protocol of ['HTTP/1.1', 'HTTP/2'] as const) {
  test(`${protocol}: a Range of too many parts is ignored and not passed on`, async (t) => {
    const { origin, ask, askHttp1 } = await edgeFor(t);
    const asking = protocol === 'HTTP/2' ? ask : askHttp1;
    for (const [path, range] of [
      ['/many', THOUSANDS_OF_PARTS],
      ['/seventeen', SEVENTEEN_PARTS],
      ['/commas', `bytes=0-0${','.repeat(100)}`],
    ] as const) {
      t.equal(await asking(path, { range, 'if-range': '"tag"' }), 200);
      t.equal(received(origin, 'range'), undefined);
      t.equal(received(origin, 'if-range'), undefined);
      t.equal(await asking(path, { range }), 200, 'likewise from the store');
    }
    t.equal(await asking('/many', { range: 'bytes=0-1' }), 206);
  });

  test(`${protocol}: conditions of excessive length are ignored`, async (t) => {
    const { origin, ask, askHttp1 } = await edgeFor(t);
    const asking = protocol === 'HTTP/2' ? ask : askHttp1;
    t.equal(await asking('/', { 'if-none-match': `${'"a",'.repeat(1_000)}"tag"` }), 200);
    t.equal(received(origin, 'if-none-match'), undefined);
    t.equal(await asking('/', { 'if-none-match': `${'"a",'.repeat(1_000)}"tag"` }), 200);
    t.equal(await asking('/', { 'if-none-match': `${'"a",'.repeat(100)}"tag"` }), 304);
  });

  for (const name of ['cache-control', 'pragma', 'cdn-loop', 'forwarded', 'x-forwarded-for', 'x-forwarded-proto']) {
    test(`${protocol}: ${name} of more than ${MAX_READ_FIELD_BYTES} bytes is refused`, async (t) => {
      const { origin, ask, askHttp1 } = await edgeFor(t);
      const asking = protocol === 'HTTP/2' ? ask : askHttp1;
      t.equal(await asking('/', { [name]: LONG }), 431);
      t.equal(origin.requests.length, 0);
    });
  }

  test(`${protocol}: the config bounds a target, and the key the parameters of a query`, async (t) => {
    const { origin, ask, askHttp1 } = await edgeFor(t);
    const asking = protocol === 'HTTP/2' ? ask : askHttp1;
    t.equal(await asking('/'), 200);
    t.equal(await asking(`/${'a'.repeat(8 * 1024 - 1)}`), 200);
    t.equal(await asking(`/${'a'.repeat(8 * 1024)}`), 414);
    t.equal(await asking(`/?${'a&'.repeat(999)}a`), 200);
    t.equal(await asking(`/?${'a&'.repeat(1_000)}a`), 414);
    t.equal(origin.requests.length, 3);
  });
}
