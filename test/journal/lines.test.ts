import fc from 'fast-check';
import { test } from 'tap';
import { jsonLines } from '../../journal/lines.ts';
import { fuzzer } from '../support/fuzz.ts';

const fuzz = fuzzer(import.meta.filename);

async function* inPieces(bytes: Buffer, cuts: readonly number[]): AsyncGenerator<Buffer> {
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  let start = 0;
  for (const end of [...ends, bytes.length]) {
    yield bytes.subarray(start, end);
    start = end;
  }
}

async function read(bytes: Buffer, maxLineBytes: number, cuts: readonly number[] = []): Promise<unknown[]> {
  return await Array.fromAsync(jsonLines(inPieces(bytes, cuts), maxLineBytes));
}

test('lines are the same wherever the network cuts them', async (t) => {
  await fuzz(
    'lines are the same wherever the network cuts them',
    fc.asyncProperty(fc.array(fc.jsonValue()), fc.array(fc.nat()), async (values, cuts) => {
      const lines = values.map((value) => `${JSON.stringify(value)}\n`).join('');
      t.same(await read(Buffer.from(lines), 1_000_000, cuts), JSON.parse(JSON.stringify(values)));
    }),
  );
});

test('bytes after the last newline are reported as cut off', async (t) => {
  t.same(await read(Buffer.from('1\n2\n{"thr'), 100), [1, 2]);
});

test('the length of a line is bounded, whether it ends or not', async (t) => {
  const longest = `"${'x'.repeat(8)}"`;
  t.same(await read(Buffer.from(`${longest}\n`), 10), ['xxxxxxxx']);
  for (const cuts of [[], [1, 5, 9], [10], [11]]) {
    await t.rejects(read(Buffer.from(`${longest} \n`), 10, cuts), { code: 'journal_bad_message' });
    await t.rejects(read(Buffer.from(`${longest} `), 10, cuts), { code: 'journal_bad_message' });
  }
});

for (const [what, bytes] of Object.entries({
  'an empty line': Buffer.from('\n'),
  'half an object': Buffer.from('{"a":\n'),
  'bytes that are not UTF-8': Buffer.from([0x22, 0xff, 0x22, 0x0a]),
  'two values': Buffer.from('1 2\n'),
})) {
  test(`refused: ${what}`, async (t) => {
    await t.rejects(read(bytes, 100), { code: 'journal_bad_message' });
  });
}
