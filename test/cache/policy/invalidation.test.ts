import fc from 'fast-check';
import { test } from 'tap';
import { invalidatedTargets, isIdempotent, isSafe } from '../../../cache/policy/invalidation.ts';

const BASE = new URL('http://shop.test/cart?id=1');

for (const { method, safe, idempotent } of [
  { method: 'GET', safe: true, idempotent: true },
  { method: 'HEAD', safe: true, idempotent: true },
  { method: 'OPTIONS', safe: true, idempotent: true },
  { method: 'TRACE', safe: true, idempotent: true },
  { method: 'PUT', safe: false, idempotent: true },
  { method: 'DELETE', safe: false, idempotent: true },
  { method: 'POST', safe: false, idempotent: false },
  { method: 'PATCH', safe: false, idempotent: false },
  { method: 'get', safe: false, idempotent: false },
  { method: 'QUERY', safe: false, idempotent: false },
]) {
  test(`RFC 9110 9.2: safety and idempotence of ${method}`, async (t) => {
    t.same([isSafe(method), isIdempotent(method)], [safe, idempotent]);
  });
}

for (const { rule, method = 'POST', status = 200, response = [], targets } of [
  { rule: 'the target', targets: ['/cart?id=1'] },
  { rule: 'a safe method', method: 'OPTIONS', targets: [] },
  { rule: 'a redirect', status: 303, response: ['Location', '/done'], targets: ['/cart?id=1', '/done'] },
  { rule: 'a client error', status: 409, response: ['Location', '/done'], targets: [] },
  { rule: 'a server error', status: 500, targets: [] },
  { rule: 'an interim status', status: 103, targets: [] },
  {
    rule: 'both fields',
    response: ['Location', '/a', 'content-location', 'b?c#d'],
    targets: ['/cart?id=1', '/a', '/b?c'],
  },
  { rule: 'each once', response: ['Location', '/cart?id=1'], targets: ['/cart?id=1'] },
  {
    rule: 'another origin',
    response: ['Location', 'https://shop.test/a', 'Content-Location', '//evil.test/'],
    targets: ['/cart?id=1'],
  },
  { rule: 'another scheme', response: ['Location', 'javascript:alert(1)'], targets: ['/cart?id=1'] },
  {
    rule: 'a user in the URL is not another origin',
    response: ['Location', 'http://x@shop.test/a'],
    targets: ['/cart?id=1', '/a'],
  },
  { rule: 'the first line counts', response: ['Location', '/a', 'Location', '/b'], targets: ['/cart?id=1', '/a'] },
]) {
  test(`RFC 9111 4.4: ${rule}`, async (t) => {
    t.same(invalidatedTargets(method, status, BASE, response), targets);
  });
}

test('invalidated targets never throw and never leave the origin', async (t) => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.webUrl()), (location) =>
      invalidatedTargets('POST', 200, BASE, ['Location', location]).every((target) => target.startsWith('/')),
    ),
  );
  t.pass();
});
