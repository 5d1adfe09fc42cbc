import fc from 'fast-check';
import { test } from 'tap';
import { LaggedError, SharedReader } from '../../cache/shared-reader.ts';
import { beginWait, bytesForReader, endWait } from '../../http/body/buffer-pool.ts';

/** Chunks as they come, and what the reader did. */
class Chunks {
  readonly chunks: Buffer[];
  /** Numbers of those that have to be copied. */
  readonly copied = new Set<number>();
  position = 0;
  isEnded = false;
  readonly isWhole = false;
  removed = 0;

  constructor(chunks: readonly string[] = []) {
    this.chunks = chunks.map((text) => Buffer.from(text));
  }

  read(index: number): Buffer | number | 'ended' | 'pending' {
    const chunk = this.chunks[index];
    if (chunk !== undefined && this.copied.has(index)) return chunk.length;
    return chunk ?? (this.isEnded ? 'ended' : 'pending');
  }

  copy(start: number, end: number): Buffer {
    return Buffer.from(Buffer.concat(this.chunks).subarray(start, end));
  }

  advanced({ position }: SharedReader): void {
    this.position = position;
  }

  moved(): void {
    // it holds all chunks
  }

  removeReader(): void {
    this.removed++;
  }
}

function thrownBy(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    return error;
  }
}

async function everything(reader: SharedReader): Promise<string> {
  let text = '';
  for (let piece = await reader.next(); piece !== null; piece = await reader.next()) text += piece.toString();
  return text;
}

test('property: a reader gets the bytes between its ends, however the body is cut', async (t) => {
  const parts = fc.array(fc.string({ minLength: 1, maxLength: 8, unit: fc.constantFrom('a', 'b', 'c') }), {
    maxLength: 8,
  });
  await fc.assert(
    fc.asyncProperty(
      parts,
      fc.nat({ max: 20 }),
      fc.nat({ max: 40 }),
      fc.nat(255),
      async (texts, from, length, held) => {
        const body = new Chunks(texts);
        for (let i = 0; i < texts.length; i++) if ((held & (1 << i)) === 0) body.copied.add(i);
        body.isEnded = true;
        const whole = texts.join('');
        const start = Math.min(from, whole.length);
        const reader = new SharedReader(body, start, start + length, 0, start);
        t.equal(await everything(reader), whole.slice(start, start + length));
        t.equal(body.removed, 1);
      },
    ),
    { numRuns: 100 },
  );
});

test('a reader has as much of a chunk that has to be copied as readers are given at a time', async (t) => {
  const body = new Chunks(['a'.repeat(100_000), 'b'.repeat(10)]);
  body.isEnded = true;
  body.copied.add(0);
  for (let i = 0; i < 1_024; i++) beginWait();
  const least = bytesForReader();
  const reader = new SharedReader(body, 1, Number.POSITIVE_INFINITY, 0, 1);
  const pieces: Buffer[] = [];
  for (let piece = await reader.next(); piece !== null; piece = await reader.next()) {
    pieces.push(piece);
    if (piece.length === least) t.equal(body.position, reader.position, 'the body knows how far it is');
  }
  for (let i = 0; i < 1_024; i++) endWait();
  t.equal(least, 16 * 1024);
  t.strictSame(
    pieces.map(({ length }) => length),
    [least, least, least, least, least, least, 99_999 - 6 * least, 10],
  );
  t.equal(String(Buffer.concat(pieces)), `${'a'.repeat(99_999)}${'b'.repeat(10)}`);
});

test('a reader waits for what has not come, and is woken by it', async (t) => {
  const body = new Chunks(['a']);
  const reader = new SharedReader(body, 0, Number.POSITIVE_INFINITY, 0, 0);
  t.equal(String(reader.next()), 'a');
  const next = reader.next();
  t.ok(next instanceof Promise);
  body.chunks.push(Buffer.from('b'));
  reader.wake();
  t.equal(String(await next), 'b');
});

test('a reader that is cut says where it stopped; one that is closed has come to its end', async (t) => {
  const body = new Chunks(['abc']);
  const cut = new SharedReader(body, 0, Number.POSITIVE_INFINITY, 0, 0);
  t.equal(String(await cut.next()), 'abc');
  const pending = cut.next() as Promise<Buffer | null>;
  cut.cut();
  t.match(await pending.catch((error: unknown) => error), { position: 3 });
  t.ok(thrownBy(() => cut.next()) instanceof LaggedError);
  const closed = new SharedReader(body, 0, Number.POSITIVE_INFINITY, 0, 0);
  closed.close();
  closed.close();
  t.equal(closed.next(), null);
});
