/** Checkpoints of a log as text (c2sp.org/tlog-checkpoint): written and read, and nothing else. */
import fc from 'fast-check';
import { test } from 'tap';
import { checkpointSize, formatCheckpoint, parseCheckpoint } from '../../../journal/audit/checkpoint.ts';

const root = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes));

test('a checkpoint comes back, and with one character changed is another one or none', async (t) => {
  const checkpoint = fc.record({
    origin: fc.stringMatching(/^[\x20-\x7e]{1,20}$/),
    size: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    root,
  });
  fc.assert(
    fc.property(checkpoint, fc.nat(), fc.constantFrom('0', 'A', '=', '\n', ' ', '+'), (original, at, char) => {
      const text = formatCheckpoint(original);
      t.same(parseCheckpoint(text), original);
      const place = at % text.length;
      const changed = text.slice(0, place) + char + text.slice(place + 1);
      if (changed === text) return;
      const read = parseCheckpoint(changed);
      if (read !== undefined) t.notSame(read, original, JSON.stringify(changed));
    }),
    { numRuns: 2_000 },
  );
});

const ROOT = Buffer.alloc(32).toString('base64');

for (const { what, text } of [
  { what: 'no origin', text: `\n1\n${ROOT}\n` },
  { what: 'a size with a zero in front', text: `a\n01\n${ROOT}\n` },
  { what: 'a negative size', text: `a\n-1\n${ROOT}\n` },
  { what: 'a size that is not counted exactly', text: `a\n9007199254740993\n${ROOT}\n` },
  { what: 'a short root', text: `a\n1\n${ROOT.slice(4)}\n` },
  { what: 'a root in another spelling', text: `a\n1\n${ROOT.replace('A=', 'B=')}\n` },
  { what: 'no end', text: `a\n1\n${ROOT}` },
  { what: 'an empty extension', text: `a\n1\n${ROOT}\n\n` },
  { what: 'nothing', text: '' },
]) {
  test(`${what} is no checkpoint`, async (t) => {
    t.equal(parseCheckpoint(text), undefined);
  });
}

test('extension lines are passed over, and a size is read of a note without looking at signatures', async (t) => {
  t.match(parseCheckpoint(`a\n7\n${ROOT}\nmore\nand more\n`), { size: 7 });
  t.equal(checkpointSize(undefined), undefined);
  t.equal(checkpointSize('no note'), undefined);
});
