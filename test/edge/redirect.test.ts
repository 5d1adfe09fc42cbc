import { test } from 'tap';
import { siteSchema } from '../../config/schema.ts';
import { redirectFor } from '../../edge/redirect.ts';
import { fieldValue } from '../../http/fields/headers.ts';
import { parseRequestTarget } from '../../http/request-target.ts';

for (const { rule, redirect, scheme, host, to } of [
  { rule: 'a site without redirects', redirect: {}, scheme: 'http', host: 'shop.test', to: undefined },
  {
    rule: 'https is asked for',
    redirect: { https: true },
    scheme: 'http',
    host: 'shop.test',
    to: 'https://shop.test/a?b',
  },
  { rule: 'https is there', redirect: { https: true }, scheme: 'https', host: 'shop.test', to: undefined },
  {
    rule: 'a port belongs to the scheme that it came with',
    redirect: { https: true },
    scheme: 'http',
    host: 'shop.test:8080',
    to: 'https://shop.test/a?b',
  },
  {
    rule: 'another host',
    redirect: { host: 'www.shop.test' },
    scheme: 'https',
    host: 'shop.test',
    to: 'https://www.shop.test/a?b',
  },
  { rule: 'the one host', redirect: { host: 'www.shop.test' }, scheme: 'https', host: 'www.shop.test', to: undefined },
  {
    rule: 'host and scheme at once',
    redirect: { https: true, host: 'www.shop.test' },
    scheme: 'http',
    host: 'shop.test',
    to: 'https://www.shop.test/a?b',
  },
] as const) {
  test(`redirects of a site: ${rule}: ${to ?? 'none'}`, async (t) => {
    const site = siteSchema.parse({
      name: 'shop',
      hosts: ['*'],
      origin: { servers: [{ url: 'http://origin.test' }] },
      redirect,
    });
    const target = parseRequestTarget('GET', '/a?b', ['Host', host]);
    const head = redirectFor(site, scheme, target);
    t.equal(head && fieldValue(head.headers, 'location'), to);
  });
}
