import fc from 'fast-check';
import { test } from 'tap';
import { SharedBody } from '../../cache/shared-body.ts';
import { LaggedError } from '../../cache/shared-reader.ts';
import { MemoryStore } from '../../cache/store/memory-store.ts';
import type { Store } from '../../cache/store/store.ts';
import { bufferFor } from '../../http/body/buffer-pool.ts';
import { HttpError } from '../../http/errors.ts';
import type { BodyReader } from '../../http/message.ts';
import { openStore } from './shared/open-store.ts';

const HIGH_WATER_BYTES = 64 * 1024;

/** In memory as it comes, copied into memory that threads share, or not at all. */
type Kept = boolean | 'shared';

interface Stand {
  readonly body: SharedBody;
  readonly store: Store;
  readonly flow: { paused: boolean; aborted: number; resumes: number };
  readonly abandoned: () => number;
}

function stand({
  kept = false as Kept,
  maxBytes = 2 ** 24,
  maxKeptBytes: maxStoredBytes = 2 ** 24,
  windowBytes = 2 ** 20,
} = {}): Stand {
  const store = kept === 'shared' ? openStore(maxBytes).store : new MemoryStore(maxBytes);
  const flow = { paused: false, aborted: 0, resumes: 0 };
  let abandoned = 0;
  const body = new SharedBody({
    writer: kept === false ? undefined : store.begin(0),
    maxStoredBytes,
    windowBytes,
    flow: {
      pause: () => {
        flow.paused = true;
      },
      resume: () => {
        flow.paused = false;
        flow.resumes++;
      },
      abort: () => void flow.aborted++,
    },
    onAbandoned: () => void abandoned++,
  });
  return { body, store, flow, abandoned: () => abandoned };
}

function bytes(start: number, end: number): Buffer {
  const buffer = Buffer.allocUnsafeSlow(end - start);
  for (let i = start; i < end; i++) buffer[i - start] = (i * 37 + (i >> 7)) & 0xff;
  return buffer;
}

/** Takes what has arrived. @returns The bytes, and whether the end has come. */
function take(reader: BodyReader, atMost = Number.POSITIVE_INFINITY): { got: Buffer; ended: boolean } {
  const pieces: Buffer[] = [];
  for (let pieceCount = 0; pieceCount < atMost; pieceCount++) {
    const piece = reader.next();
    if (piece === null) return { got: Buffer.concat(pieces), ended: true };
    if (piece instanceof Promise) {
      piece.catch(() => undefined);
      break;
    }
    pieces.push(piece);
  }
  const got = Buffer.concat(pieces);
  reader.release?.();
  return { got, ended: false };
}

const broken = new HttpError('origin_bad_response');

