import { test } from 'tap';
import { profileOf, RequestProfile } from '../../cache/request-profile.ts';
import { compileRules } from '../../config/match.ts';
import { siteSchema } from '../../config/schema.ts';
import type { RawHeaders } from '../../http/fields/headers.ts';

const site = siteSchema.parse({ name: 'shop', hosts: ['*'], origin: { servers: [{ url: 'http://o.test' }] } });
const rules = compileRules(site);

function profile(headers: RawHeaders, differs?: (name: string) => boolean): RequestProfile {
  return new RequestProfile({ site, rules, headers, credentials: undefined, ...(differs && { differs }) });
}

for (const { headers, is } of [
  { headers: [], is: { hasConditions: false, isForOriginOnly: false, ranges: undefined } },
  { headers: ['If-None-Match', '"a"'], is: { hasConditions: true, isForOriginOnly: false } },
  { headers: ['If-Modified-Since', 'x'], is: { hasConditions: true, isForOriginOnly: false } },
  { headers: ['If-Match', '"a"'], is: { hasConditions: false, isForOriginOnly: true } },
  { headers: ['If-Unmodified-Since', 'x'], is: { hasConditions: false, isForOriginOnly: true } },
]) {
  test(`profile of a section with ${headers[0] ?? 'no fields'}`, async (t) => {
    t.match(profile(headers), is);
  });
}

test('a range is read once', async (t) => {
  t.equal(profile(['Range', 'bytes=0-1']).ranges?.length, 1);
});

test('a section selects responses by the fields that they vary by', async (t) => {
  const one = profile(['Accept-Language', 'de']);
  t.equal(one.selects([{ name: 'accept-language', value: 'de' }]), true);
  t.equal(one.selects([{ name: 'accept-language', value: 'en' }]), false);
  t.equal(one.selects([{ name: 'x-absent', value: undefined }]), true);
});

test('what differs between requests with one section is undecided', async (t) => {
  const shared = profile(['Accept-Language', 'de'], (name) => name === 'cookie');
  t.equal(shared.selects([{ name: 'cookie', value: undefined }]), undefined);
  t.equal(
    shared.selects([
      { name: 'accept-language', value: 'en' },
      { name: 'cookie', value: undefined },
    ]),
    false,
  );
  t.ok(shared.isShared);
});

test('the profile of a section that is remembered is made once, for the same rules and credentials', async (t) => {
  const headers = ['Accept', '*/*'];
  const memo = { headers, texts: new Map() };
  const request = { site, rules, headers, memo, keyed: { credentials: undefined } as never };
  t.equal(profileOf(request), profileOf(request));
  t.not(profileOf(request), profileOf({ ...request, headers: [...headers] }), 'of another section');
  const { credentials } = { credentials: { hasAuthorization: true } as never };
  t.not(profileOf(request), profileOf({ ...request, keyed: { credentials } as never }));
});
