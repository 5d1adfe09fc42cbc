import fc from 'fast-check';
import { type Item, parseDictionary } from 'structured-headers';
import { test } from 'tap';
import { formatTierField, readSecretTierField, readTierField, token } from '../../../http/fields/tier-field.ts';
import { fuzzer, outcome } from '../../support/fuzz.ts';

const fuzz = fuzzer(import.meta.filename);

const NAME = fc.stringMatching(/^[a-z][a-z-]{0,7}$/);
const TEXT = fc.string({ unit: fc.constantFrom(...'aZ09 ",=\\;-/:.()'), maxLength: 20 });
const VALUE = fc.oneof(
  TEXT,
  fc.nat(),
  fc.constant(true as const),
  fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,8}$/).map(token),
);

/** Parses with the library, which is slower and implements all of RFC 9651. */
function byLibrary(line: string): Map<string, unknown> | undefined {
  try {
    return new Map([...parseDictionary(line)].map(([name, member]) => [name, (member as Item)[0]]));
  } catch {
    return undefined;
  }
}

function plain(members: ReadonlyMap<string, unknown> | undefined): unknown {
  return members && [...members].map(([name, value]) => [name, typeof value === 'object' ? String(value) : value]);
}

test('a written field is read back, by any reader of Dictionaries', async (t) => {
  await fuzz(
    'a written field is read back, by any reader of Dictionaries',
    fc.asyncProperty(fc.dictionary(NAME, VALUE, { minKeys: 1, noNullPrototype: true }), async (members) => {
      const line = formatTierField(members);
      const written = Object.entries(members).map(([name, value]) => [
        name,
        typeof value === 'object' ? value.token : value,
      ]);
      t.same(plain(readTierField(['Seawall-Tier', line])), written);
      t.same(plain(byLibrary(line)), written);
    }),
    { numRuns: 300 },
  );
});

test('any input is read as the library reads it', async (t) => {
  const line = fc.oneof(
    fc.string({ unit: fc.constantFrom(...'ab=",; \\1?:@-'), maxLength: 30 }),
    fc
      .dictionary(NAME, VALUE)
      .map(formatTierField)
      .chain((text) =>
        fc
          .tuple(fc.nat({ max: text.length }), fc.constantFrom(...', ="\\;\t1a'))
          .map(([at, char]) => text.slice(0, at) + char + text.slice(at)),
      ),
  );
  await fuzz(
    'any input is read as the library reads it',
    fc.asyncProperty(line, async (text) => {
      const [read, expected] = [readTierField(['seawall-tier', text]), byLibrary(text)];
      outcome(read === undefined ? 'refused' : `${Math.min(read.size, 3)} members`);
      // An empty one has no members; a word may be a Token object to one and text to the other.
      t.same(plain(read) ?? [], plain(expected) ?? [], JSON.stringify(text));
    }),
    { numRuns: 2_000 },
  );
});

test('the secret decides, whatever secret was checked before', async (t) => {
  const headers = ['Seawall-Tier', formatTierField({ secret: 'of one network', from: 'eu-1' })];
  for (const secret of ['of another one', 'of one network', '', 'of one network']) {
    const read = () => readSecretTierField(headers, secret).get('from');
    if (secret === 'of one network') t.equal(read(), 'eu-1');
    else t.throws(read, { code: 'unauthorised_tier' });
  }
  for (const lines of [[], [...headers, ...headers], ['Seawall-Tier', 'secret=1'], ['Seawall-Tier', '']]) {
    t.throws(() => readSecretTierField(lines, 'of one network'), { code: 'unauthorised_tier' });
  }
});

test('a value that no String can hold is not written', async (t) => {
  for (const text of ['é', 'a\r\nb', '\x7f']) t.throws(() => formatTierField({ text }), RangeError);
});

test('all bytes of a secret count, whatever its length', async (t) => {
  const knows = (given: string, secret: string): boolean => {
    try {
      readSecretTierField(['Seawall-Tier', formatTierField({ secret: given })], secret);
      return true;
    } catch {
      return false;
    }
  };
  for (const length of [1, 2, 16, 254, 255, 256, 257, 1_000]) {
    const secret = 'abcdefghij'.repeat(100).slice(0, length);
    t.equal(knows(secret, secret), true, `${length} characters`);
    for (const other of [
      secret.slice(0, -1),
      `${secret}a`,
      `${secret} `,
      `b${secret.slice(1)}`,
      `${secret.slice(0, -1)}~`,
      '',
    ])
      t.equal(knows(other, secret), false, `${length} characters against ${other.length}`);
    t.equal(knows(secret + 'x'.repeat(300), secret), false);
    t.equal(knows('x', secret), false, 'after a longer one');
  }
  t.equal(knows('', 'ä'), false);
  t.equal(knows('d', 'Ť'), false, 'of which a byte is the same');
});
