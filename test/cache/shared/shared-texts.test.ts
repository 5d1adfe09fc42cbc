/** Numbers of texts, the same in all threads. */
import fc from 'fast-check';
import { test } from 'tap';
import { makeSharedMemory, partsOf } from '../../../cache/shared/layout.ts';
import { SharedTexts } from '../../../cache/shared/shared-texts.ts';
import { Threads } from '../../../cache/shared/threads.ts';
import { MAX_EACH, MAX_LENGTH } from '../../../cache/store/texts.ts';

function twoThreads() {
  const memory = makeSharedMemory({ maxBytes: 64 * 1024, threads: 2 });
  const threads = new Threads(memory);
  const { texts } = partsOf(memory.shape);
  const open = () => new SharedTexts(memory, texts, threads, threads.add());
  return { a: open(), b: open() };
}

test('a text has one number, whichever thread is the first to say it, and the other reads it', async (t) => {
  const { a, b } = twoThreads();
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.string({ maxLength: 20, unit: 'binary-ascii' }))), (said) => {
      for (const [isFirst, name] of said) {
        const [speaker, reader] = isFirst ? [a, b] : [b, a];
        const number = speaker.numberOfName(name);
        if (number === undefined) throw new Error('it has no number');
        if (reader.textOf(number) !== name) throw new Error('another text');
        if (reader.numberOfName(name) !== number) throw new Error('another number');
      }
    }),
    { numRuns: 50 },
  );
  t.pass();
});

test('values have numbers only of fields whose values are common, whatever the field’s letters are', async (t) => {
  const { a, b } = twoThreads();
  const [vary, cookie] = [a.numberOfName('VARY'), a.numberOfName('Set-Cookie')] as [number, number];
  const number = b.numberOfValue(vary, 'Accept-Encoding');
  t.equal(a.numberOfValue(vary, 'Accept-Encoding'), number);
  t.equal(a.textOf(number as number), 'Accept-Encoding');
  t.equal(b.numberOfValue(cookie, 'id=secret'), undefined);
  t.equal(b.numberOfValue(12_345, 'x'), undefined, 'no such name');
});

test('what is long, or has characters of more than 8 bits, has no number', async (t) => {
  const { a } = twoThreads();
  const type = a.numberOfName('content-type') as number;
  t.equal(a.numberOfName('x'.repeat(MAX_LENGTH + 1)), undefined);
  t.equal(a.numberOfValue(type, 'x'.repeat(MAX_LENGTH + 1)), undefined);
  t.equal(a.numberOfValue(type, '\u0101'), undefined);
  t.equal(a.textOf(a.numberOfValue(type, '\u00ff'.repeat(MAX_LENGTH)) as number), '\u00ff'.repeat(MAX_LENGTH));
});

test('names of visitors’ making fill their own half; those that have numbers keep them, and values get theirs', async (t) => {
  const { a, b } = twoThreads();
  const vary = a.numberOfName('vary') as number;
  for (let i = 1; i < MAX_EACH; i++) a.numberOfName(`x-${i}`);
  t.equal(a.numberOfName('one-more'), undefined);
  t.equal(b.numberOfName('one-more'), undefined);
  t.equal(b.numberOfName('vary'), vary);
  const value = b.numberOfValue(vary, 'Accept');
  t.ok(value !== undefined && a.textOf(value) === 'Accept');
});
