/** One request for chunks: what it asks for, and what each answer does to the generation (RFC 9110, section 14). */
import { test } from 'tap';
import { ChunkRefusedError, type GenerationEnd } from '../../../cache/large/generation.ts';
import { RangedRun } from '../../../cache/large/ranged-run.ts';
import { HttpError } from '../../../http/errors.ts';
import { field, turn } from '../engine/bench.ts';
import { knownObject, LENGTH, MIB, rangeFields } from './known-object.ts';
import { bytesOf } from './large-origin.ts';

const RANGE = { start: MIB, end: 3 * MIB };

const RIGHT = rangeFields(RANGE.start, RANGE.end);

/** The right answer, with other fields in place of some. */
const but = (...changes: readonly string[]): string[] => {
  const names = changes.filter((_, i) => i % 2 === 0);
  const kept = RIGHT.filter((_, i) => !names.includes(RIGHT[i - (i % 2)] as string));
  return [...kept, ...changes];
};

interface Row {
  readonly what: string;
  readonly status: number;
  readonly headers: string[];
  /** Reason for which the generation ends. */
  readonly ends?: GenerationEnd;
  /** Error of the chunk, where the generation goes on. */
  readonly failure?: typeof ChunkRefusedError | typeof HttpError;
}

async function started() {
  const stage = await knownObject();
  const { bench, generation, request } = stage;
  const run = new RangedRun(
    bench.engine,
    request({ headers: ['Range', 'bytes=7-', 'If-None-Match', '"x"'] }),
    generation,
    RANGE,
  );
  return { ...stage, run, exchange: bench.upstream.last };
}

test('it asks for whole chunks with the pinned validator, and with none of the visitor’s conditions', async (t) => {
  const { exchange } = await started();
  const { headers, method, body } = exchange.request;
  t.same({ method, body }, { method: 'GET', body: undefined });
  t.equal(field(headers, 'range'), `bytes=${RANGE.start}-${RANGE.end - 1}`);
  t.equal(field(headers, 'if-match'), '"v1"');
  t.equal(field(headers, 'if-range'), '"v1"');
  t.equal(field(headers, 'if-none-match'), undefined);
  t.equal(headers.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'range').length, 1);
});

