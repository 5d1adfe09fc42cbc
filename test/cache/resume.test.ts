/** Bodies that are too large to be kept, readers that fall behind, bounds (promises P2 and P5). */
import fc from 'fast-check';
import { test } from 'tap';
import type { BodyReader } from '../../http/message.ts';
import type { ScriptedExchange } from '../support/scripted-fetch.ts';
import { Bench, field, pattern, readAll, turn } from './engine/bench.ts';

const FRESH = ['Cache-Control', 'max-age=60'];

/** Answers requests for a range of `body` as an origin would, in chunks. */
function answerRange(exchange: ScriptedExchange, body: Buffer, chunkBytes: number, tag = '"1"'): void {
  const range = /^bytes=(\d+)-(\d+)$/.exec(field(exchange.request.headers, 'range') ?? '');
  if (range === null || field(exchange.request.headers, 'if-range') !== tag) {
    exchange.respond(200, ['ETag', tag], body);
    return;
  }
  const [start, end] = [Number(range[1]), Number(range[2]) + 1];
  exchange.head(206, ['ETag', tag, 'Content-Range', `bytes ${start}-${end - 1}/${body.length}`]);
  for (let at = start; at < end; at += chunkBytes) exchange.data(body.subarray(at, Math.min(end, at + chunkBytes)));
  exchange.end();
}

test('without memory a body streams through no more than the window, to fast and slow readers', async (t) => {
  const body = pattern(3_000_000);
  const windowBytes = 200_000;
  const bench = new Bench({ maxBytes: 100_000, fillWindowBytes: windowBytes });
  const asked = [bench.ask('/a'), bench.ask('/a')];
  await turn();
  const exchange = bench.upstream.last.head(200, [...FRESH, 'ETag', '"1"', 'Content-Length', String(body.length)]);
  const [fast, slow] = (await Promise.all(asked.map((one) => one.reader()))) as [BodyReader, BodyReader];
  bench.upstream.onRequest = (rest) => queueMicrotask(() => answerRange(rest, body, 50_000));
  for (let at = 0; at < body.length; at += 50_000) exchange.data(body.subarray(at, at + 50_000));
  exchange.end();
  const first = (await slow.next()) as Buffer;
  const fastBody = await readAll(fast);
  t.ok(fastBody.equals(body));
  t.ok(exchange.pauses > 10, 'upstream was held back');
  t.equal(bench.upstream.count, 1);
  const slowBody = Buffer.concat([first, await readAll(slow)]);
  t.ok(slowBody.equals(body));
  t.equal(bench.upstream.count, 2, 'the slow one went on by itself');
  t.same(bench.refusals, ['no-memory']);
  t.same(bench.leaks(), []);
});

test('bytes that slow readers have yet to read count as memory in use after the response left the store', async (t) => {
  const body = pattern(600_000);
  const bench = new Bench({ maxBytes: 2 ** 20 });
  const asked = async (target: string): Promise<BodyReader> => {
    const one = bench.ask(target);
    await turn();
    bench.upstream.last.respond(200, FRESH, body);
    const reader = await one.reader();
    await reader.next();
    return reader;
  };
  const slow = [await asked('/a'), await bench.ask('/a').reader(), await asked('/b')];
  t.equal(bench.store.size, 0, 'there is no room for /b: those who read /a hold it');
  const held = bench.store.bytesInUse;
  t.ok(held >= body.length && held <= bench.store.maxBytes);
  slow[0]?.close();
  t.equal(bench.store.bytesInUse, held);
  for (const reader of slow) reader.close();
  t.same(bench.leaks(), []);
  await bench.fetched('/c', 200, FRESH, body);
  t.equal(bench.store.get(bench.keyOf('/c')).length, 1);
  t.same(bench.leaks(), []);
});

test('a slow reader alone holds upstream back, and is never cut off', async (t) => {
  const body = pattern(1_000_000);
  const bench = new Bench({ site: { max_object: '10KiB' }, fillWindowBytes: 10_000 });
  const asked = bench.ask('/a');
  await turn();
  const exchange = bench.upstream.last.head(200, [...FRESH, 'ETag', '"1"', 'Content-Length', String(body.length)]);
  for (let at = 0; at < body.length; at += 20_000) exchange.data(body.subarray(at, at + 20_000));
  exchange.end();
  t.ok(exchange.queuedBytes > 800_000);
  t.ok((await asked.whole()).body.equals(body));
  t.equal(bench.upstream.count, 1);
  t.same(bench.leaks(), []);
});

