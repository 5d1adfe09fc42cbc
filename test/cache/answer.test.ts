/** Parts of responses (RFC 9110, section 14; RFC 9111, sections 3.3 and 3.4). */
import { test } from 'tap';
import { Bench, field, pattern, turn } from './engine/bench.ts';

const FRESH = ['Cache-Control', 'max-age=60'];
const BODY = pattern(1_000);

function part(first: number, last: number, extra: readonly string[] = ['ETag', '"1"'], body = BODY) {
  return {
    headers: [...FRESH, ...extra, 'Content-Range', `bytes ${first}-${last}/${body.length}`],
    bytes: body.subarray(first, last + 1),
  };
}

/** Asks for a range; upstream, if asked, answers with just that range. */
async function ranged(bench: Bench, first: number, last: number, extra?: readonly string[], body = BODY) {
  const before = bench.upstream.count;
  const asked = bench.ask('/a', { headers: ['Range', `bytes=${first}-${last}`] });
  await turn();
  if (bench.upstream.count > before) {
    const { headers, bytes } = part(first, last, extra, body);
    bench.upstream.last.respond(206, headers, bytes);
  }
  return asked.whole();
}

async function holdingWhole(): Promise<Bench> {
  const bench = new Bench();
  await bench.fetched('/a', 200, [...FRESH, 'ETag', '"1"', 'Content-Type', 'text/plain'], BODY);
  return bench;
}

for (const { range, first, last } of [
  { range: 'bytes=0-0', first: 0, last: 0 },
  { range: 'bytes=10-19', first: 10, last: 19 },
  { range: 'bytes=990-', first: 990, last: 999 },
  { range: 'bytes=-5', first: 995, last: 999 },
  { range: 'bytes=-5000', first: 0, last: 999 },
  { range: 'bytes=0-5000', first: 0, last: 999 },
  { range: 'bytes=5-9,10-14', first: 5, last: 14 },
]) {
  test(`RFC 9110 14: ${range} of a stored response`, async (t) => {
    const bench = await holdingWhole();
    const { status, headers, body } = await bench.ask('/a', { headers: ['Range', range] }).whole();
    t.equal(status, 206);
    t.equal(field(headers, 'content-range'), `bytes ${first}-${last}/1000`);
    t.equal(field(headers, 'content-length'), String(last - first + 1));
    t.ok(body.equals(BODY.subarray(first, last + 1)));
  });
}

for (const { what, headers, status } of [
  { what: 'beyond the end', headers: ['Range', 'bytes=1000-'], status: 416 },
  { what: 'a suffix of nothing', headers: ['Range', 'bytes=-0'], status: 416 },
  { what: 'another unit', headers: ['Range', 'lines=0-1'], status: 200 },
  { what: 'malformed', headers: ['Range', 'bytes=5-4'], status: 200 },
  { what: 'more than there is', headers: ['Range', 'bytes=0-999,0-999'], status: 200 },
  { what: 'If-Range agrees', headers: ['Range', 'bytes=0-1', 'If-Range', '"1"'], status: 206 },
  { what: 'If-Range does not', headers: ['Range', 'bytes=0-1', 'If-Range', '"2"'], status: 200 },
  { what: 'If-Range is weak', headers: ['Range', 'bytes=0-1', 'If-Range', 'W/"1"'], status: 200 },
  { what: 'If-None-Match goes first', headers: ['Range', 'bytes=0-1', 'If-None-Match', '"1"'], status: 304 },
]) {
  test(`RFC 9110 14.2: ${what}: ${status}`, async (t) => {
    const bench = await holdingWhole();
    const given = await bench.ask('/a', { headers }).whole();
    t.equal(given.status, status);
    if (status === 200) t.ok(given.body.equals(BODY));
    if (status === 416) t.equal(field(given.headers, 'content-range'), 'bytes */1000');
    t.equal(bench.upstream.count, 1);
  });
}

/** The parts of a multipart/byteranges body. */
function partsOf(body: Buffer, type: string): { range: string; bytes: Buffer }[] {
  const boundary = /boundary=(.+)$/.exec(type)?.[1] as string;
  const pieces = body.toString('latin1').split(`\r\n--${boundary}`);
  return pieces.slice(1, -1).map((piece) => {
    const [head, ...rest] = piece.split('\r\n\r\n');
    const range = /content-range: (.+)/i.exec(head as string)?.[1] as string;
    return { range, bytes: Buffer.from(rest.join('\r\n\r\n'), 'latin1') };
  });
}

