import { test } from 'tap';
import { SharedBody } from '../../cache/shared-body.ts';
import { LaggedError } from '../../cache/shared-reader.ts';
import { Windows } from '../../cache/windows.ts';
import { HttpError } from '../../http/errors.ts';

const PIECE_BYTES = 50_000;
const FLOW = { pause: () => undefined, resume: () => undefined, abort: () => undefined };
const NOT_KEPT = {
  writer: undefined,
  maxStoredBytes: 0,
  windowBytes: 2 ** 20,
  flow: FLOW,
  onAbandoned: () => undefined,
};

/** A body with a reader that takes everything and one that takes nothing. */
function uneven(windows: Windows) {
  const body = new SharedBody({ ...NOT_KEPT, windows });
  const fast = body.reader(0, Number.POSITIVE_INFINITY);
  const slow = body.reader(0, Number.POSITIVE_INFINITY);
  const grow = (bytes: number): void => {
    for (let sent = 0; sent < bytes; sent += PIECE_BYTES) {
      body.append(Buffer.alloc(PIECE_BYTES));
      while (fast.next() instanceof Buffer);
    }
  };
  const isCut = (): boolean => {
    try {
      return slow.next() === null;
    } catch (error) {
      return error instanceof LaggedError;
    }
  };
  return { body, fast, slow, grow, isCut };
}

test('all windows together stay within their memory, whatever their order', async (t) => {
  const windows = new Windows(() => 4_000_000);
  const first = uneven(windows);
  first.grow(1_000_000);
  t.equal(windows.share, 4_000_000);
  const others = Array.from({ length: 9 }, () => uneven(windows));
  t.equal(windows.share, 400_000);
  t.ok(first.isCut(), 'one that came before gives its memory up without another byte of its own');
  for (const { grow } of others) grow(400_000);
  t.notOk(
    others.some(({ isCut }) => isCut()),
    'a share is left to each',
  );
});

test('a single body gets the window that the config says, and no more', async (t) => {
  const windows = new Windows(() => 100_000_000);
  const { grow, isCut, body } = uneven(windows);
  grow(1_000_000);
  t.equal(body.readers, 2);
  grow(PIECE_BYTES);
  t.ok(isCut());
});

test('a reader that is alone takes no share', async (t) => {
  const windows = new Windows(() => 1_000_000);
  uneven(windows);
  const alone = new SharedBody({ ...NOT_KEPT, windows });
  alone.reader(0, Number.POSITIVE_INFINITY);
  t.equal(windows.share, 1_000_000);
});

test('a share is never less than readers need to stay together', async (t) => {
  const windows = new Windows(() => 1);
  const bodies = Array.from({ length: 3 }, () => uneven(windows));
  for (const { grow } of bodies) grow(250_000);
  t.notOk(bodies.some(({ isCut }) => isCut()));
});

for (const { how, finish } of [
  { how: 'read to its end', finish: (body: SharedBody) => void body.end([], 0) },
  { how: 'broken off', finish: (body: SharedBody) => body.fail(new HttpError('client_closed')) },
]) {
  test(`a body that was ${how} returns its share after its last reader`, async (t) => {
    const windows = new Windows(() => 1_000_000);
    const { body, fast, slow } = uneven(windows);
    uneven(windows);
    t.equal(windows.share, 500_000);
    finish(body);
    body.settle();
    fast.close();
    t.equal(windows.share, 500_000, 'the slow one still has something to read');
    slow.close();
    t.equal(windows.share, 1_000_000);
  });
}

test('a body that turns out too long to store takes part from then on', async (t) => {
  const windows = new Windows(() => 1_000_000);
  const writer = { append: (chunk: Buffer) => chunk, commit: () => neverCommitted(), abort: () => undefined };
  const body = new SharedBody({ ...NOT_KEPT, writer, maxStoredBytes: PIECE_BYTES, windows });
  body.reader(0, Number.POSITIVE_INFINITY);
  body.reader(0, Number.POSITIVE_INFINITY);
  uneven(windows);
  body.append(Buffer.alloc(PIECE_BYTES));
  t.equal(windows.share, 1_000_000);
  body.append(Buffer.alloc(1));
  t.equal(windows.share, 500_000);
});

function neverCommitted(): never {
  throw new Error('never committed');
}
