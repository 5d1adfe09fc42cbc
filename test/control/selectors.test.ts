/**
 * A purge of a URL names exactly what a GET of it is keyed as, and a prefix
 * everything below it.
 */
import fc from 'fast-check';
import { test } from 'tap';
import type { z } from 'zod';
import { cacheKey } from '../../cache/key.ts';
import { responseTags } from '../../cache/tags.ts';
import type { siteSchema } from '../../config/schema.ts';
import { hostSelectors, prefixSelectors, SelectorError, tagSelectors, urlSelectors } from '../../control/selectors.ts';
import { siteDirectory } from '../../control/site-directory.ts';
import { HttpError } from '../../http/errors.ts';
import { parseRequestTarget, type Target } from '../../http/request-target.ts';
import { fuzzer } from '../support/fuzz.ts';
import { SITES, site } from './control.ts';

const fuzz = fuzzer(import.meta.filename);

const HOST = 'www.example.com';

const keys = fc.constantFrom<NonNullable<z.input<typeof siteSchema>['key']>>(
  {},
  { query: 'none' },
  { sort_query: true },
  { query: { allow: ['a', 'page*'] } },
  { query: { deny: ['utm_*', 'b'] }, sort_query: true },
  { host: 'one.example.com' },
  { host: 'one.example.com:8080', query: 'none' },
);

const character = fc.constantFrom(
  ...'abAB01-._~!$&\'()*+,;=:@"<>[]{}|^`%/?',
  '%41',
  '%2f',
  '%2F',
  '%7e',
  '%c3%a4',
  '%zz',
  '..',
  ' ',
  '\\',
  'ä',
);
const target = fc.array(character, { maxLength: 20 }).map((parts) => `/${parts.join('')}`);
const scheme = fc.constantFrom('http' as const, 'https' as const);
const authority = fc.constantFrom(HOST, `${HOST}:80`, `${HOST}:443`, `${HOST}:8080`, HOST.toUpperCase());

function parsed(text: string, host: string): Target | undefined {
  try {
    return parseRequestTarget('GET', text, ['Host', host]);
  } catch (error) {
    if (error instanceof HttpError) return undefined;
    throw error;
  }
}

function refused<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (error instanceof SelectorError) return undefined;
    throw error;
  }
}

test('the selector of a URL equals the key of a GET; a URL that no edge answers is refused', async (t) => {
  fuzz(
    'the selector of a URL equals the key of a GET; a URL that no edge answers is refused',
    fc.property(keys, scheme, authority, target, (key, protocol, host, text) => {
      fc.pre(!text.includes('ä'));
      const config = site('shop', [HOST], { key });
      const request = parsed(text, host);
      const selectors = refused(() =>
        urlSelectors(`${protocol}://${host}${text}`, siteDirectory([{ sites: [config] }])),
      );
      if (request === undefined) return selectors === undefined;
      const keyed = cacheKey(config, protocol, request, []);
      return selectors?.length === 1 && selectors[0]?.selector === `//${keyed.authority}${keyed.target}`;
    }),
    { numRuns: 2_000 },
  );
  t.pass();
});

test('a prefix matches the URLs that begin with it', async (t) => {
  fuzz(
    'a prefix matches the URLs that begin with it',
    fc.property(scheme, authority, target, fc.array(character, { maxLength: 8 }), (protocol, host, text, more) => {
      const sites = siteDirectory([{ sites: [site('shop', [HOST])] }]);
      const [prefix] = refused(() => prefixSelectors(`${protocol}://${host}${text}`, sites)) ?? [];
      const [url] = refused(() => urlSelectors(`${protocol}://${host}${text}${more.join('')}`, sites)) ?? [];
      return prefix === undefined || url === undefined || url.selector.startsWith(prefix.selector);
    }),
    { numRuns: 2_000 },
  );
  t.pass();
});

test('any input gives selectors, or a reason and a fix', async (t) => {
  const sites = siteDirectory([{ sites: SITES }]);
  const anything = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: 'grapheme' }).map((text) => `https://${HOST}/${text}`),
    fc.string().map((text) => `${text}.${HOST}`),
  );
  fuzz(
    'any input gives selectors, or a reason and a fix',
    fc.property(anything, (text) => {
      for (const select of [urlSelectors, prefixSelectors, hostSelectors]) refused(() => select(text, sites));
      refused(() => tagSelectors(text, 'shop'));
      return true;
    }),
    { numRuns: 2_000 },
  );
  t.pass();
});

test('a tag is found among those of a response, whatever bytes surround it', async (t) => {
  const config = site('shop', [HOST]);
  const word = fc.string({ unit: 'binary', minLength: 1, maxLength: 8 }).filter((text) => !/[\0-\x20,\x7f]/.test(text));
  const tag = fc.oneof(word, fc.constantFrom('voilà', 'СССР', 'Россия', '株式会社', 'àà', 'Р'));
  const fields = fc.constantFrom('Cache-Tag', 'Surrogate-Key', 'xkey');
  const encodings = fc.constantFrom('utf8' as const, 'latin1' as const);
  fuzz(
    'a tag is found among those of a response, whatever bytes surround it',
    fc.property(fields, tag, encodings, (field, name, encoding) => {
      fc.pre(encoding === 'utf8' || !/[^\0-\x9f\xa1-\xff]/.test(name));
      const bytes = Buffer.from(name, encoding).toString('latin1');
      const separator = field === 'Cache-Tag' ? ', ' : ' ';
      const tags = responseTags(config, HOST, [field, ['first', bytes, 'last'].join(separator)]) ?? [];
      const selectors = refused(() => tagSelectors(name, 'shop'));
      return selectors === undefined || (tags.length === 3 && selectors.some(({ selector }) => tags[1] === selector));
    }),
    { numRuns: 2_000 },
  );
  t.pass();
});

test('characters that browsers encode are encoded', async (t) => {
  const sites = siteDirectory([{ sites: [site('shop', ['xn--bcher-kva.example'])] }]);
  const url = 'https://Bücher.example/ä?ö=1';
  t.equal(urlSelectors(url, sites)[0]?.selector, '//xn--bcher-kva.example/%C3%A4?%C3%B6=1');
  const { host, pathname, search } = new URL(url);
  t.equal(`//${host}${pathname}${search}`, '//xn--bcher-kva.example/%C3%A4?%C3%B6=1');
});
