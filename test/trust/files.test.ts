/** Files that a node cannot use: it does not start, and says which file, which key, and what to do. */
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import type { ConfigError } from '../../config/problem.ts';
import { type RegionConfig, regionSchema } from '../../config/schema.ts';
import { startShield } from '../../origin-shield/node.ts';
import { createLog } from '../../telemetry/log.ts';
import { makeTrust, type TestTrust } from '../support/trust.ts';

const log = createLog({ name: 'files', level: 'silent' });

function regionOf(folder: string, { tierTls }: TestTrust): RegionConfig {
  const { sites: _, ...parsed } = regionSchema.parse({
    region: 'eu',
    tier_secret: 'a-secret-of-the-tests',
    tier_tls: tierTls,
    shields: [{ name: 'shield-1', tier: '127.0.0.1:0' }],
    sites: [{ include: 'site.yaml' }],
  });
  return { ...parsed, file: join(folder, 'eu.yaml'), sites: [], reachableShields: parsed.shields };
}

for (const { what, change, key, says } of [
  {
    what: 'no certificate',
    change: (folder: string) => rmSync(join(folder, 'shield-1.pem')),
    key: 'tier_tls.cert_file',
    says: /shield-1\.pem does not exist/,
  },
  {
    what: 'no key',
    change: (folder: string) => rmSync(join(folder, 'shield-1.key')),
    key: 'tier_tls.key_file',
    says: /shield-1\.key does not exist/,
  },
  {
    what: 'no authority',
    change: (folder: string) => writeFileSync(join(folder, 'ca.pem'), 'nothing'),
    key: 'tier_tls.ca_file',
    says: /holds no certificate of an authority/,
  },
  {
    what: 'no revocation list',
    change: (folder: string) => writeFileSync(join(folder, 'revoked.pem'), 'nothing'),
    key: 'tier_tls.crl_file',
    says: /holds no BEGIN X509 CRL block/,
  },
  {
    what: 'a certificate that is none',
    change: (folder: string) => writeFileSync(join(folder, 'shield-1.pem'), 'nothing'),
    key: 'tier_tls.cert_file',
    says: /holds no certificate in PEM/,
  },
  {
    what: 'a key that is none',
    change: (folder: string) => writeFileSync(join(folder, 'shield-1.key'), 'nothing'),
    key: 'tier_tls.key_file',
    says: /holds no private key in PEM/,
  },
  {
    what: 'the key of another node',
    change: (folder: string) => copyFileSync(join(folder, 'shield-2.key'), join(folder, 'shield-1.key')),
    key: 'tier_tls.key_file',
    says: /is not the key of the certificate/,
  },
  {
    what: 'certificate and key of another node',
    change: (folder: string) => copy(folder, 'shield-2'),
    key: 'tier_tls.cert_file',
    says: /is for the name shield-2, and this is shield-1/,
  },
  {
    what: 'those of an edge of its name',
    change: (_folder: string, trust: TestTrust) => void trust.issue('edge', 'shield-1', 'eu'),
    key: 'tier_tls.cert_file',
    says: /is for the role edge, and this is shield/,
  },
  {
    what: 'those of another region',
    change: (_folder: string, trust: TestTrust) => void trust.issue('shield', 'shield-1', 'us'),
    key: 'tier_tls.cert_file',
    says: /is for the region us, and this is eu/,
  },
  {
    what: 'the certificate of an authority',
    change: (folder: string, trust: TestTrust) => {
      copyFileSync(join(trust.authority.folder, 'ca.pem'), join(folder, 'shield-1.pem'));
      copyFileSync(join(trust.authority.folder, 'ca.key'), join(folder, 'shield-1.key'));
    },
    key: 'tier_tls.cert_file',
    says: /is not the certificate of a node/,
  },
]) {
  test(`a node with ${what} does not start`, async (t) => {
    const root = t.testdir();
    const trust = makeTrust(root);
    for (const name of ['shield-1', 'shield-2']) trust.issue('shield', name, 'eu');
    change(trust.folder, trust);
    const region = regionOf(root, trust);
    const [shield] = region.shields;
    if (shield === undefined) throw new TypeError('no shield');
    const error: ConfigError = await startShield({ region, shield, log }).then(
      async (node) => {
        await node.close();
        throw new Error('it started');
      },
      (reason: ConfigError) => reason,
    );
    t.match(error.problems, [{ key, message: says, fix: /\w/ }]);
    t.notMatch(
      error.message,
      readFileSync(join(trust.folder, 'shield-2.key'), 'utf8').slice(40, 80),
      'no key is shown',
    );
  });
}

test('a node of another authority does not start', async (t) => {
  const root = t.testdir({ other: {} });
  const trust = makeTrust(root);
  const other = makeTrust(join(root, 'other'));
  other.issue('shield', 'shield-1', 'eu');
  for (const name of ['shield-1.pem', 'shield-1.key']) copyFileSync(join(other.folder, name), join(trust.folder, name));
  const region = regionOf(root, trust);
  const [shield] = region.shields;
  if (shield === undefined) throw new TypeError('no shield');
  await t.rejects(startShield({ region, shield, log }), { message: /No authority in `tier_tls\.ca_file`/ });
});

function copy(folder: string, from: string): void {
  for (const kind of ['pem', 'key']) copyFileSync(join(folder, `${from}.${kind}`), join(folder, `shield-1.${kind}`));
}