for (const [name, kept] of [
  ['kept', true],
  ['kept by threads', 'shared'],
  ['in a window', false],
] as const) {
  test(`${name}: a reader waits for bytes and gets them`, async (t) => {
    const { body } = stand({ kept });
    const reader = body.reader(0, Number.POSITIVE_INFINITY);
    const first = reader.next();
    body.append(Buffer.from('one'));
    t.equal((await first)?.toString(), 'one');
    const second = reader.next();
    body.append(Buffer.alloc(0));
    body.end(['X-Trailer', '1'], 0);
    t.equal(await second, null);
    t.same(body.trailers, ['X-Trailer', '1']);
    t.equal(reader.next(), null);
  });

  test(`${name}: every reader gets a failure after the bytes before it`, async (t) => {
    const { body, store } = stand({ kept });
    const readers = [body.reader(0, 100), body.reader(0, 100), body.reader(2, 100)];
    body.append(Buffer.from('some'));
    const waiting = body.reader(0, 100);
    t.equal((waiting.next() as Buffer).toString(), 'some');
    const next = waiting.next();
    body.fail(broken);
    body.append(Buffer.from('late'));
    body.fail(new HttpError('internal'));
    t.equal(body.end([], 0), undefined);
    t.same(
      readers.map((reader) => (reader.next() as Buffer).toString()),
      ['some', 'some', 'me'],
    );
    for (const reader of readers) {
      t.throws(() => reader.next(), broken);
      t.throws(() => reader.next(), broken, 'and again');
    }
    await t.rejects(async () => next, broken);
    t.equal(body.state, 'failed');
    t.notOk(body.canReadFrom(0));
    t.equal(store.bytesInUse, 0);
  });

  test(`${name}: the last reader that closes abandons the body, once`, async (t) => {
    const { body, abandoned } = stand({ kept });
    const [a, b] = [body.reader(0, 10), body.reader(0, 10)];
    body.append(Buffer.from('0123'));
    a.close();
    a.close();
    t.equal(abandoned(), 0);
    t.equal(body.readers, 1);
    b.close();
    b.close();
    t.equal(abandoned(), 1);
    t.equal(body.readers, 0);
    t.equal(a.next(), null);
  });

  test(`${name}: a body that has ended is not abandoned`, async (t) => {
    const { body, abandoned } = stand({ kept });
    const reader = body.reader(0, 10);
    body.append(Buffer.from('0123'));
    body.end([], 0);
    reader.close();
    t.equal(abandoned(), 0);
  });

  test(`${name}: a reader that has its whole range is removed`, async (t) => {
    const { body, abandoned } = stand({ kept });
    const reader = body.reader(2, 5);
    body.append(Buffer.from('0123456789'));
    t.same(take(reader), { got: Buffer.from('234'), ended: true });
    t.equal(abandoned(), 1);
  });

  test(`${name}: a reader may start beyond the received bytes`, async (t) => {
    const { body } = stand({ kept });
    const reader = body.reader(5, 8);
    body.append(Buffer.from('012'));
    const next = reader.next();
    body.append(Buffer.from('34'));
    body.append(Buffer.from('56'));
    t.equal((await next)?.toString(), '56');
    body.append(Buffer.from('789'));
    t.equal((reader.next() as Buffer).toString(), '7');
    t.equal(reader.next(), null);
  });

  test(`${name}: a reader that starts beyond the end gets nothing`, async (t) => {
    const { body } = stand({ kept });
    const reader = body.reader(50, 80);
    const next = reader.next();
    body.append(Buffer.from('012'));
    body.end([], 0);
    t.equal(await next, null);
  });

  test(`${name}: a reader that is closed while it waits is released`, async (t) => {
    const { body } = stand({ kept });
    const reader = body.reader(0, 10);
    const next = reader.next();
    reader.close();
    t.equal(await next, null);
  });
}

test('stored: a late reader reads from the beginning', async (t) => {
  const { body, store } = stand({ kept: true });
  const early = body.reader(0, Number.POSITIVE_INFINITY);
  body.append(bytes(0, 200_000));
  body.append(bytes(200_000, 300_000));
  take(early);
  t.ok(body.canReadFrom(0));
  const late = body.reader(0, Number.POSITIVE_INFINITY);
  const stored = body.end([], 0);
  t.ok(take(late).got.equals(bytes(0, 300_000)));
  t.equal(stored?.ranges[0]?.end, 300_000);
  t.ok(store.bytesInUse >= 300_000, 'there is one who has not come to its end');
  take(early);
  t.ok(store.bytesInUse >= 300_000, 'another reader may come until it is settled');
  body.settle();
  t.notOk(body.canReadFrom(0));
  t.equal(store.bytesInUse, 0, 'what is committed counts with the entry that it is put into');
});

test('stored: a reader never holds upstream back', async (t) => {
  const { body, flow } = stand({ kept: true });
  body.reader(0, 10);
  for (let i = 0; i < 20; i++) body.append(bytes(i * 65_536, (i + 1) * 65_536));
  t.notOk(flow.paused);
});

