import { test } from 'tap';
import { isPersonal, keyCookies, withoutIgnored, withoutReplaced, withPlainCookies } from '../../cache/credentials.ts';
import { compileRules } from '../../config/match.ts';
import { type SiteConfig, siteSchema } from '../../config/schema.ts';
import type { RawHeaders } from '../../http/fields/headers.ts';

const siteWith = (keys: object): SiteConfig =>
  siteSchema.parse({ name: 'shop', hosts: ['*'], origin: { servers: [{ url: 'http://o.test' }] }, ...keys });

const PLAIN = siteWith({});
const KEYED = siteWith({ key: { cookies: ['lang'] } });
const IGNORING = siteWith({ ignored_cookies: ['_ga'] });

const suffix = (site: SiteConfig, headers: RawHeaders): string => keyCookies(site, headers).suffix;

test('a request without credentials has none', async (t) => {
  t.equal(keyCookies(PLAIN, ['Accept', '*/*']).credentials, undefined);
  t.notOk(isPersonal(undefined, compileRules(PLAIN).cookiesAt('/')));
});

test('Authorization makes a request personal, unless it is in the key', async (t) => {
  const headers = ['Authorization', 'Basic abc'];
  const { credentials } = keyCookies(PLAIN, headers);
  t.ok(credentials?.hasAuthorization);
  t.ok(isPersonal(credentials, compileRules(PLAIN).cookiesAt('/')));
  t.equal(keyCookies(siteWith({ key: { headers: ['authorization'] } }), headers).credentials, undefined);
});

test('a cookie makes a request personal', async (t) => {
  const { credentials } = keyCookies(PLAIN, ['Cookie', 'session=1']);
  t.ok(isPersonal(credentials, compileRules(PLAIN).cookiesAt('/')));
});

test('cookies that the key names are in it, sorted by name, and make no request personal', async (t) => {
  t.equal(suffix(KEYED, ['Cookie', 'lang=de']), '\ncookie lang=de');
  t.equal(keyCookies(KEYED, ['Cookie', 'lang=de']).credentials, undefined);
  const two = siteWith({ key: { cookies: ['a', 'b'] } });
  t.equal(suffix(two, ['Cookie', 'b=2; a=1']), suffix(two, ['Cookie', 'a=1', 'Cookie', 'b=2']));
});

test('a cookie that some server takes for one of the key is in the key', async (t) => {
  t.equal(suffix(KEYED, ['Cookie', 'LANG=de']), '\ncookie LANG=de');
  t.equal(suffix(KEYED, ['Cookie', 'x="lang=de']), '\ncookie x="lang=de');
});

test('cookies that are ignored are not sent, the others are as they were', async (t) => {
  const policy = compileRules(IGNORING).cookiesAt('/');
  const headers = ['Host', 'a.test', 'Cookie', '_ga=1'];
  const { credentials } = keyCookies(IGNORING, headers);
  t.notOk(credentials?.hasCookies);
  t.strictSame(withoutIgnored(IGNORING, policy, headers), ['Host', 'a.test']);
  t.equal(withoutIgnored(IGNORING, policy, ['Host', 'a.test']).length, 2);
});

test('cookies that servers read alike stay as they are; else those of the key come first', async (t) => {
  const plain = ['Cookie', 'x=1; lang=de'];
  t.equal(withPlainCookies(KEYED, plain), plain);
  t.equal(withPlainCookies(PLAIN, plain), plain);
  t.strictSame(withPlainCookies(KEYED, ['Cookie', 'x=1', 'Cookie', 'lang=de']), ['Cookie', 'lang=de; x=1']);
});

test('a session that begins because a cookie was taken out does not replace the visitor’s own', async (t) => {
  const response = ['Set-Cookie', 'session=new; Path=/', 'Set-Cookie', 'other=1'];
  const asked = ['Cookie', 'session=old'];
  t.strictSame(withoutReplaced(response, asked, []), ['Set-Cookie', 'other=1']);
  t.equal(withoutReplaced(response, asked, asked), response);
});

test('a request with more cookies than are read is personal, and in a key of its own', async (t) => {
  const headers = ['Cookie', Array.from({ length: 300 }, (_, i) => `c${i}=1`).join('; ')];
  const { credentials } = keyCookies(PLAIN, headers);
  t.equal(credentials?.cookies, undefined);
  t.ok(isPersonal(credentials, compileRules(PLAIN).cookiesAt('/')));
  t.match(suffix(KEYED, headers), /^\ncookies c0=1; c1=1/);
});
