import fc from 'fast-check';
import { test } from 'tap';
import { SharedBody } from '../../../cache/shared-body.ts';
import { MemoryStore } from '../../../cache/store/memory-store.ts';
import { BUFFER_BYTES, copyToPool, release, retain } from '../../../http/body/buffer-pool.ts';
import { HttpError } from '../../../http/errors.ts';
import type { BodyReader } from '../../../http/message.ts';

const source = Buffer.alloc(BUFFER_BYTES + 8);

/** Returns whether both share their memory: readers get views. */
function isSame(one: Buffer | undefined, other: Buffer): boolean {
  return one?.buffer === other.buffer;
}

/** A whole piece that says everywhere which one it is. */
function numbered(number: number): Buffer {
  source.fill(number);
  return copyToPool(source, 3, 3 + BUFFER_BYTES);
}

function bodyOf(writer = false, maxStoredBytes = 2 ** 26): SharedBody {
  return new SharedBody({
    writer: writer ? new MemoryStore(2 ** 26).begin(0) : undefined,
    maxStoredBytes,
    windowBytes: 3 * BUFFER_BYTES,
    flow: { pause: () => undefined, resume: () => undefined, abort: () => undefined },
    onAbandoned: () => undefined,
  });
}

/** Takes a piece that has arrived. */
function next(reader: BodyReader): Buffer {
  const piece = reader.next();
  if (!Buffer.isBuffer(piece)) throw new Error('no piece is there');
  return piece;
}

test('a buffer is reused when every reference is released, and no other is', (t) => {
  const piece = numbered(1);
  t.equal(retain(piece), true);
  release(piece);
  const other = numbered(2);
  t.notOk(isSame(other, piece), 'one still holds it');
  release(piece);
  t.ok(isSame(numbered(3), piece));
  release(piece);
  release(piece);
  t.ok(isSame(numbered(4), piece));
  t.notOk(isSame(numbered(5), piece), 'let go twice, it is not given to two');
  t.end();
});

for (const bytes of [BUFFER_BYTES / 4, BUFFER_BYTES / 2 + 1, BUFFER_BYTES - 1]) {
  test(`a part of a read that has ${bytes} bytes is counted, and its memory is used again as a whole buffer`, (t) => {
    const part = copyToPool(source, 3, 3 + bytes);
    t.equal(part.length, bytes);
    t.ok(part.equals(source.subarray(3, 3 + bytes)));
    t.ok(retain(part));
    release(part);
    t.not(numbered(1).buffer, part.buffer, 'another one looks at it');
    release(part);
    const again = numbered(2);
    t.equal(again.buffer, part.buffer);
    t.equal(again.length, BUFFER_BYTES);
    release(part);
    t.not(numbered(3).buffer, part.buffer, 'let go twice, it is not given to two');
    t.end();
  });
}

test('small parts of a read, and foreign buffers, are left to the garbage collector', (t) => {
  const part = copyToPool(source, 0, BUFFER_BYTES / 4 - 1);
  const foreign = Buffer.alloc(BUFFER_BYTES);
  for (const piece of [part, foreign]) {
    t.equal(retain(piece), false);
    release(piece);
    t.notOk(isSame(numbered(1), piece));
  }
  t.same([...copyToPool(Buffer.from('abcdef'), 2, 4)], [...Buffer.from('cd')]);
  t.end();
});

test('a piece that passed through is reused when its reader releases it', (t) => {
  const body = bodyOf();
  const reader = body.reader(0, Number.POSITIVE_INFINITY);
  body.append(numbered(1));
  const first = next(reader);
  t.notOk(isSame(numbered(2), first), 'it may still be on its way');
  reader.release?.();
  t.ok(isSame(numbered(3), first));
  t.end();
});