test('not to be stored: the memory is released when the last reader has closed', async (t) => {
  for (const finish of [(body: SharedBody) => void body.end([], 0), (body: SharedBody) => body.fail(broken)]) {
    const { body, store } = stand({ kept: true });
    body.shouldStore = false;
    const readers = [body.reader(0, 10), body.reader(0, 10)];
    body.append(bytes(0, 100_000));
    t.ok(store.bytesInUse >= 100_000);
    finish(body);
    body.settle();
    readers[0]?.close();
    readers[1]?.close();
    t.equal(store.bytesInUse, 0);
  }
});

test('not to be stored and without readers at the end: the memory is released at once', async (t) => {
  const { body, store } = stand({ kept: true });
  body.shouldStore = false;
  body.append(bytes(0, 100_000));
  t.equal(body.end([], 0), undefined);
  body.settle();
  t.equal(store.bytesInUse, 0);
});

for (const { what, options } of [
  { what: 'longer than what is kept', options: { maxKeptBytes: 100_000 } },
  { what: 'more than the store has room for', options: { maxBytes: 100_000 } },
]) {
  test(`${what}: the body continues in a window, nothing is stored, no reader loses a byte`, async (t) => {
    const { body, store, flow } = stand({ kept: true, ...options });
    const reader = body.reader(0, Number.POSITIVE_INFINITY);
    body.append(bytes(0, 90_000));
    t.ok(body.isStoring);
    body.append(bytes(90_000, 190_000));
    t.notOk(body.isStoring);
    t.equal(store.bytesInUse, 0);
    t.ok(flow.paused);
    t.ok(take(reader).got.equals(bytes(0, 190_000)));
    t.notOk(flow.paused);
    t.notOk(body.canReadFrom(0));
    body.append(bytes(190_000, 200_000));
    t.equal(body.end([], 0), undefined);
    t.ok(take(reader).got.equals(bytes(190_000, 200_000)));
  });

  test(`${what}, and without readers: the body is abandoned`, async (t) => {
    const { body, store, flow, abandoned } = stand({ kept: true, ...options });
    body.append(bytes(0, 90_000));
    body.append(bytes(90_000, 190_000));
    t.equal(abandoned(), 1);
    t.equal(store.bytesInUse, 0);
    t.notOk(flow.aborted);
  });
}

test('window: upstream is held back while the fastest reader is behind, and resumed when it has caught up', async (t) => {
  const { body, flow } = stand();
  const reader = body.reader(0, Number.POSITIVE_INFINITY);
  body.append(bytes(0, HIGH_WATER_BYTES - 1));
  t.notOk(flow.paused);
  body.append(bytes(HIGH_WATER_BYTES - 1, HIGH_WATER_BYTES + 1));
  t.ok(flow.paused);
  take(reader, 1);
  t.notOk(flow.paused);
});

test('window: a reader far beyond the received bytes does not wait for ever', async (t) => {
  const { body, flow } = stand();
  const slow = body.reader(0, Number.POSITIVE_INFINITY);
  body.append(bytes(0, 200_000));
  t.ok(flow.paused);
  const ahead = body.reader(500_000, 500_010);
  t.notOk(flow.paused, 'it is the fastest now');
  const next = ahead.next();
  for (let at = 200_000; at < 600_000; at += 50_000) body.append(bytes(at, at + 50_000));
  t.ok((await next)?.equals(bytes(500_000, 500_010)));
  t.ok(take(slow).got.equals(bytes(0, 600_000)));
});

test('window: skipping releases the skipped bytes', async (t) => {
  const { body } = stand();
  const ahead = body.reader(500_000, 500_010);
  const next = ahead.next();
  for (let at = 0; at < 400_000; at += 50_000) {
    body.append(bytes(at, at + 50_000));
    await Promise.resolve();
    await Promise.resolve();
  }
  t.notOk(body.canReadFrom(200_000));
  ahead.close();
  await next;
});

