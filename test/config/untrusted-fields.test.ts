/** Names of request fields that applications believe: no spelling of one passes. */
import fc from 'fast-check';
import { test } from 'tap';
import { cgiName, claimOf, hasPlainName, UNTRUSTED_FIELDS } from '../../config/untrusted-fields.ts';

for (const { name, claim } of [
  { name: 'X-Forwarded-For', claim: 'visitor' },
  { name: 'x_forwarded_for', claim: 'visitor' },
  { name: 'X.Forwarded~For', claim: 'visitor' },
  { name: 'X-Forwarded', claim: 'visitor' },
  { name: 'X-Forward', claim: 'visitor' },
  { name: 'Proxy', claim: 'server' },
  { name: 'Proxy-Connection', claim: undefined },
  { name: 'X-HTTP-Method', claim: 'method' },
  { name: 'X-HTTP-Methods', claim: undefined },
  { name: 'Seawall-', claim: 'server' },
  { name: 'Cache-Status', claim: 'cache' },
  { name: 'Cookie', claim: undefined },
  { name: 'Accept', claim: undefined },
  { name: 'Host', claim: undefined },
  { name: 'Range', claim: undefined },
  { name: '', claim: undefined },
]) {
  test(`${name === '' ? 'no name' : name} ${claim === undefined ? 'may be set by a visitor' : `claims something of the kind ${claim}`}`, async (t) => {
    t.equal(claimOf(name), claim);
  });
}

const NAMES = UNTRUSTED_FIELDS.flatMap(([claim, , names]) => names.split(' ').map((name) => ({ name, claim })));

test('no spelling that CGI reads as a listed name passes', async (t) => {
  const marks = fc.array(fc.constantFrom(...'-_.!#$%&*+^`|~'), { minLength: 20, maxLength: 20 });
  fc.assert(
    fc.property(
      fc.constantFrom(...NAMES),
      marks,
      fc.boolean(),
      fc.stringMatching(/^[a-z]{0,5}$/),
      (field, by, up, end) => {
        const whole = field.name.endsWith('*') ? field.name.slice(0, -1) + end : field.name;
        let at = 0;
        const spelled = whole.replaceAll('-', () => by[at++ % by.length] ?? '-');
        const name = up ? spelled.toUpperCase() : spelled;
        t.not(claimOf(name), undefined, name);
        t.equal(cgiName(name), cgiName(whole));
      },
    ),
    { numRuns: 2_000 },
  );
});

test('each listed name is written as CGI knows it, so that it can match', async (t) => {
  for (const { name } of NAMES) t.equal(cgiName(name.replace(/\*$/, '')), name.replace(/\*$/, ''));
});

test('a plain name is one that every server reads alike', async (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 12 }), (name) => {
      if (!hasPlainName(name)) return;
      t.equal(cgiName(name), name.toLowerCase());
    }),
    { numRuns: 5_000 },
  );
  t.ok(hasPlainName('X-Theme-2'));
  for (const name of ['X_Theme', 'Accept.Language', 'X-Thëme', 'X Theme', '', 'X-Theme\n', '\u212aey']) {
    t.notOk(hasPlainName(name), JSON.stringify(name));
  }
});