for (const { what, status, headers, ends, failure } of [
  { what: 'the range itself', status: 206, headers: RIGHT },
  { what: 'another tag', status: 206, headers: but('ETag', '"v2"'), ends: 'changed' },
  { what: 'the same tag, weak', status: 206, headers: but('ETag', 'W/"v1"'), ends: 'changed' },
  { what: 'no tag', status: 206, headers: but('ETag', ''), ends: 'changed' },
  {
    what: 'another length of the whole',
    status: 206,
    headers: but('Content-Range', `bytes ${RANGE.start}-${RANGE.end - 1}/${LENGTH + 1}`),
    ends: 'changed',
  },
  {
    what: 'a part of the range',
    status: 206,
    headers: but('Content-Range', `bytes ${RANGE.start}-${RANGE.end - 2}/${LENGTH}`),
    failure: ChunkRefusedError,
  },
  {
    what: 'another range',
    status: 206,
    headers: but('Content-Range', `bytes 0-${2 * MIB - 1}/${LENGTH}`),
    failure: ChunkRefusedError,
  },
  { what: 'no Content-Range', status: 206, headers: ['ETag', '"v1"'], failure: ChunkRefusedError },
  {
    what: 'Content-Range: bytes */N',
    status: 206,
    headers: but('Content-Range', `bytes */${LENGTH}`),
    failure: ChunkRefusedError,
  },
  { what: 'no-store', status: 206, headers: but('Cache-Control', 'no-store'), ends: 'policy' },
  { what: 'private', status: 206, headers: but('Cache-Control', 'private'), ends: 'policy' },
  { what: 'Vary: *', status: 206, headers: but('Vary', '*'), ends: 'policy' },
  { what: 'a cookie of the visitor’s own', status: 206, headers: but('Set-Cookie', 'a=b'), failure: ChunkRefusedError },
  {
    what: 'the whole, as it is stored',
    status: 200,
    headers: ['ETag', '"v1"', 'Content-Length', String(LENGTH)],
    ends: 'no-ranges',
  },
  {
    what: 'the whole, of another length',
    status: 200,
    headers: ['ETag', '"v1"', 'Content-Length', '5'],
    ends: 'changed',
  },
  { what: 'the whole, new', status: 200, headers: ['ETag', '"v2"', 'Content-Length', String(LENGTH)], ends: 'changed' },
  { what: 'not found', status: 404, headers: [], ends: 'changed' },
  { what: 'gone', status: 410, headers: [], ends: 'changed' },
  { what: 'precondition failed', status: 412, headers: [], ends: 'changed' },
  { what: 'no such range', status: 416, headers: [], ends: 'changed' },
  { what: 'an error of the origin', status: 503, headers: [], failure: HttpError },
  { what: 'too many requests', status: 429, headers: [], failure: HttpError },
  { what: 'a login', status: 401, headers: [], failure: ChunkRefusedError },
  { what: 'forbidden', status: 403, headers: [], failure: ChunkRefusedError },
  { what: 'a redirect', status: 302, headers: ['Location', '/login'], failure: ChunkRefusedError },
  { what: 'not modified', status: 304, headers: ['ETag', '"v1"'], failure: ChunkRefusedError },
] satisfies Row[] as Row[]) {
  test(`a range is answered with ${status}, ${what}: ${ends ?? failure?.name ?? 'its chunks are taken'}`, async (t) => {
    const { bench, run, exchange, generation } = await started();
    exchange.head(status, headers);
    const isTaken = ends === undefined && failure === undefined;
    t.same(bench.ended, ends === undefined ? [] : [ends]);
    t.equal(bench.store.has(bench.keyOf('/film')), ends === undefined, 'the head stays or goes');
    if (isTaken) t.equal(run.first.failure, undefined);
    else if (ends !== undefined) t.equal(run.first.failure, generation.ended);
    else t.ok(run.first.failure instanceof (failure as typeof HttpError), `${run.first.failure}`);
    if (failure === HttpError) t.notOk(run.first.failure instanceof ChunkRefusedError, 'that may be asked for again');
    t.equal(exchange.isAborted, !isTaken, 'nothing more is read of an answer that is of no use');
    exchange.data(bytesOf(1, RANGE.start, RANGE.start + 100));
    t.equal(run.first.body?.received ?? 0, isTaken ? 100 : 0);
  });
}

test('bytes that come before the answer was judged, or after it was refused, are in no chunk', async (t) => {
  const { run } = await started();
  run.onData(Buffer.from('before the head'));
  t.equal(run.first.body, undefined);
  run.onHead({ status: 206, statusText: '', headers: but('ETag', '"v2"'), version: undefined });
  run.onData(Buffer.from('of another version'));
  t.equal(run.first.body, undefined);
});

test('it asks for no chunk that is stored, or on its way by another request', async (t) => {
  const { bench, generation, run, request } = await started();
  const { large } = bench.engine;
  const other = new RangedRun(bench.engine, request(), generation, { start: 0, end: 4 * MIB });
  t.equal(field(bench.upstream.last.request.headers, 'range'), `bytes=0-${MIB - 1}`, 'up to what is on its way');
  for (const feed of [run.feed, other.feed]) feed.fail(new HttpError('origin_timeout'));
  const writer = bench.store.begin(MIB);
  writer?.append(bytesOf(1, MIB, 2 * MIB));
  const body = writer?.commit(0);
  if (body === undefined) throw new Error('no room');
  large.put(generation, 1, body);
  new RangedRun(bench.engine, request(), generation, { start: 0, end: 4 * MIB });
  t.equal(field(bench.upstream.last.request.headers, 'range'), `bytes=0-${MIB - 1}`, 'up to what is stored');
});

test('a body that ends too early fails what is missing, and keeps the chunk that came', async (t) => {
  const { bench, run, exchange, generation } = await started();
  run.feed.enter(t);
  exchange
    .head(206, RIGHT)
    .data(bytesOf(1, MIB, 2 * MIB + 5))
    .end();
  await turn();
  t.ok(bench.engine.large.has(generation, 1));
  t.notOk(bench.engine.large.has(generation, 2));
  t.equal(generation.transfers.size, 0);
});
