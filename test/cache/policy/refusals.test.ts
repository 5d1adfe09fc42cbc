import { test } from 'tap';
import { FORWARD_REASONS, STORE_REFUSALS } from '../../../cache/policy/refusals.ts';

test('every refusal is a Cache-Status token (RFC 9651, section 3.3.4) and listed once', async (t) => {
  for (const names of [STORE_REFUSALS, FORWARD_REASONS]) {
    t.same(
      names.filter((name) => !/^[a-z][a-z-]*$/.test(name)),
      [],
    );
    t.equal(new Set(names).size, names.length);
  }
});

test('RFC 9211 2.2: forward reasons are those of the registry, and no other', async (t) => {
  const registered = ['bypass', 'method', 'uri-miss', 'vary-miss', 'miss', 'request', 'stale', 'partial'];
  t.same(
    FORWARD_REASONS.filter((reason) => !registered.includes(reason)),
    [],
  );
});
