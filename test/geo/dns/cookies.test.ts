/**
 * SipHash against the vectors of its authors, server cookies against those of
 * RFC 9018, appendix A.
 */
import { test } from 'tap';
import { COOKIE_BYTES, Cookies } from '../../../geo/dns/cookies.ts';
import { type ParsedAddress, parseAddress } from '../../../lib/address.ts';
import { sipHash24 } from '../../../lib/siphash.ts';

const address = (text: string): ParsedAddress => parseAddress(text) as ParsedAddress;
const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');

test('SipHash-2-4 has the published values', async (t) => {
  const hash = sipHash24(Uint8Array.from({ length: 16 }, (_, i) => i));
  const message = Uint8Array.from({ length: 64 }, (_, i) => i);
  for (const [length, expected] of [
    [0, '310e0edd47db6f72'],
    [1, 'fd67dc93c539f874'],
    [2, '5a4fa9d909806c0d'],
    [7, '37d1018bf50002ab'],
    [8, '6224939a79f5f593'],
    [9, 'b0e4a90bdf82009e'],
    [15, 'e545be4961ca29a1'],
    [16, 'db9bc2577fcc2a3f'],
    [63, '724506eb4c328a95'],
  ] as const) {
    const out = Buffer.alloc(10);
    hash(message, length, out, 1);
    t.equal(out.subarray(1, 9).toString('hex'), expected, `${length} bytes`);
  }
});

test('RFC 9018, appendix A: the cookies are the published ones', async (t) => {
  for (const { what, secrets, client, sent, nowSeconds, state, answered } of [
    {
      what: 'A.1: a new one',
      secrets: ['e5e973e5a6b2a43f48e7dc849e37bfcf'],
      client: '198.51.100.100',
      sent: '2464c4abcf10c957',
      nowSeconds: 1_559_731_985,
      state: 'new',
      answered: '2464c4abcf10c957010000005cf79f111f8130c3eee29480',
    },
    {
      what: 'A.2: renewed',
      secrets: ['e5e973e5a6b2a43f48e7dc849e37bfcf'],
      client: '198.51.100.100',
      sent: '2464c4abcf10c957010000005cf79f111f8130c3eee29480',
      nowSeconds: 1_559_734_385,
      state: 'valid',
      answered: '2464c4abcf10c957010000005cf7a871d4a564a1442aca77',
    },
    {
      what: 'A.3: reserved bytes count, and it is too old',
      secrets: ['e5e973e5a6b2a43f48e7dc849e37bfcf'],
      client: '203.0.113.203',
      sent: 'fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5',
      nowSeconds: 1_559_734_700,
      state: 'new',
      answered: 'fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e',
    },
    {
      what: 'A.3, in time',
      secrets: ['e5e973e5a6b2a43f48e7dc849e37bfcf'],
      client: '203.0.113.203',
      sent: 'fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5',
      nowSeconds: 1_559_727_985,
      state: 'valid',
      answered: 'fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5',
    },
    {
      what: 'A.4: IPv6, a new secret',
      secrets: ['445536bcd2513298075a5d379663c962', 'dd3bdf9344b678b185a6f5cb60fca715'],
      client: '2001:db8:220:1:59de:d0f4:8769:82b8',
      sent: '22681ab97d52c298010000005cf7c57926556bd0934c72f8',
      nowSeconds: 1_559_741_961,
      state: 'valid',
      answered: '22681ab97d52c298010000005cf7c609a6bb79d16625507a',
    },
  ]) {
    const cookies = new Cookies(secrets.map(bytes));
    const cookie = bytes(sent);
    const found = cookies.check(cookie, address(client), nowSeconds);
    t.equal(found, state, what);
    const out = Buffer.alloc(COOKIE_BYTES + 2);
    cookies.write(cookie, found, address(client), nowSeconds, out, 1);
    t.equal(out.subarray(1, 1 + COOKIE_BYTES).toString('hex'), answered, `${what}: the answer`);
    t.equal(
      cookies.check(out.subarray(1, 1 + COOKIE_BYTES), address(client), nowSeconds),
      'valid',
      'which is believed',
    );
  }
});

test('cookies are accepted for a limited time', async (t) => {
  const cookies = new Cookies([bytes('e5e973e5a6b2a43f48e7dc849e37bfcf')]);
  const good = bytes('2464c4abcf10c957010000005cf79f111f8130c3eee29480');
  const issued = 1_559_731_985;
  const client = address('198.51.100.100');
  for (const [what, cookie, from, now, state] of [
    ['no cookie', undefined, client, issued, 'none'],
    ['an hour old', good, client, issued + 3_600, 'valid'],
    ['older', good, client, issued + 3_601, 'new'],
    ['five minutes ahead', good, client, issued - 300, 'valid'],
    ['further ahead', good, client, issued - 301, 'new'],
    ['mapped into IPv6', good, address('::ffff:198.51.100.100'), issued, 'valid'],
    ['of another address', good, address('198.51.100.101'), issued, 'new'],
    ['longer', Buffer.concat([good, bytes('00')]), client, issued, 'new'],
  ] as const) {
    t.equal(cookies.check(cookie, from, now), state, what);
  }
  for (let at = 0; at < good.length; at += 1) {
    const changed = Buffer.from(good);
    changed[at] = (changed[at] as number) ^ 1;
    t.equal(cookies.check(changed, client, issued), 'new', `byte ${at} counts`);
  }
});
