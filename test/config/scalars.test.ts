/** Scalar types of the config: what each accepts, in time that is linear in its length. */
import fc from 'fast-check';
import { test } from 'tap';
import { address, countryCode, FIELD_NAME, LABEL, nodeName, PORT, SECRET } from '../../config/scalars.ts';

const isPort = (text: string): boolean => new RegExp(`^${PORT}$`).test(text);

test('a port is a number from 0 to 65535 of at most five digits', async (t) => {
  for (let port = 0; port <= 70_000; port += 1) {
    if (isPort(String(port)) !== port <= 65_535) t.fail(String(port));
  }
  for (const text of ['', '-1', '1.0', '1e3', '000001', ' 1', '٣']) t.notOk(isPort(text), text);
});

for (const { type, accepted, refused } of [
  {
    type: address,
    accepted: ['h:1', '[::1]:0', 'A.example:65535'],
    refused: ['h', ':1', '::1:1', '[::1', 'h:65536', 'h:1/'],
  },
  { type: nodeName, accepted: ['a', 'a-1', '1'], refused: ['', '-a', 'a-', 'A', 'a.b', 'a'.repeat(64)] },
  { type: countryCode, accepted: ['DE'], refused: ['de', 'D', 'DEU', 'DE\n'] },
]) {
  test(`${type.meta()?.title}: accepted are ${accepted.join(' ')}`, async (t) => {
    for (const text of accepted) t.ok(type.safeParse(text).success, text);
    for (const text of refused) t.notOk(type.safeParse(text).success, text);
  });
}

test('a label has hyphens inside only', async (t) => {
  const label = new RegExp(`^${LABEL}$`);
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', '0', '-'), maxLength: 8 }), (text) => {
      t.equal(label.test(text), text !== '' && !text.startsWith('-') && !text.endsWith('-'), text);
    }),
  );
});

test('a secret is 16 visible characters or a variable, and nothing in between', async (t) => {
  for (const text of ['x'.repeat(16), 'x'.repeat(256), `\${A}`, `\${_a1}`]) t.ok(SECRET.test(text), text);
  for (const text of ['x'.repeat(15), 'x'.repeat(257), `${'x'.repeat(16)} `, `\${1A}`, `\${}`, '']) {
    t.notOk(SECRET.test(text), text);
  }
});

test('a field name is a token: Node accepts it as the name of a header, and nothing else', async (t) => {
  const accepted = (name: string): boolean => {
    try {
      new Headers([[name, 'x']]);
      return true;
    } catch {
      return false;
    }
  };
  fc.assert(
    fc.property(fc.string({ unit: 'binary-ascii', maxLength: 6 }), (name) => {
      t.equal(FIELD_NAME.test(name), accepted(name), JSON.stringify(name));
    }),
    { numRuns: 2_000 },
  );
});

test('matching takes no longer than in proportion to the length of a value', async (t) => {
  const { user } = process.cpuUsage();
  for (const part of ['a', 'a-', '-', 'a.', '1', ':', '[']) {
    const text = `${part.repeat(200_000)}!`;
    address.safeParse(text);
    nodeName.safeParse(text);
    new RegExp(`^${LABEL}(?:\\.${LABEL})*$`).test(text);
  }
  t.ok(process.cpuUsage().user - user < 2_000_000);
});