test('window: a slow reader is cut off with its position, a fast one is not', async (t) => {
  const windowBytes = 300_000;
  const { body, abandoned } = stand({ windowBytes });
  const fast = body.reader(0, Number.POSITIVE_INFINITY);
  const slow = body.reader(0, Number.POSITIVE_INFINITY);
  const partly = body.reader(10, Number.POSITIVE_INFINITY);
  body.append(bytes(0, 50_000));
  take(partly, 1);
  let at = 50_000;
  for (; at < 600_000; at += 50_000) {
    body.append(bytes(at, at + 50_000));
    take(fast);
  }
  for (const { reader, position } of [
    { reader: slow, position: 0 },
    { reader: partly, position: 50_000 },
  ]) {
    try {
      reader.next();
      t.fail('must be cut');
    } catch (error) {
      t.ok(error instanceof LaggedError);
      t.equal((error as LaggedError).position, position);
    }
  }
  t.equal(body.readers, 1);
  slow.close();
  partly.close();
  t.equal(abandoned(), 0);
  fast.close();
  t.equal(abandoned(), 1);
});

test('window: readers that are all slow hold upstream back, and are not cut off', async (t) => {
  const { body, flow } = stand({ windowBytes: 10 });
  const readers = [body.reader(0, 1_000_000), body.reader(0, 1_000_000)];
  body.append(bytes(0, 500_000));
  t.ok(flow.paused);
  for (const reader of readers) t.ok(take(reader).got.equals(bytes(0, 500_000)));
});

test('window: when the fast reader closes, the others continue', async (t) => {
  const { body, flow } = stand({ windowBytes: 2 ** 20 });
  const fast = body.reader(0, Number.POSITIVE_INFINITY);
  const slow = body.reader(0, Number.POSITIVE_INFINITY);
  body.append(bytes(0, 400_000));
  take(fast);
  body.append(bytes(400_000, 410_000));
  t.notOk(flow.paused);
  fast.close();
  body.append(bytes(410_000, 420_000));
  t.ok(flow.paused, 'now the slow one is the fastest');
  t.ok(take(slow).got.equals(bytes(0, 420_000)));
  t.notOk(flow.paused);
});

for (const { when, shouldStore, finish } of [
  { when: 'while it comes', shouldStore: true, finish: () => undefined },
  { when: 'when it is whole', shouldStore: true, finish: (body: SharedBody) => void body.end([], 0) },
  {
    when: 'when it is whole and not to be stored',
    shouldStore: false,
    finish: (body: SharedBody) => void body.end([], 0),
  },
  { when: 'when it has broken off', shouldStore: true, finish: (body: SharedBody) => body.fail(broken) },
]) {
  test(`a body that is copied into the store is not in memory twice, and is read whole: ${when}`, async (t) => {
    const { body, store } = stand({ kept: 'shared' });
    body.shouldStore = shouldStore;
    const [fast, slow, stopped] = [body.reader(0, 1e9), body.reader(0, 1e9), body.reader(0, 1e9)];
    const held = new Set<ArrayBufferLike>();
    const got: Buffer[] = [];
    const length = 50_000;
    for (let i = 0; i < 60; i++) {
      const chunk = bufferFor(length);
      bytes(i * length, (i + 1) * length).copy(chunk);
      held.add(chunk.buffer);
      body.append(chunk);
      // The first half nobody reads at once.
      if (i < 30) continue;
      got.push(take(fast, 2).got);
      while (got.at(-1)?.length !== 0) got.push(take(fast, 2).got);
    }
    t.ok(held.size < 10, `${held.size} buffers`);
    finish(body);
    const all = bytes(0, 60 * length);
    t.ok(Buffer.concat(got).equals(all), 'the fast reader');
    const rest: Buffer[] = [];
    for (let i = 0; i < 60; i++) rest.push(Buffer.from((await slow.next()) as Buffer));
    t.ok(Buffer.concat(rest).equals(all), 'the slow one');
    if (body.canReadFrom(0)) t.ok(take(body.reader(0, 1e9)).got.equals(all), 'one that comes late');
    body.settle();
    for (const reader of [fast, slow, stopped]) reader.close();
    if (body.state !== 'open') t.equal(store.bytesInUse, 0);
  });
}

