/** The key that signs the audit log. */
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import type { ConfigError } from '../../config/problem.ts';
import { auditOrigin, auditSealing, knownKeys, ownVerifier } from '../../control/audit-key.ts';
import { regionOf } from './control.ts';

function regionIn(t: Test, audit_log: Record<string, unknown> = {}) {
  const folder = t.testdir({
    'eu.yaml': 'control:\n  listen: 127.0.0.1:0\n  audit_log: { known_keys: [x], key_file: x }\n',
  });
  const region = regionOf({ file: join(folder, 'eu.yaml'), control: { audit_log } });
  return { folder, region, control: region.control };
}

const OTHER = 'seawall/seawall/audit+258f99e6+AcDU6jnNz3GAVXMVYliC86c5uxpykoaYriB0eX/M/phS';

test('a key is made once, for its user alone, and is the same at the next start', async (t) => {
  const { folder, region, control } = regionIn(t);
  t.equal(ownVerifier(region, control), undefined, 'reading makes none');
  const { signer } = auditSealing(region, control);
  const file = join(folder, 'seawall-data/audit.key');
  t.match(readFileSync(file, 'utf8'), /^-----BEGIN PRIVATE KEY-----/);
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.equal(signer.name, auditOrigin(region.network));
  chmodSync(file, 0o644);
  t.equal(auditSealing(region, control).signer.text, signer.text);
  t.equal(statSync(file).mode & 0o777, 0o600, 'closed again');
  t.equal(ownVerifier(region, control)?.text, signer.text);
  t.match(execFileSync('openssl', ['pkey', '-in', file, '-noout', '-text'], { encoding: 'utf8' }), /ED25519/);
});

test('a key that openssl has made is used, one of another kind is refused', async (t) => {
  const { folder, region, control } = regionIn(t, { key_file: 'own.key' });
  execFileSync('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', join(folder, 'own.key')]);
  t.match(auditSealing(region, control).signer, { name: auditOrigin(region.network) });
  execFileSync('openssl', ['genpkey', '-algorithm', 'ed448', '-out', join(folder, 'own.key')]);
  t.throws(() => auditSealing(region, control), { message: /control\.audit_log\.key_file|of ed448/ });
  writeFileSync(join(folder, 'own.key'), 'nonsense');
  t.throws(() => auditSealing(region, control), { code: 'config_refused' });
});

test('a control node alone knows its key; of several, those that are named, or any', async (t) => {
  const etcd = { endpoints: ['http://127.0.0.1:1'] };
  const { region, control } = regionIn(t);
  t.same(auditSealing(region, control).known, []);
  const replicated = { ...control, journal: { etcd: { ...etcd, prefix: '/x/', quota: 1, compact: true } } };
  t.equal(auditSealing(region, replicated).known, undefined);
  const problemOf = (network: string, known_keys: string[]) => {
    try {
      knownKeys({ ...region, network }, { ...replicated, audit_log: { ...control.audit_log, known_keys } });
      return undefined;
    } catch (error) {
      return (error as ConfigError).problems[0];
    }
  };
  t.match(problemOf('seawall', ['x']), {
    key: 'control.audit_log.known_keys[0]',
    message: /no public key/,
    fix: /seawall audit key/,
  });
  t.match(problemOf('acme', [OTHER]), { message: /a key of seawall\/seawall/ });
  t.equal(problemOf('seawall', [OTHER]), undefined);
});
