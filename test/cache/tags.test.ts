import { test } from 'tap';
import { groupTag, invalidatedGroups, MAX_TAG_LENGTH, MAX_TAGS, responseTags } from '../../cache/tags.ts';
import { type SiteConfig, siteSchema } from '../../config/schema.ts';
import type { RawHeaders } from '../../http/fields/headers.ts';

const SITE: SiteConfig = siteSchema.parse({
  name: 'shop',
  hosts: ['shop.test'],
  origin: { servers: [{ url: 'http://origin.test' }] },
});
const AUTHORITY = 'shop.test:443';
const many = (count: number): string => Array.from({ length: count }, (_, i) => `t${i}`).join(',');

const CASES: readonly { rule: string; headers: RawHeaders; tags: readonly string[] | undefined }[] = [
  { rule: 'a response without tags has none', headers: ['Content-Type', 'text/css'], tags: [] },
  {
    rule: 'Cache-Tag is separated by commas, and a tag may have spaces',
    headers: ['Cache-Tag', 'a b, c'],
    tags: ['a b', 'c'],
  },
  { rule: 'Surrogate-Key is separated by spaces', headers: ['Surrogate-Key', 'a  b\tc'], tags: ['a', 'b', 'c'] },
  { rule: 'xkey is separated by either', headers: ['xkey', 'a, b c'], tags: ['a', 'b', 'c'] },
  { rule: 'a tag counts once, whichever field has it', headers: ['Cache-Tag', 'a,a', 'xkey', 'a'], tags: ['a'] },
  {
    rule: 'a byte of UTF-8 that Latin-1 has for a space is part of a tag',
    headers: ['xkey', '\xc3\xa0 b'],
    tags: ['\xc3\xa0', 'b'],
  },
  {
    rule: 'as many tags as a response may have',
    headers: ['Cache-Tag', many(MAX_TAGS)],
    tags: many(MAX_TAGS).split(','),
  },
  { rule: 'one tag more', headers: ['Cache-Tag', many(MAX_TAGS + 1)], tags: undefined },
  { rule: 'a tag that is too long', headers: ['Cache-Tag', 'a'.repeat(MAX_TAG_LENGTH + 1)], tags: undefined },
  { rule: 'a group belongs to its origin', headers: ['Cache-Groups', '"news"'], tags: [groupTag(AUTHORITY, 'news')] },
  { rule: 'a field of groups that is not valid is ignored', headers: ['Cache-Groups', '"news'], tags: [] },
  {
    rule: 'a group is a string',
    headers: ['Cache-Groups', 'news, 1, ("a" "b"), "c"'],
    tags: [groupTag(AUTHORITY, 'c')],
  },
];

for (const { rule, headers, tags } of CASES) {
  test(`tags of a response: ${rule}`, async (t) => {
    t.strictSame(responseTags(SITE, AUTHORITY, headers), tags);
  });
}

test('RFC 9875 3: groups that are invalidated are named once, and only those that a stored response can have', async (t) => {
  const tooLong = 'a'.repeat(MAX_TAG_LENGTH);
  t.strictSame(invalidatedGroups(AUTHORITY, ['Cache-Group-Invalidation', `"a", "b", "a", "${tooLong}"`]), ['a', 'b']);
});
