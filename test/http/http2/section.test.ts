import fc from 'fast-check';
import { test } from 'tap';
import { makeField } from '../../../http/http2/fields.ts';
import { Section } from '../../../http/http2/section.ts';

type Line = readonly [name: string, value: string];

const OF_TARGET = new Set([':method', ':path']);

function sectionOf(lines: readonly Line[]): Section {
  const section = new Section({ max_header: 32 * 1024, max_headers: 200 });
  for (const [name, value] of lines) section.add(makeField(name, value));
  return section;
}

/** Returns the lines that sections have in common which differ in method and path at most. */
function besidesTarget(lines: readonly Line[]): string {
  return JSON.stringify(lines.map(([name, value]) => (OF_TARGET.has(name) ? '' : [name, value])));
}

const head = fc.record({
  method: fc.constantFrom('GET', 'HEAD'),
  path: fc.constantFrom('/', '/a', '/b'),
  authority: fc.constantFrom('a.test', 'b.test'),
  others: fc.array(fc.tuple(fc.constantFrom('a', 'b', 'cookie', 'x'), fc.constantFrom('', '1', '2', '/a')), {
    maxLength: 3,
  }),
  isSwapped: fc.boolean(),
});

const lines = head.map(({ method, path, authority, others, isSwapped }): Line[] => {
  const target: Line[] = [
    [':method', method],
    [':path', path],
  ];
  return [...(isSwapped ? target.toReversed() : target), [':scheme', 'https'], [':authority', authority], ...others];
});

test('two sections are alike if they differ in method and path at most', async (t) => {
  let alike = 0;
  fc.assert(
    fc.property(lines, lines, (one, other) => {
      const isAlike = sectionOf(one).isLike(sectionOf(other));
      const [text, otherText] = [sectionOf(one).textBesidesTarget, sectionOf(other).textBesidesTarget];
      const isSame = besidesTarget(one) === besidesTarget(other);
      const areTargetsSwapped = one[0]?.[0] !== other[0]?.[0];
      if (isAlike) alike++;
      // Swapped, they are alike by their text only: that may be found out again.
      if (sectionOf(one).charsBesidesTarget !== text.length) return false;
      return isAlike === (isSame && !areTargetsSwapped) && (text === otherText) === isSame;
    }),
    { numRuns: 20_000 },
  );
  t.ok(alike > 50, `${alike} were alike`);
});

test('fields of one table are alike as those are that were decoded anew', async (t) => {
  const shared = makeField('a', '1');
  const [one, same, other] = [new Section(LIMITS), new Section(LIMITS), new Section(LIMITS)];
  one.add(shared);
  same.add(shared);
  other.add(makeField('a', '1'));
  t.ok(one.isLike(same));
  t.ok(one.isLike(other));
  t.strictSame(one.raw, ['a', '1']);
});

const LIMITS = { max_header: 1_000, max_headers: 10 };
