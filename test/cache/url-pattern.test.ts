/** Patterns of URLs, beside the regular expression that says the same. */
import fc from 'fast-check';
import { test } from 'tap';
import { isMatch } from '../../cache/url-pattern.ts';

for (const { pattern, url, fits } of [
  { pattern: '//a/*', url: '//a/', fits: true },
  { pattern: '//a/*', url: '//a/b/c?d', fits: true },
  { pattern: '//a/*.css', url: '//a/x/y.css', fits: true },
  { pattern: '//a/*.css', url: '//a/y.css?v=1', fits: false },
  { pattern: '//a/*/print', url: '//a/b/c/print', fits: true },
  { pattern: '//a/*/print', url: '//a/print', fits: false },
  { pattern: '//a/ab*ba', url: '//a/aba', fits: false },
  { pattern: '//a/*?page=*', url: '//a/list?page=2', fits: true },
  { pattern: '//a/*?page=*', url: '//a/listpage=2', fits: false },
  { pattern: '//a/**', url: '//a/', fits: true },
  { pattern: '//a/.', url: '//a/b', fits: false },
]) {
  test(`${pattern} ${fits ? 'takes' : 'does not take'} ${url}`, async (t) => {
    t.equal(isMatch(pattern, url), fits);
  });
}

test('a pattern takes what the regular expression with .* for each star takes', async (t) => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '/', '*', '.'), maxLength: 12 });
  const url = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.'), maxLength: 16 });
  fc.assert(
    fc.property(text, url, (pattern, one) => {
      const escaped = pattern.split('*').map((piece) => piece.replaceAll('.', '\\.'));
      t.equal(isMatch(pattern, one), new RegExp(`^${escaped.join('.*')}$`).test(one), `${pattern} ${one}`);
    }),
    { numRuns: 2_000 },
  );
});

test('a hostile URL costs no more than its length', async (t) => {
  const pattern = `//a/${'*a'.repeat(16)}*b`;
  t.equal(isMatch(pattern, `//a/${'a'.repeat(1_000_000)}`), false);
});