test('the copy stays until all readers are past it when the body continues in a window', async (t) => {
  const { body, store } = stand({ kept: 'shared', maxKeptBytes: 300_000 });
  const [one, other] = [body.reader(0, 1e9), body.reader(0, 1e9)];
  body.append(bytes(0, 50_000));
  t.equal(take(one, 1).got.length, 50_000);
  for (let at = 50_000; at < 350_000; at += 50_000) body.append(bytes(at, at + 50_000)); // the last one is too much
  t.notOk(body.isStoring);
  t.ok(take(one).got.equals(bytes(50_000, 350_000)));
  t.ok(take(other).got.equals(bytes(0, 350_000)));
  t.equal(store.bytesInUse, 0);
});

for (const [what, options] of [
  ['larger than may be stored', { maxKeptBytes: 300_000 }],
  ['more than the store has room for', { maxBytes: 400_000 }],
] as const) {
  test(`${what}: one that comes before the first reader gets it whole all the same`, async (t) => {
    const { body, store, flow } = stand({ kept: 'shared', ...options });
    while (body.isStoring) body.append(bytes(body.received, body.received + 50_000));
    const end = body.received;
    t.ok(flow.paused);
    t.ok(body.canReadFrom(0));
    const reader = body.reader(0, Number.POSITIVE_INFINITY);
    t.ok(take(reader).got.equals(bytes(0, end)));
    t.notOk(flow.paused);
    t.equal(store.bytesInUse, 0);
    body.fail(broken);
    reader.close();
    t.equal(store.bytesInUse, 0);
  });

  test(`${what}, and no reader comes: its memory is released when it breaks off`, async (t) => {
    const { body, store } = stand({ kept: 'shared', ...options });
    while (body.isStoring) body.append(bytes(body.received, body.received + 50_000));
    body.fail(broken);
    t.equal(store.bytesInUse, 0);
  });
}

test('the cost of many readers of one body is linear in their number', async (t) => {
  const { body } = stand();
  const readers = Array.from({ length: 20_000 }, () => body.reader(0, Number.POSITIVE_INFINITY));
  const began = process.cpuUsage();
  for (let at = 0; at < 10; at++) {
    body.append(bytes(at * 1_000, (at + 1) * 1_000));
    for (const reader of readers) reader.next();
  }
  for (const reader of readers) reader.close();
  const { user } = process.cpuUsage(began);
  t.ok(user < 5_000_000, `${user / 1_000} ms`);
});

/** One step of a random history. */
type Step =
  | { readonly do: 'append'; readonly size: number }
  | { readonly do: 'open'; readonly ahead: number; readonly length: number }
  | { readonly do: 'read'; readonly who: number; readonly pieces: number }
  | { readonly do: 'close'; readonly who: number };

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('append' as const), size: fc.integer({ min: 0, max: 70_000 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('open' as const),
      ahead: fc.constantFrom(0, 0, 0, 1, 5_000, 300_000),
      length: fc.constantFrom(Number.POSITIVE_INFINITY, 10, 100_000),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('read' as const), who: fc.nat(20), pieces: fc.integer({ min: 1, max: 5 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('close' as const), who: fc.nat(20) }) },
);

