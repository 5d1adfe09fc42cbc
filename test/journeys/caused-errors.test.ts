/**
 * Denial of service through a cache (CPDoS): one visitor sends what makes the origin answer with an error, and all
 * others get that error from the store.
 */
import type { IncomingMessage } from 'node:http';
import { test } from 'tap';
import { startNetwork } from '../support/network.ts';
import { startOrigin } from '../support/origin.ts';
import { ask } from '../support/visitor.ts';

interface Cause {
  readonly headers: Readonly<Record<string, string>>;
  readonly method?: string;
  readonly status: number;
  /** True if the origin sees the cause. */
  isIn(request: IncomingMessage): boolean;
}

function field(name: string, value: string, status: number): Cause {
  return {
    headers: { [name]: value },
    status,
    isIn: ({ headers }) => headers[name.toLowerCase()] === value,
  };
}

const CAUSES: Readonly<Record<string, Cause>> = {
  'a header section that is too large for the origin (HHO)': field('X-Oversized', 'a'.repeat(12_000), 400),
  'many small fields': {
    headers: Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`X-Many-${i}`, 'a'])),
    status: 431,
    isIn: ({ rawHeaders }) => rawHeaders.length > 100,
  },
  'a tab in a value (HMC)': field('X-Meta', 'a\tb', 400),
  'bytes beyond ASCII in a value (HMC)': field('X-Meta', '\xff\xfe', 400),
  'a large cookie that counts': field('Cookie', `session=${'a'.repeat(6_000)}`, 431),
  'a range that is not there': field('Range', 'bytes=999999-', 416),
  'a condition that fails': field('If-Match', '"nothing"', 412),
  'an expectation': field('Expect', 'teapot', 417),
  'a media type that is not made': field('Accept', 'application/x-nothing', 406),
  'a language that is not there': field('Accept-Language', 'xx', 404),
  'an encoding that is not made': field('Accept-Encoding', 'x-nothing', 406),
  'credentials that are wrong': field('Authorization', 'Basic eDp5', 401),
  'an origin that is not allowed': field('Origin', 'https://evil.test', 403),
  'a referrer that is not allowed': field('Referer', 'https://evil.test/', 403),
  'a user agent that is blocked': field('User-Agent', 'sqlmap/1.0', 403),
  'a forwarded host': field('X-Forwarded-Host', 'evil.test:1', 404),
  'a forwarded port': field('X-Forwarded-Port', '1', 404),
  'a method override (HMO)': field('X-HTTP-Method-Override', 'GET', 405),
  'a content type without a body': field('Content-Type', 'x/y', 415),
  'an upgrade': field('X-Upgrade', 'h2c', 426),
  'another method': { headers: {}, method: 'OPTIONS', status: 405, isIn: ({ method }) => method === 'OPTIONS' },
};

for (const [via, shields] of Object.entries({ 'one edge': 0, 'a shield': 1 })) {
  for (const [name, cause] of Object.entries(CAUSES)) {
    test(`an error that one visitor causes is for that visitor alone: ${name}, through ${via}`, async (t) => {
      const origin = await startOrigin((request, response) => {
        const status = cause.isIn(request) ? cause.status : 200;
        response.writeHead(status).end(status === 200 ? 'page' : 'error');
      });
      // Stored without a word of the origin: for an hour, as an operator wants it for pages.
      const rules = [{ path: '/*', ttl: '1h' }];
      const network = await startNetwork({ origin: origin.url, shields, rules });
      t.teardown(() => Promise.all([network.close(), origin.close()]));
      const address = network.at('eu-1');
      const caused = await ask(address, '/page', { method: cause.method ?? 'GET', headers: cause.headers });
      t.ok([200, cause.status, 400].includes(caused.status), `${caused.status}`);
      for (const turn of ['first', 'second']) {
        const { status, text } = await ask(address, '/page');
        t.strictSame([status, text], [200, 'page'], `the ${turn} visitor after it`);
      }
      t.equal(origin.requests.filter((request) => !cause.isIn(request)).length, 1, 'the page is stored all the same');
    });
  }
}
