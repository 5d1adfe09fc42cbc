import { test } from 'tap';
import { carriesAllowed } from '../../cache/passing.ts';
import { type SiteConfig, siteSchema } from '../../config/schema.ts';
import type { RawHeaders } from '../../http/fields/headers.ts';

const siteWith = (allow: readonly string[]): SiteConfig =>
  siteSchema.parse({
    name: 'shop',
    hosts: ['shop.test'],
    origin: { servers: [{ url: 'http://origin.test' }] },
    request_headers: { allow },
  });

const CASES: readonly { rule: string; allow: readonly string[]; headers: RawHeaders; carries: boolean }[] = [
  { rule: 'a site that lets nothing through', allow: [], headers: ['X-HTTP-Method-Override', 'PUT'], carries: false },
  {
    rule: 'a field that the site lets through',
    allow: ['x-http-method-override'],
    headers: ['X-HTTP-Method-Override', 'PUT'],
    carries: true,
  },
  { rule: 'another field', allow: ['x-http-method-override'], headers: ['Accept', '*/*'], carries: false },
];

for (const { rule, allow, headers, carries } of CASES) {
  test(`a request ${carries ? 'is passed on' : 'may be answered from the cache'}: ${rule}`, async (t) => {
    t.equal(carriesAllowed(siteWith(allow), headers), carries);
  });
}