test('under any history every reader gets exactly its bytes, in order, until it is cut off or the body breaks', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyStep, { maxLength: 60 }),
      fc.constantFrom<{ kept: Kept; maxStoredBytes?: number; maxBytes?: number; windowBytes: number }>(
        { kept: true, windowBytes: 200_000 },
        { kept: true, maxStoredBytes: 150_000, windowBytes: 200_000 },
        { kept: true, maxBytes: 150_000, windowBytes: 200_000 },
        { kept: 'shared', windowBytes: 200_000 },
        { kept: 'shared', maxStoredBytes: 150_000, windowBytes: 200_000 },
        { kept: 'shared', maxBytes: 150_000, windowBytes: 200_000 },
        { kept: false, windowBytes: 200_000 },
        { kept: false, windowBytes: 1 },
      ),
      fc.constantFrom('end', 'fail'),
      async (steps, options, finish) => {
        const { body, store, flow } = stand(options);
        const readers: {
          reader: BodyReader;
          start: number;
          end: number;
          got: Buffer[];
          over: string;
          pending: boolean;
        }[] = [];
        const collect = (one: (typeof readers)[number], pieces: number): void => {
          for (let i = 0; i < pieces && !one.pending && one.over === ''; i++) {
            const settle = (piece: Buffer | null): void => {
              if (one.over === 'closed') return;
              if (piece === null) one.over = 'ended';
              else one.got.push(piece);
            };
            const refuse = (error: unknown): void => {
              if (error instanceof LaggedError) one.over = `cut at ${error.position}`;
              else one.over = error === broken ? 'broken' : `wrong: ${error}`;
            };
            try {
              const next = one.reader.next();
              if (next instanceof Promise) {
                one.pending = true;
                next.then(settle, refuse).finally(() => {
                  one.pending = false;
                });
              } else settle(next);
            } catch (error) {
              refuse(error);
            }
          }
        };
        for (const step of steps) {
          const one = 'who' in step ? readers[step.who % Math.max(1, readers.length)] : undefined;
          if (step.do === 'append') {
            if (!flow.paused) body.append(bytes(body.received, body.received + step.size));
          } else if (step.do === 'open') {
            const start = (body.canReadFrom(0) ? 0 : body.received) + step.ahead;
            if (body.canReadFrom(start)) {
              const end = start + step.length;
              readers.push({ reader: body.reader(start, end), start, end, got: [], over: '', pending: false });
            }
          } else if (step.do === 'read' && one) collect(one, step.pieces);
          else if (step.do === 'close' && one && one.over === '') {
            one.reader.close();
            one.over = 'closed';
          }
          await Promise.resolve();
        }
        const total = body.received;
        if (finish === 'end') body.end([], 0);
        else body.fail(broken);
        body.settle();
        for (let round = 0; round < 3; round++) {
          await new Promise((resolve) => setImmediate(resolve));
          for (const one of readers) if (one.over === '') collect(one, Number.POSITIVE_INFINITY);
        }
        for (const { start, end, got, over } of readers) {
          const bytesGot = Buffer.concat(got);
          const expected = bytes(Math.min(start, total), Math.min(end, total));
          const whole = bytesGot.equals(expected);
          const beginning = bytesGot.equals(expected.subarray(0, bytesGot.length));
          if (!beginning) throw new Error(`wrong bytes for a reader of ${start} to ${end}`);
          if (over === 'ended' && !whole) throw new Error(`clean end after ${bytesGot.length} of ${expected.length}`);
          if (over.startsWith('cut') && over !== `cut at ${start + bytesGot.length}`) throw new Error(over);
          if (over === '' || over.startsWith('wrong')) throw new Error(over || 'a reader is left waiting');
          if (over === 'broken' && finish === 'end') throw new Error('broken without a failure');
        }
        if (body.readers !== 0 && finish === 'end') throw new Error(`${body.readers} readers left`);
        for (const { reader } of readers) reader.close();
        if (body.readers !== 0) throw new Error(`${body.readers} readers left after close`);
        if (store.bytesInUse !== 0) throw new Error(`${store.bytesInUse} bytes left`);
      },
    ),
    { numRuns: 2000 },
  );
  t.pass();
});
