import fc from 'fast-check';
import { test } from 'tap';
import { askedOrigin, readLine, unsharedReason } from '../../../cli/replay/line.ts';

test('whatever a line has, it is read, or left out by name', async (t) => {
  const names = ['time', 'ms', 'method', 'scheme', 'host', 'target', 'status', 'bytes', 'cache_status', 'response'];
  const member = fc.tuple(fc.constantFrom(...names, 'request', 'sample', '__proto__', 'constructor'), fc.jsonValue());
  fc.assert(
    fc.property(fc.array(member), fc.string(), (members, text) => {
      for (const line of [text, JSON.stringify(Object.fromEntries(members))]) {
        const read = readLine(line);
        if (typeof read !== 'string' && !Number.isFinite(read.time)) return false;
      }
      return true;
    }),
  );
  t.equal(readLine('{"a":'), 'malformed');
});

for (const [cacheStatus, asked, reason] of [
  ['"eu-1";hit;ttl=5', false, undefined],
  ['"s";fwd=uri-miss;stored, "eu-1";fwd=uri-miss;stored', true, undefined],
  ['"s";fwd=uri-miss, "eu-1";fwd=uri-miss;collapsed', false, undefined],
  ['"s";fwd=uri-miss;detail=private, "eu-1";fwd=uri-miss;detail=private', true, 'private'],
  ['"eu-1";fwd=uri-miss;detail=not-hot', true, undefined],
  ['"eu-1";fwd=bypass', true, 'bypass'],
] as const) {
  test(`a line with Cache-Status ${cacheStatus}`, async (t) => {
    t.equal(askedOrigin(cacheStatus), asked);
    t.equal(unsharedReason(cacheStatus), reason);
  });
}