for (const { what, tag, length, code } of [
  { what: 'no tag', tag: [], length: true, code: 'overloaded' },
  { what: 'a weak tag', tag: ['ETag', 'W/"1"'], length: true, code: 'overloaded' },
  { what: 'no length', tag: ['ETag', '"1"'], length: false, code: 'overloaded' },
]) {
  test(`a reader that lags where there is ${what} is broken off, never ended early`, async (t) => {
    const body = pattern(800_000);
    const bench = new Bench({ site: { max_object: '10KiB' }, fillWindowBytes: 100_000 });
    const asked = [bench.ask('/a'), bench.ask('/a')];
    await turn();
    const headers = [...FRESH, ...tag, ...(length ? ['Content-Length', String(body.length)] : [])];
    const exchange = bench.upstream.last.head(200, headers);
    const [fast, slow] = (await Promise.all(asked.map((one) => one.reader()))) as [BodyReader, BodyReader];
    for (let at = 0; at < body.length; at += 50_000) exchange.data(body.subarray(at, at + 50_000));
    exchange.end();
    t.ok((await readAll(fast)).equals(body));
    await t.rejects(readAll(slow), { code });
    slow.close();
    t.equal(bench.upstream.count, 1);
    t.same(bench.leaks(), []);
  });
}

for (const { what, answer } of [
  {
    what: 'is another one by now',
    answer: (rest: ScriptedExchange, body: Buffer) => answerRange(rest, body, 9_000, '"2"'),
  },
  { what: 'fails', answer: (rest: ScriptedExchange) => rest.fail('origin_unreachable') },
  { what: 'is gone', answer: (rest: ScriptedExchange) => rest.respond(404) },
  {
    what: 'comes without its tag',
    answer: (rest: ScriptedExchange, body: Buffer) => {
      const [, start] = /bytes=(\d+)/.exec(field(rest.request.headers, 'range') as string) as unknown as [
        string,
        string,
      ];
      rest.respond(
        206,
        ['Content-Range', `bytes ${start}-${body.length - 1}/${body.length}`],
        body.subarray(Number(start)),
      );
    },
  },
  {
    what: 'is too short',
    answer: (rest: ScriptedExchange, body: Buffer) => {
      const [, start] = /bytes=(\d+)/.exec(field(rest.request.headers, 'range') as string) as unknown as [
        string,
        string,
      ];
      rest.respond(206, ['ETag', '"1"', 'Content-Range', `bytes ${start}-${body.length - 1}/${body.length}`], 'short');
    },
  },
  {
    what: 'breaks off',
    answer: (rest: ScriptedExchange, body: Buffer) => {
      const [, start] = /bytes=(\d+)/.exec(field(rest.request.headers, 'range') as string) as unknown as [
        string,
        string,
      ];
      rest.head(206, ['ETag', '"1"', 'Content-Range', `bytes ${start}-${body.length - 1}/${body.length}`]);
      rest.data('some').fail();
    },
  },
]) {
  test(`when the rest ${what}, the reader gets an error, never wrong or missing bytes`, async (t) => {
    const body = pattern(800_000);
    const bench = new Bench({ site: { max_object: '10KiB' }, fillWindowBytes: 100_000 });
    const asked = [bench.ask('/a'), bench.ask('/a')];
    await turn();
    const exchange = bench.upstream.last.head(200, [...FRESH, 'ETag', '"1"', 'Content-Length', String(body.length)]);
    const [fast, slow] = (await Promise.all(asked.map((one) => one.reader()))) as [BodyReader, BodyReader];
    bench.upstream.onRequest = (rest) => queueMicrotask(() => answer(rest, body));
    for (let at = 0; at < body.length; at += 50_000) exchange.data(body.subarray(at, at + 50_000));
    exchange.end();
    await readAll(fast);
    await t.rejects(readAll(slow));
    slow.close();
    await turn();
    t.equal(bench.upstream.count, 2);
    t.same(bench.leaks(), []);
  });
}

for (const when of ['before the head', 'after the head'] as const) {
  test(`a reader that is closed while it fetches the rest, ${when}, leaves nothing open`, async (t) => {
    const body = pattern(800_000);
    const bench = new Bench({ site: { max_object: '10KiB' }, fillWindowBytes: 100_000 });
    const asked = [bench.ask('/a'), bench.ask('/a')];
    await turn();
    const exchange = bench.upstream.last.head(200, [...FRESH, 'ETag', '"1"', 'Content-Length', String(body.length)]);
    const [fast, slow] = (await Promise.all(asked.map((one) => one.reader()))) as [BodyReader, BodyReader];
    for (let at = 0; at < body.length; at += 50_000) exchange.data(body.subarray(at, at + 50_000));
    exchange.end();
    await readAll(fast);
    const next = slow.next();
    t.equal(bench.upstream.count, 2);
    const rest = bench.upstream.last;
    if (when === 'after the head') rest.head(206, ['ETag', '"1"', 'Content-Range', `bytes 0-799999/800000`]);
    slow.close();
    t.equal(await next, null);
    t.ok(rest.isAborted);
    t.same(bench.leaks(), []);
  });
}