test('RFC 9110 15.3.7.2: several ranges of a stored response', async (t) => {
  const bench = await holdingWhole();
  const { status, headers, body } = await bench.ask('/a', { headers: ['Range', 'bytes=500-599,0-9,-1'] }).whole();
  t.equal(status, 206);
  t.equal(field(headers, 'content-length'), String(body.length));
  t.same(
    partsOf(body, field(headers, 'content-type') as string),
    [
      { range: 'bytes 500-599/1000', bytes: BODY.subarray(500, 600) },
      { range: 'bytes 0-9/1000', bytes: BODY.subarray(0, 10) },
      { range: 'bytes 999-999/1000', bytes: BODY.subarray(999) },
    ].map(({ range, bytes }) => ({ range, bytes: Buffer.from(bytes) })),
  );
});

test('RFC 9110 14.2: ranges of more bytes than the whole are answered with the whole', async (t) => {
  const bench = await holdingWhole();
  const statuses = new Set<number>();
  for (let count = 2; count <= 17; count++) {
    for (const bytes of [1, 20, 50, 100]) {
      const ranges = Array.from({ length: count }, (_, i) => `${i * 55}-${Math.min(i * 55 + bytes - 1, 999)}`);
      const answer = await bench.ask('/a', { headers: ['Range', `bytes=${ranges.join(',')}`] }).whole();
      statuses.add(answer.status);
      if (answer.status === 206) t.ok(answer.body.length < BODY.length, `${count} of ${bytes}: ${answer.body.length}`);
      else t.ok(answer.status === 200 && answer.body.equals(BODY), `${count} of ${bytes}`);
      t.equal(field(answer.headers, 'content-length'), String(answer.body.length));
    }
  }
  t.strictSame([...statuses].sort(), [200, 206]);
});

test('several ranges of a body in flight are answered, in any order, up to its end', async (t) => {
  const bench = new Bench();
  const body = pattern(5_000_000);
  const first = bench.ask('/a');
  await turn();
  const exchange = bench.upstream.last.head(200, [...FRESH, 'ETag', '"1"', 'Content-Length', String(body.length)]);
  const reader = await first.reader();
  const asked = bench.ask('/a', { headers: ['Range', 'bytes=900000-900009,100-199,500000-500009'] });
  await turn();
  t.equal(bench.upstream.count, 1, 'it will be there soon');
  const whole = asked.whole();
  exchange.data(body.subarray(0, 200_000));
  reader.close();
  t.notOk(exchange.isAborted, 'somebody still reads');
  for (let at = 200_000; at < body.length; at += 100_000) {
    exchange.data(body.subarray(at, at + 100_000));
    await turn();
  }
  exchange.end();
  const given = await whole;
  t.same(
    partsOf(given.body, field(given.headers, 'content-type') as string).map(({ bytes }) => bytes.length),
    [10, 100, 10],
  );
  t.ok(
    partsOf(given.body, field(given.headers, 'content-type') as string)[0]?.bytes.equals(
      body.subarray(900_000, 900_010),
    ),
  );
  t.same(bench.leaks(), []);
});

test('several ranges of a body in flight are answered after its memory was lost', async (t) => {
  const body = pattern(900_000);
  const bench = new Bench({ maxBytes: 1_000_000, fillWindowBytes: 50_000 });
  const headers = [...FRESH, 'ETag', '"1"', 'Content-Length', String(body.length)];
  const first = bench.ask('/a').whole();
  await turn();
  const exchange = bench.upstream.last.head(200, headers);
  const asked = bench.ask('/a', { headers: ['Range', 'bytes=800000-800099,100-199'] });
  await turn();
  const whole = asked.whole();
  const hog = bench.store.begin(0);
  hog?.append(Buffer.alloc(500_000));
  bench.upstream.onRequest = (rest) => {
    const range = /bytes=(\d+)-(\d+)/.exec(field(rest.request.headers, 'range') ?? '');
    const [start, last] = [Number(range?.[1]), Number(range?.[2])];
    const partial = ['ETag', '"1"', 'Content-Range', `bytes ${start}-${last}/${body.length}`];
    queueMicrotask(() => rest.respond(206, partial, body.subarray(start, last + 1)));
  };
  for (let at = 0; at < body.length; at += 50_000) {
    exchange.data(body.subarray(at, at + 50_000));
    await turn();
  }
  exchange.end();
  t.ok((await first).body.equals(body));
  const given = await whole;
  const parts = partsOf(given.body, field(given.headers, 'content-type') as string);
  t.ok(parts[0]?.bytes.equals(body.subarray(800_000, 800_100)));
  t.ok(parts[1]?.bytes.equals(body.subarray(100, 200)));
  hog?.abort();
  t.same(bench.leaks(), []);
});

