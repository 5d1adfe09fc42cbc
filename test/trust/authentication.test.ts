/** Authentication of nodes: by the secret in a call, and by the certificate of a connection. */
import { test } from 'tap';
import { formatTierField, TIER_FIELD } from '../../http/fields/tier-field.ts';
import { byCertificate, bySecret } from '../../trust/authentication.ts';

const field = (members: { secret?: string; from: string }) => [
  TIER_FIELD,
  formatTierField({ secret: members.secret, from: members.from }),
];

test('a caller with the secret of the network is known by the name that it gives', async (t) => {
  let secret = 'one';
  const authentication = bySecret(() => secret);
  t.match(authentication.identify(field({ secret: 'one', from: 'eu-1' }), {}), { name: 'eu-1', identity: undefined });
  for (const headers of [
    [],
    field({ from: 'eu-1' }),
    field({ secret: 'two', from: 'eu-1' }),
    [TIER_FIELD, 'nonsense("'],
  ]) {
    t.throws(() => authentication.identify(headers, {}), { code: 'unauthorised_tier' }, JSON.stringify(headers));
  }
  secret = 'two';
  t.throws(
    () => authentication.identify(field({ secret: 'one', from: 'eu-1' }), {}),
    { code: 'unauthorised_tier' },
    'after a reload',
  );
  t.equal(authentication.identify(field({ secret: 'two', from: 'x' }), {}).name, 'x');
});

const EDGE = { network: 'n', role: 'edge', name: 'eu-1' } as const;

/** Certificates of a node to which one connection belongs to `EDGE`. */
function certificates() {
  const refused: string[] = [];
  const known = {};
  return {
    known,
    refused,
    parts: {
      identityOn: (connection: object) => (connection === known ? EDGE : undefined),
      refused: (reason: string) => void refused.push(reason),
    } as never,
  };
}

test('a certificate gives the name, and a field that says another one is refused and reported', async (t) => {
  const { known, refused, parts } = certificates();
  const authentication = byCertificate(parts);
  t.match(authentication.identify([], known), { name: 'eu-1', identity: EDGE });
  t.match(authentication.identify(field({ from: 'eu-1' }), known), { name: 'eu-1' });
  t.throws(() => authentication.identify(field({ from: 'eu-2' }), known), { code: 'unauthorised_tier' });
  t.same(refused, ['peer_wrong_name']);
  t.throws(
    () => authentication.identify(field({ secret: 'whatever', from: 'eu-1' }), {}),
    { code: 'unauthorised_tier' },
    'a connection without a certificate',
  );
});

test('a role that may not do something is refused before the region files are asked', async (t) => {
  const { known, refused, parts } = certificates();
  const asked: string[] = [];
  const authentication = byCertificate(parts, (_, permission) => {
    asked.push(permission);
    return permission === 'read_network' ? 'peer_unknown' : undefined;
  });
  const caller = authentication.identify([], known);
  t.throws(() => authentication.permit(caller, 'read_network'), { code: 'unauthorised_tier' });
  t.throws(() => authentication.permit({ ...caller, identity: { ...EDGE, role: 'dns' } as never }, 'read_journal'), {
    code: 'unauthorised_tier',
  });
  t.throws(() => authentication.permit({ ...caller, identity: undefined }, 'read_network'), {
    code: 'unauthorised_tier',
  });
  t.same(refused, ['peer_unknown', 'peer_wrong_role']);
  t.same(asked, ['read_network']);
});