test('a reader that lags in a body that was to be stored reads on, too', async (t) => {
  const body = pattern(900_000);
  const bench = new Bench({ maxBytes: 1_000_000, fillWindowBytes: 100_000 });
  const asked = [bench.ask('/a'), bench.ask('/a')];
  await turn();
  const exchange = bench.upstream.last.head(200, [...FRESH, 'ETag', '"1"', 'Content-Length', String(body.length)]);
  const [fast, slow] = (await Promise.all(asked.map((one) => one.reader()))) as [BodyReader, BodyReader];
  const hog = bench.store.begin(0);
  hog?.append(Buffer.alloc(500_000));
  bench.upstream.onRequest = (rest) => queueMicrotask(() => answerRange(rest, body, 50_000));
  for (let at = 0; at < body.length; at += 50_000) exchange.data(body.subarray(at, at + 50_000));
  exchange.end();
  t.ok((await readAll(fast)).equals(body));
  t.ok((await readAll(slow)).equals(body));
  t.equal(bench.store.size, 0);
  hog?.abort();
  t.same(bench.leaks(), []);
});

test('every reader gets the representation, for any sizes of chunks, windows and paces', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 600_000 }),
      fc.integer({ min: 500, max: 90_000 }),
      fc.integer({ min: 1, max: 200_000 }),
      fc.array(fc.record({ pace: fc.integer({ min: 0, max: 4 }), range: fc.boolean() }), {
        minLength: 1,
        maxLength: 4,
      }),
      fc.constantFrom(100_000, 2 ** 22),
      fc.constantFrom('memory' as const, 'shared' as const),
      async (bytes, chunkBytes, fillWindowBytes, visitors, maxBytes, store) => {
        const body = pattern(bytes);
        const bench = new Bench({ maxBytes, fillWindowBytes, store });
        bench.upstream.onRequest = (exchange) =>
          queueMicrotask(() => {
            if (field(exchange.request.headers, 'if-range') !== undefined) answerRange(exchange, body, chunkBytes);
            else {
              exchange.head(200, [...FRESH, 'ETag', '"1"', 'Content-Length', String(bytes)]);
              for (let at = 0; at < bytes; at += chunkBytes) exchange.data(body.subarray(at, at + chunkBytes));
              exchange.end();
            }
          });
        const start = Math.floor(bytes / 3);
        const got = await Promise.all(
          visitors.map(async ({ pace, range }) => {
            const reader = await bench.ask('/a', range ? { headers: ['Range', `bytes=${start}-`] } : {}).reader();
            const pieces: Buffer[] = [];
            for (let piece = await reader.next(); piece !== null; piece = await reader.next()) {
              pieces.push(piece);
              for (let i = 0; i < pace; i++) await turn();
            }
            return { range, bytes: Buffer.concat(pieces) };
          }),
        );
        for (const one of got) if (!one.bytes.equals(one.range ? body.subarray(start) : body)) return false;
        await turn();
        const leaks = bench.leaks();
        if (leaks.length > 0) throw new Error(leaks.join('; '));
        return true;
      },
    ),
    { numRuns: 120 },
  );
  t.pass();
});

test('a body of one byte more than max_object is not stored, with and without Content-Length', async (t) => {
  for (const { bytes, known, kept } of [
    { bytes: 10_240, known: true, kept: 1 },
    { bytes: 10_241, known: true, kept: 0 },
    { bytes: 10_240, known: false, kept: 1 },
    { bytes: 10_241, known: false, kept: 0 },
  ]) {
    const bench = new Bench({ site: { max_object: '10KiB' } });
    const headers = known ? [...FRESH, 'Content-Length', String(bytes)] : FRESH;
    const given = await bench.fetched('/a', 200, headers, pattern(bytes));
    t.ok(given.body.equals(pattern(bytes)));
    t.equal(bench.store.size, kept, `${bytes} ${known}`);
    t.same(bench.leaks(), []);
  }
});

test('the least recently stored variant goes when max_variants is reached', async (t) => {
  const bench = new Bench({ site: { max_variants: 2 } });
  for (const kind of ['a', 'b', 'c']) {
    if (kind === 'c') await bench.ask('/a', { headers: ['X-Kind', 'a'] }).whole(); // to be used does not help it
    await bench.fetched('/a', 200, [...FRESH, 'Vary', 'X-Kind'], kind, { headers: ['X-Kind', kind] });
  }
  for (const kind of ['b', 'c']) {
    t.equal((await bench.ask('/a', { headers: ['X-Kind', kind] }).whole()).body.toString(), kind);
  }
  t.equal(bench.upstream.count, 3);
  const asked = bench.ask('/a', { headers: ['X-Kind', 'a'] });
  await turn();
  t.equal(bench.upstream.count, 4);
  bench.upstream.last.respond(200, FRESH, 'a');
  t.equal((await asked.whole()).cache.fwd, 'vary-miss');
});

test('trailers are stored and sent again', async (t) => {
  const bench = new Bench();
  const asked = bench.ask('/a');
  await turn();
  bench.upstream.last.head(200, FRESH).data('x').end(['X-Sum', '1']);
  const answer = await asked.answer;
  await readAll(answer.body as BodyReader);
  t.same(answer.trailers(), ['X-Sum', '1']);
  const hit = await bench.ask('/a').answer;
  t.same(hit.trailers(), ['X-Sum', '1']);
});
