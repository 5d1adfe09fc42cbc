import fc from 'fast-check';
import { test } from 'tap';
import { editDistance, nearest } from '../../config/nearest.ts';

for (const [a, b, distance] of [
  ['', '', 0],
  ['listen', 'listen', 0],
  ['listn', 'listen', 1],
  ['lsiten', 'listen', 1],
  ['lixten', 'listen', 1],
  ['kitten', 'sitting', 3],
  ['', 'abc', 3],
] as const) {
  test(`${a || 'nothing'} is ${distance} from ${b || 'nothing'}`, async (t) => {
    t.equal(editDistance(a, b), distance);
    t.equal(editDistance(b, a), distance);
  });
}

for (const [word, expected] of [
  ['listn', 'listen'],
  ['Listen', 'listen'],
  ['maxObject', 'max_object'],
  ['max-object', 'max_object'],
  ['ttl', 'ttl'],
  ['tlt', 'ttl'],
  ['zebra', undefined],
  ['x', undefined],
  ['a'.repeat(1_000_000), undefined],
] as const) {
  test(`${word.slice(0, 20)} is ${expected ?? 'nothing known'}`, async (t) => {
    t.equal(nearest(word, ['listen', 'max_object', 'max_variants', 'ttl']), expected);
  });
}

test('a distance is at most the length of the longer word', async (t) => {
  fc.assert(fc.property(fc.string(), fc.string(), (a, b) => editDistance(a, b) <= Math.max(a.length, b.length)));
  t.pass('held');
});
