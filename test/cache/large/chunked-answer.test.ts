/** Answers from a stored large object: nothing is sent before its first bytes are there. */
import { test } from 'tap';
import { HttpError } from '../../../http/errors.ts';
import { turn } from '../engine/bench.ts';
import { answerRange, knownObject, LENGTH, MIB, rangeFields } from './known-object.ts';
import { bytesOf } from './large-origin.ts';

const FIRST = { headers: ['Range', 'bytes=0-99'] };

test('the head waits for the first byte; the answer then says that a part came from upstream', async (t) => {
  const { bench } = await knownObject();
  const asked = bench.ask('/film', FIRST);
  await turn();
  const { last } = bench.upstream;
  last.head(206, rangeFields(0, MIB, 'Cache-Status', 'shield-1; hit'));
  await turn();
  t.equal(asked.isAnswered, false, 'the head of the range alone is not enough');
  last.data(bytesOf(1, 0, MIB)).end();
  const { status, above } = await asked.answer;
  t.match(status, { hit: false, fwd: 'partial' });
  t.equal(above, 'shield-1; hit');
  t.ok((await asked.whole()).body.equals(bytesOf(1, 0, 100)));
  const again = await bench.ask('/film', FIRST).whole();
  t.equal(again.cache.hit, true);
});

test('one that waited for another request’s chunk is no hit, though it asked for nothing', async (t) => {
  const { bench } = await knownObject();
  const both = [bench.ask('/film', FIRST), bench.ask('/film', FIRST)];
  await turn();
  t.equal(bench.upstream.count, 2);
  answerRange(bench.upstream.last, 0, MIB);
  for (const asked of both) t.match(await asked.whole(), { cache: { hit: false, fwd: 'partial' } });
});

test('a visitor who leaves while the first byte is awaited holds nothing', async (t) => {
  for (const when of ['before', 'meanwhile'] as const) {
    const { bench } = await knownObject();
    const abort = new AbortController();
    if (when === 'before') abort.abort();
    const asked = bench.ask('/film', { ...FIRST, clientAbort: abort.signal });
    await turn();
    abort.abort();
    t.equal(await asked.error(), 'client_closed', when);
    await turn();
    t.same(bench.upstream.open, []);
    t.equal(bench.engine.large.size, 0);
    t.same(bench.leaks(), []);
  }
});

test('an origin that has other bytes begins the request anew; one that refuses the range answers it itself', async (t) => {
  for (const { what, first, answer } of [
    { what: 'ended', first: 412, answer: 404 },
    { what: 'refused', first: 403, answer: 403 },
  ]) {
    const { bench } = await knownObject();
    const asked = bench.ask('/film', FIRST);
    await turn();
    bench.upstream.last.respond(first, [], 'x');
    await turn();
    t.equal(bench.upstream.count, 3, what);
    bench.upstream.last.respond(answer, ['Content-Length', '3'], 'new');
    const { status, body } = await asked.whole();
    t.equal(status, answer);
    t.equal(String(body), 'new');
    t.same(bench.leaks(), []);
  }
});

test('an origin that fails is tried once, and its error is the answer', async (t) => {
  const { bench } = await knownObject();
  const asked = bench.ask('/film', FIRST);
  await turn();
  bench.upstream.last.fail('origin_timeout');
  await turn();
  if (bench.upstream.open.length > 0) bench.upstream.last.fail('origin_timeout');
  t.equal(await asked.error(), 'origin_timeout');
  t.ok(asked.outcome instanceof HttpError);
  t.same(bench.leaks(), []);
  t.equal(bench.engine.large.size, 0);
});

test('what needs no bytes waits for none', async (t) => {
  const { bench } = await knownObject();
  for (const [method, headers, status] of [
    ['HEAD', [], 200],
    ['GET', ['If-None-Match', '"v1"'], 304],
    ['GET', ['Range', `bytes=${LENGTH}-`], 416],
  ] as const) {
    const { status: given, cache } = await bench.ask('/film', { method, headers }).whole();
    t.equal(given, status);
    t.equal(cache.hit, true);
  }
  t.equal(bench.upstream.count, 1);
});
