import fc from 'fast-check';
import { test } from 'tap';
import { LaggedError, SharedReader } from '../../cache/shared-reader.ts';

/** Chunks as they come, and what the reader did. */
class Chunks {
  readonly chunks: Buffer[];
  isEnded = false;
  readonly isWhole = false;
  removed = 0;

  constructor(chunks: readonly string[] = []) {
    this.chunks = chunks.map((text) => Buffer.from(text));
  }

  read(index: number): Buffer | 'ended' | 'pending' {
    return this.chunks[index] ?? (this.isEnded ? 'ended' : 'pending');
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
    fc.asyncProperty(parts, fc.nat({ max: 20 }), fc.nat({ max: 40 }), async (texts, from, length) => {
      const body = new Chunks(texts);
      body.isEnded = true;
      const whole = texts.join('');
      const start = Math.min(from, whole.length);
      const reader = new SharedReader(body, start, start + length, 0, start);
      t.equal(await everything(reader), whole.slice(start, start + length));
      t.equal(body.removed, 1);
    }),
    { numRuns: 100 },
  );
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
