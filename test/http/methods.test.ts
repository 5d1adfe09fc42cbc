import { test } from 'tap';
import { isSafe, KNOWN_METHODS } from '../../http/methods.ts';

for (const { method, safe } of [
  { method: 'GET', safe: true },
  { method: 'HEAD', safe: true },
  { method: 'OPTIONS', safe: true },
  { method: 'PROPFIND', safe: true },
  { method: 'POST', safe: false },
  { method: 'DELETE', safe: false },
  { method: 'PURGE', safe: false },
  { method: 'get', safe: false },
  { method: undefined, safe: false },
]) {
  test(`RFC 9110 9.2.1: ${method ?? 'no method'} is ${safe ? 'safe' : 'not known to be safe'}`, async (t) => {
    t.equal(isSafe(method), safe);
  });
}

test('RFC 9110 9.3.6, 9.3.8: CONNECT and TRACE are not forwarded', async (t) => {
  t.notOk(KNOWN_METHODS.has('CONNECT') || KNOWN_METHODS.has('TRACE'));
});