test('several ranges that are not stored go upstream unchanged', async (t) => {
  const bench = new Bench();
  const asked = bench.ask('/a', { headers: ['Range', 'bytes=0-1,5-6'] });
  await turn();
  t.equal(field(bench.upstream.last.request.headers, 'range'), 'bytes=0-1,5-6');
  bench.upstream.last.respond(206, [...FRESH, 'Content-Type', 'multipart/byteranges; boundary=x'], '--x--');
  t.equal((await asked.whole()).body.toString(), '--x--');
  t.equal(bench.store.size, 0);
  t.same(bench.refusals, ['partial']);
});

test('a range of a cold key goes upstream, once for equal ranges', async (t) => {
  const bench = new Bench();
  const asked = [0, 1, 2].map(() => bench.ask('/a', { headers: ['Range', 'bytes=10-19'] }));
  await turn();
  t.equal(bench.upstream.count, 1);
  const { headers, bytes } = part(10, 19);
  bench.upstream.last.respond(206, headers, bytes);
  for (const one of asked) {
    const given = await one.whole();
    t.same([given.status, field(given.headers, 'content-range')], [206, 'bytes 10-19/1000']);
    t.ok(given.body.equals(bytes));
  }
  t.same(bench.leaks(), []);
});

test('when an origin ignores Range, the whole is stored and every request gets its part', async (t) => {
  const bench = new Bench();
  const asked = [0, 1].map(() => bench.ask('/a', { headers: ['Range', 'bytes=500-509'] }));
  await turn();
  bench.upstream.last.respond(200, [...FRESH, 'Content-Length', '1000'], BODY);
  for (const one of asked) {
    const given = await one.whole();
    t.equal(given.status, 206);
    t.ok(given.body.equals(BODY.subarray(500, 510)));
  }
  t.ok((await bench.ask('/a').whole()).body.equals(BODY));
  t.equal(bench.upstream.count, 1);
  t.same(bench.leaks(), []);
});

test('a range of a body of unknown length is answered with the whole', async (t) => {
  const bench = new Bench();
  const asked = bench.ask('/a', { headers: ['Range', 'bytes=0-9'] });
  await turn();
  bench.upstream.last.respond(200, FRESH, BODY);
  const given = await asked.whole();
  t.equal(given.status, 200);
  t.ok(given.body.equals(BODY));
});

test('RFC 9111 3.4: parts with one strong entity tag are combined', async (t) => {
  const bench = new Bench();
  await ranged(bench, 0, 399);
  await ranged(bench, 300, 699);
  t.equal(bench.upstream.count, 2);
  t.ok((await ranged(bench, 100, 650)).body.equals(BODY.subarray(100, 651)));
  t.equal(bench.upstream.count, 2, 'answered from both');
  await ranged(bench, 700, 999);
  const whole = await bench.ask('/a').whole();
  t.same([whole.status, whole.cache.hit, field(whole.headers, 'content-length')], [200, true, '1000']);
  t.ok(whole.body.equals(BODY));
  t.equal(field(whole.headers, 'content-range'), undefined);
  t.same(bench.leaks(), []);
});

for (const { what, first, second } of [
  { what: 'no tag', first: [], second: [] },
  { what: 'weak tags', first: ['ETag', 'W/"1"'], second: ['ETag', 'W/"1"'] },
  { what: 'other tags', first: ['ETag', '"1"'], second: ['ETag', '"2"'] },
]) {
  test(`RFC 9111 3.4: parts with ${what} are not combined`, async (t) => {
    const bench = new Bench();
    await ranged(bench, 0, 499, first);
    await ranged(bench, 500, 999, second, pattern(1_000, 7));
    const asked = bench.ask('/a');
    await turn();
    t.equal(bench.upstream.count, 3, 'the whole is not there');
    bench.upstream.last.respond(200, FRESH, BODY);
    t.ok((await asked.whole()).body.equals(BODY));
  });
}

test('parts that disagree about the whole length are not combined, whatever their tag', async (t) => {
  const bench = new Bench();
  await ranged(bench, 0, 499);
  await ranged(bench, 500, 899, ['ETag', '"1"'], pattern(900));
  bench.ask('/a', { headers: ['Range', 'bytes=0-10'] });
  await turn();
  t.equal(bench.upstream.count, 3);
});

