/** Numbers of texts that many responses share: one for each, none given twice, and no more than a bound. */
import fc from 'fast-check';
import { test } from 'tap';
import { MAX_EACH, MAX_LENGTH, TextTable } from '../../../cache/store/texts.ts';

test('a text has one number, which no other text has, and comes back by it', async (t) => {
  const name = fc.constantFrom('Content-Type', 'content-type', 'Server', 'ETag', 'X-Own', 'text/html');
  const value = fc.constantFrom(
    'text/html',
    'nginx',
    'Content-Type',
    '',
    'x'.repeat(MAX_LENGTH),
    'x'.repeat(MAX_LENGTH + 1),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value), { maxLength: 30 }), (fields) => {
      const table = new TextTable();
      const texts = new Map<number, string>();
      for (const [field, text] of fields) {
        const number = table.numberOfName(field);
        if (number === undefined) throw new Error('a name has a number');
        t.equal(table.textOf(number), field);
        const own = table.numberOfValue(number, text);
        if (own !== undefined) texts.set(own, text);
        if (own !== undefined) t.notMatch(field, /^(?:etag|x-own)$/i, 'values that hardly two responses share');
        texts.set(number, field);
        for (const [each, known] of texts) t.equal(table.textOf(each), known);
      }
      t.ok(table.size <= texts.size + fields.length);
    }),
    { numRuns: 300 },
  );
});

test('names and values have a bound each, and those that were there keep their numbers', async (t) => {
  const table = new TextTable();
  const server = table.numberOfName('Server') as number;
  t.ok(table.hasCommonValues(server));
  t.notOk(table.hasCommonValues(table.numberOfName('n1') as number));
  t.notOk(table.hasCommonValues(MAX_EACH));
  for (let i = 1; i < MAX_EACH; i += 1) table.numberOfName(`n${i}`);
  t.equal(table.numberOfName('one-too-many'), undefined);
  t.equal(table.numberOfName('Server'), server);
  for (let i = 0; i < MAX_EACH; i += 1) table.numberOfValue(server, `v${i}`);
  t.equal(table.numberOfValue(server, 'one too many'), undefined);
  t.equal(table.textOf(table.numberOfValue(server, 'v0') as number), 'v0');
  t.equal(table.size, 2 * MAX_EACH);
});
