/** Decision of a node which nodes it answers: by the secret, or by certificates and its region file. */
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { type RegionConfig, regionSchema } from '../../config/schema.ts';
import { formatTierField, TIER_FIELD } from '../../http/fields/tier-field.ts';
import { wallNow } from '../../lib/clock.ts';
import type { NodeCore } from '../../tier/node-core.ts';
import { tierTrust } from '../../tier/trust.ts';
import type { Caller } from '../../trust/authentication.ts';
import type { NodeIdentity } from '../../trust/identity.ts';
import { NodeCertificates } from '../../trust/node-certificates.ts';
import { makeTrust } from '../support/trust.ts';

function regionWith(edges: readonly string[], secret = 'a-secret-of-the-tests'): RegionConfig {
  const parsed = regionSchema.parse({
    region: 'eu',
    tier_secret: secret,
    edges: edges.map((name, i) => ({ name, listen: '127.0.0.1:0', tier: `127.0.0.1:${i + 1}` })),
    sites: [{ include: 'site.yaml' }],
  });
  return { ...parsed, file: 'eu.yaml', sites: [], reachableShields: [] };
}

async function certificatesOf(t: Test, refused: string[]): Promise<NodeCertificates> {
  const { issue, folder } = makeTrust(t.testdir());
  issue('edge', 'eu-1', 'eu');
  const file = (name: string): string => join(folder, name);
  const certificates = await NodeCertificates.open({
    files: { cert_file: file('eu-1.pem'), key_file: file('eu-1.key'), ca_file: file('ca.pem') },
    own: { network: 'seawall', role: 'edge', name: 'eu-1', region: 'eu' },
    now: wallNow,
    intervalMs: 60_000,
    events: { loaded: () => undefined, faulty: () => undefined, refused: (reason) => void refused.push(reason) },
  });
  t.teardown(() => certificates.close());
  return certificates;
}

test('without certificates the secret counts that the region file has at the moment, and no TLS is spoken', async (t) => {
  let region = regionWith(['eu-1']);
  const { authentication, secure } = tierTrust({ certificates: undefined } as NodeCore, () => region);
  const call = (secret: string): Caller =>
    authentication.identify([TIER_FIELD, formatTierField({ secret, from: 'eu-2' })], {});
  t.equal(secure, undefined);
  t.equal(call('a-secret-of-the-tests').name, 'eu-2');
  region = regionWith(['eu-1'], 'another-secret-of-the-tests');
  t.throws(() => call('a-secret-of-the-tests'), { code: 'unauthorised_tier' });
  t.equal(call('another-secret-of-the-tests').name, 'eu-2');
});

test('with certificates a node is answered by its role, its region and whether the region file names it', async (t) => {
  const refused: string[] = [];
  const certificates = await certificatesOf(t, refused);
  let region = regionWith(['eu-1', 'eu-2']);
  const { authentication, secure } = tierTrust({ certificates } as NodeCore, () => region);
  t.ok(secure);
  const refusal = (
    identity: Omit<NodeIdentity, 'network'>,
    permission: 'ask_owner' | 'ask_shield' | 'count_matches',
  ) => {
    refused.length = 0;
    const caller = {
      name: identity.name,
      identity: { network: 'seawall', ...identity },
      members: new Map(),
      connection: {},
    };
    try {
      authentication.permit(caller, permission);
    } catch (error) {
      t.match(error, { code: 'unauthorised_tier' });
    }
    return refused[0];
  };
  const edge = (name: string, of?: string) =>
    ({ role: 'edge', name, ...(of !== undefined && { region: of }) }) as const;
  t.equal(refusal(edge('eu-2', 'eu'), 'ask_owner'), undefined);
  t.equal(refusal(edge('eu-3', 'eu'), 'ask_owner'), 'peer_unknown');
  t.equal(refusal(edge('us-1', 'us'), 'ask_owner'), 'peer_unknown', 'no edge of another region asks an owner here');
  t.equal(refusal(edge('us-1', 'us'), 'ask_shield'), undefined, 'the region file does not name those of others');
  t.equal(refusal(edge('eu-3', 'eu'), 'ask_shield'), 'peer_unknown');
  t.equal(refusal(edge('eu-3'), 'ask_shield'), undefined, 'one that was issued without a region');
  t.equal(refusal({ role: 'control', name: 'control' }, 'count_matches'), undefined);
  t.equal(refusal({ role: 'shield', name: 'eu-2' }, 'ask_owner'), 'peer_wrong_role', 'a name is no role');
  region = regionWith(['eu-1', 'eu-3']);
  t.equal(refusal(edge('eu-3', 'eu'), 'ask_owner'), undefined, 'after a reload');
  t.equal(refusal(edge('eu-2', 'eu'), 'ask_owner'), 'peer_unknown');
});