test('RFC 9111 3.3: a part does not answer a request for the whole', async (t) => {
  const bench = new Bench();
  await ranged(bench, 0, 499);
  bench.ask('/a');
  await turn();
  t.equal(field(bench.upstream.last.request.headers, 'range'), undefined);
});

test('an If-Range that fails on a stored part goes upstream, and a part is never sent as the whole', async (t) => {
  const bench = new Bench();
  await ranged(bench, 0, 499);
  const asked = bench.ask('/a', { headers: ['Range', 'bytes=0-9', 'If-Range', '"other"'] });
  await turn();
  t.equal(bench.upstream.count, 2);
  bench.upstream.last.respond(200, [...FRESH, 'ETag', '"2"', 'Content-Length', '1000'], BODY);
  const given = await asked.whole();
  t.equal(given.status, 200);
  t.ok(given.body.equals(BODY));
});

test('HEAD of a stored part describes the whole', async (t) => {
  const bench = new Bench();
  await ranged(bench, 0, 499);
  const { status, headers } = await bench.ask('/a', { method: 'HEAD' }).whole();
  t.same([status, field(headers, 'content-length')], [200, '1000']);
});

test('a part without Content-Range is passed on and not stored', async (t) => {
  for (const contentRange of [undefined, 'bytes 0-9/*', 'bytes 9-0/10', 'bytes 0-9/5', 'lines 0-9/10']) {
    const bench = new Bench();
    const asked = bench.ask('/a', { headers: ['Range', 'bytes=0-9'] });
    await turn();
    const headers = contentRange === undefined ? FRESH : [...FRESH, 'Content-Range', contentRange];
    bench.upstream.last.respond(206, headers, '0123456789');
    t.equal((await asked.whole()).status, 206);
    t.equal(bench.store.size, 0, String(contentRange));
  }
});

for (const bytes of [5, 15]) {
  test(`a part of ${bytes} bytes whose Content-Range says 10 fails and is not stored`, async (t) => {
    const bench = new Bench();
    const asked = bench.ask('/a', { headers: ['Range', 'bytes=0-9'] });
    await turn();
    bench.upstream.last.respond(206, part(0, 9).headers, BODY.subarray(0, bytes));
    await t.rejects(asked.whole(), { code: 'origin_bad_response' });
    t.equal(bench.store.size, 0);
    t.same(bench.leaks(), []);
  });
}

test('a part does not replace a whole response that was stored meanwhile', async (t) => {
  const bench = new Bench();
  const partial = bench.ask('/a', { headers: ['Range', 'bytes=0-9'] });
  await turn();
  await bench.fetched('/a', 200, FRESH, BODY);
  const { headers, bytes } = part(0, 9, []);
  bench.upstream.at(0).respond(206, headers, bytes);
  await partial.whole();
  t.equal((await bench.ask('/a').whole()).cache.hit, true);
});

test('a 416 is neither stored nor makes the key hit-for-miss', async (t) => {
  const bench = new Bench();
  for (const headers of [FRESH, ['Cache-Control', 'no-store'], []]) {
    await bench.fetched('/a', 416, [...headers, 'Content-Range', 'bytes */1000'], '', {
      headers: ['Range', 'bytes=9999-'],
    });
    t.equal(bench.store.size, 0);
  }
  const before = bench.upstream.count;
  bench.ask('/a');
  bench.ask('/a');
  await turn();
  t.equal(bench.upstream.count, before + 1, 'still collapsed');
});

test('a range far beyond the received bytes does not wait for them', async (t) => {
  const bench = new Bench();
  bench.ask('/a');
  await turn();
  bench.upstream.last.head(200, [...FRESH, 'ETag', '"1"', 'Content-Length', '50000000']);
  await turn();
  bench.ask('/a', { headers: ['Range', 'bytes=40000000-40000009'] });
  await turn();
  t.equal(bench.upstream.count, 2);
});

test('stale parts are validated, and stay parts', async (t) => {
  const bench = new Bench();
  await ranged(bench, 0, 99);
  bench.pass(100);
  const asked = bench.ask('/a', { headers: ['Range', 'bytes=10-19'] });
  await turn();
  t.equal(field(bench.upstream.last.request.headers, 'if-none-match'), '"1"');
  t.equal(field(bench.upstream.last.request.headers, 'range'), undefined);
  bench.upstream.last.respond(304, ['ETag', '"1"', ...FRESH]);
  const given = await asked.whole();
  t.equal(given.status, 206);
  t.ok(given.body.equals(BODY.subarray(10, 20)));
  bench.ask('/a');
  await turn();
  t.equal(bench.upstream.count, 3);
});
