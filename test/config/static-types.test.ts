/** Type guard of static files: extensions, and the media types that go with them. */
import fc from 'fast-check';
import { test } from 'tap';
import { fitsExtension, STATIC_EXTENSIONS, staticExtension } from '../../config/static-types.ts';

for (const { path, extension } of [
  { path: '/a.css', extension: 'css' },
  { path: '/a.min.css', extension: 'css' },
  { path: '/.css', extension: 'css' },
  { path: '*.css', extension: 'css' },
  { path: '/css', extension: undefined },
  { path: 'css', extension: undefined },
  { path: '', extension: undefined },
  { path: '/a.css/', extension: undefined },
  { path: '/a.css/b', extension: undefined },
  { path: '/a.css.', extension: undefined },
  { path: '/a.css;x', extension: undefined },
  { path: '/a.constructor', extension: undefined },
  { path: '/a.__proto__', extension: undefined },
]) {
  test(`${JSON.stringify(path)} ${extension === undefined ? 'has no extension of a static file' : `is a file of the kind ${extension}`}`, async (t) => {
    t.equal(staticExtension(path), extension);
  });
}

for (const { path, type, fits } of [
  { path: '/a.css', type: 'text/css', fits: true },
  { path: '/a.css', type: ' TEXT/CSS ; charset=utf-8', fits: true },
  { path: '/a.css', type: 'text/css\t;charset=utf-8', fits: true },
  { path: '/a.css', type: 'text/cssx', fits: false },
  { path: '/a.css', type: 'text/css-like', fits: false },
  { path: '/a.css', type: 'text/html', fits: false },
  { path: '/a.css', type: 'text/css, text/html', fits: false },
  { path: '/a.css', type: '', fits: false },
  { path: '/a.css', type: undefined, fits: false },
  { path: '/a.png', type: 'image/', fits: true },
  { path: '/a.png', type: 'application/octet-stream', fits: true },
  { path: '/a.svg', type: 'image/png', fits: false },
  { path: '/a.svg', type: 'application/octet-stream', fits: false },
  { path: '/a.map', type: 'application/json', fits: false },
  { path: '/a.woff', type: 'application/font-woff', fits: true },
  { path: '/a.html', type: 'text/html', fits: true },
  { path: '/account', type: undefined, fits: true },
]) {
  test(`a response of ${type ?? 'no type'} ${fits ? 'may be' : 'is not'} the file ${path}`, async (t) => {
    t.equal(fitsExtension(path, type), fits);
  });
}

test('a page is no static file, however its type is spelled and whatever extension its path ends in', async (t) => {
  const page = fc.constantFrom('text/html', 'application/json', 'application/xhtml+xml', 'text/plain', 'text/xml');
  const spelling = fc.record({ before: fc.constantFrom('', ' ', '\t'), after: fc.constantFrom('', ';charset=x', ' ') });
  fc.assert(
    fc.property(page, spelling, fc.constantFrom(...STATIC_EXTENSIONS), (type, { before, after }, extension) => {
      t.notOk(fitsExtension(`/account/x.${extension}`, `${before}${type.toUpperCase()}${after}`));
      t.notOk(fitsExtension(`/account/x.${extension}`, `image/png, ${type}`), 'browsers take the last of several');
    }),
    { numRuns: 200 },
  );
});