test('a piece with two readers is reused when both release it', (t) => {
  const body = bodyOf();
  const [one, other] = [body.reader(0, Number.POSITIVE_INFINITY), body.reader(0, Number.POSITIVE_INFINITY)];
  body.append(numbered(1));
  const piece = next(one);
  one.release?.();
  t.notOk(isSame(numbered(2), piece), 'the other one has not read it');
  t.ok(isSame(next(other), piece));
  t.notOk(isSame(numbered(3), piece), 'the other one is not done with it');
  other.release?.();
  t.ok(isSame(numbered(4), piece));
  t.end();
});

test('a stored piece is not reused', (t) => {
  const body = bodyOf(true);
  const reader = body.reader(0, Number.POSITIVE_INFINITY);
  body.append(numbered(1));
  const piece = next(reader);
  reader.release?.();
  t.notOk(isSame(numbered(2), piece));
  const stored = body.end([], 0);
  const again = stored?.open({ start: 0, end: BUFFER_BYTES });
  const read = again && next(again);
  again?.release?.();
  t.ok(isSame(read, piece));
  t.notOk(isSame(numbered(3), piece));
  t.end();
});

test('unread pieces of a body that broke off are reused', (t) => {
  const body = bodyOf();
  const reader = body.reader(0, Number.POSITIVE_INFINITY);
  const piece = numbered(1);
  body.append(piece);
  reader.close();
  body.fail(new HttpError('client_closed'));
  t.ok(isSame(numbered(2), piece));
  t.end();
});

test('under any history no reader sees a piece change before it releases it', (t) => {
  const step = fc.record({
    what: fc.constantFrom('append', 'append', 'read', 'read', 'read', 'release', 'join', 'close', 'fail', 'end'),
    body: fc.nat({ max: 2 }),
    reader: fc.nat({ max: 3 }),
  });
  let reused = 0;
  const seen = new Set<ArrayBufferLike>();
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 120 }), fc.boolean(), (steps, kept) => {
      let number = 0;
      const bodies = [bodyOf(), bodyOf(kept, 5 * BUFFER_BYTES), bodyOf(kept)];
      const stored: { piece: Buffer; says: number }[] = [];
      const readers: { reader: BodyReader; has: { piece: Buffer; says: number }[] }[] = [];
      for (const { what, body: which, reader: place } of steps) {
        const body = bodies[which] as SharedBody;
        const one = readers[place];
        if (what === 'append') {
          const piece = numbered(number++ & 0xff);
          if (seen.has(piece.buffer)) reused++;
          seen.add(piece.buffer);
          body.append(piece);
        } else if (what === 'join' && readers.length < 4 && body.canReadFrom(body.received)) {
          const reader = body.reader(body.received, Number.POSITIVE_INFINITY);
          readers.push({ reader, has: [] });
        } else if (what === 'fail') body.fail(new HttpError('client_closed'));
        else if (what === 'end' && steps.length % 3 === 0) {
          const whole = body.end([], 0);
          const reader = whole?.open({ start: 0, end: body.received });
          for (let piece = reader?.next(); Buffer.isBuffer(piece); piece = reader?.next()) {
            stored.push({ piece, says: piece[0] as number });
          }
          reader?.close();
        } else if (one !== undefined && what === 'read') {
          try {
            const piece = one.reader.next();
            if (Buffer.isBuffer(piece)) one.has.push({ piece, says: piece[0] as number });
            else if (piece !== null) piece.catch(() => undefined);
          } catch {
            // it broke off, or the reader fell behind
          }
        } else if (one !== undefined && what === 'release') {
          one.has = [];
          one.reader.release?.();
        } else if (one !== undefined && what === 'close') one.reader.close();
        for (const { piece, says } of [...stored, ...readers.flatMap(({ has }) => has)]) {
          if (piece[0] !== says || piece[BUFFER_BYTES - 1] !== says) throw new Error('a piece was used again');
        }
      }
    }),
    { numRuns: 2_000 },
  );
  t.ok(reused > 1_000, `${reused} pieces were used again`);
  t.end();
});
