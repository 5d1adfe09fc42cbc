import { test } from 'tap';
import { encodedTag, namedForm, plainTag, withPlainTags } from '../../../http/fields/encoded-tag.ts';
import { fieldValue } from '../../../http/fields/headers.ts';

test('a strong tag gets a suffix that names the encoding, a weak one stays', async (t) => {
  t.equal(encodedTag('"v1"', 'br', false), '"v1~br"');
  t.equal(encodedTag('"v1"', 'gzip', true), '"v1~gzip.1"');
  t.equal(encodedTag('W/"v1"', 'br', false), 'W/"v1"');
  t.equal(encodedTag('broken', 'br', false), 'broken');
  t.equal(encodedTag('""', 'zstd', false), '"~zstd"');
});

test('the tag of the representation is read out of that of an encoding', async (t) => {
  for (const coding of ['br', 'gzip', 'zstd'] as const) {
    for (const isFast of [true, false]) t.equal(plainTag(encodedTag('"a~b"', coding, isFast)), '"a~b"');
  }
  for (const tag of ['"v1"', '"v1-br"', 'W/"v1~br"', '"v1~br.2"', '"v1~br', 'v1~br"']) {
    t.equal(plainTag(tag), undefined, tag);
  }
});

test('If-None-Match names a representation by the tag of any of its forms', async (t) => {
  t.equal(namedForm('"v1~br"', '"v1"'), '"v1~br"');
  t.equal(namedForm('"x", W/"v1"', '"v1"'), 'W/"v1"');
  t.equal(namedForm('"v2~br"', '"v1"'), undefined);
  t.equal(namedForm('*', '"v1"'), undefined);
  t.equal(namedForm('"v1~br" broken', '"v1"'), undefined);
});

test('an origin that evaluates a condition gets the tags of representations beside those of encodings', async (t) => {
  const conditions = ['if-match', 'if-none-match'] as const;
  const headers = ['If-Match', '"a~br", "b"', 'If-None-Match', '*'];
  const sent = withPlainTags(headers, conditions);
  t.equal(fieldValue(sent, 'if-match'), '"a~br", "a", "b"');
  t.equal(fieldValue(sent, 'if-none-match'), '*');
  t.same(withPlainTags(['If-Match', '"a~br", "a"'], conditions), ['If-Match', '"a~br", "a"'], 'once');
  const plain = ['If-Match', '"a~b"', 'X-Other', '"a~br"'];
  t.equal(withPlainTags(plain, conditions), plain, 'without encodings nothing is copied');
  t.same(withPlainTags(['If-None-Match', '"a~br"'], ['if-match']), ['If-None-Match', '"a~br"'], 'other fields stay');
});
