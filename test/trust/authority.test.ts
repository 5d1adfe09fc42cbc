import { execFileSync } from 'node:child_process';
import { createPublicKey, X509Certificate } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { type Test, test } from 'tap';
import { type Authority, createAuthority, daysMs, makeKey, openAuthority } from '../../trust/authority/authority.ts';
import type { Role } from '../../trust/identity.ts';
import { identityOf, ROLES } from '../../trust/identity.ts';
import { readRevocationLists } from '../../trust/x509/revocation-list.ts';

const NOW = new Date('2026-11-28T12:00:00Z');

function authorityOf(t: Test, now: () => Date = () => NOW): Authority {
  return createAuthority({ folder: join(t.testdir(), 'ca'), network: 'demo', lifetimeMs: daysMs(3_650), now });
}

function issue(authority: Authority, name: string, role: Role = 'edge', days = 90) {
  return authority.issue({ role, name, region: 'eu' }, createPublicKey(makeKey()), daysMs(days));
}

function openssl(...args: string[]): string {
  return execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

test('a certificate is one that OpenSSL verifies, for both sides of a connection', async (t) => {
  const authority = authorityOf(t);
  const { certificate } = issue(authority, 'eu-1');
  const file = join(authority.folder, 'eu-1.pem');
  writeFileSync(file, certificate.toString());
  const at = ['-attime', String(NOW.getTime() / 1_000)];
  for (const purpose of ['sslserver', 'sslclient']) {
    const verified = openssl(
      'verify',
      ...at,
      '-x509_strict',
      '-purpose',
      purpose,
      '-CAfile',
      join(authority.folder, 'ca.pem'),
      file,
    );
    t.match(verified, /: OK/);
  }
  t.same(identityOf(certificate), { network: 'demo', role: 'edge', name: 'eu-1', region: 'eu' });
  t.equal(certificate.ca, false);
});

test('private keys are for their owner only', async (t) => {
  const { folder } = authorityOf(t);
  t.equal(statSync(join(folder, 'ca.key')).mode & 0o777, 0o600);
  t.equal(statSync(folder).mode & 0o777, 0o700);
});

test('an authority is not made over another one', async (t) => {
  const { folder } = authorityOf(t);
  const before = readFileSync(join(folder, 'ca.pem'), 'utf8');
  t.throws(() => createAuthority({ folder, network: 'demo', lifetimeMs: 1, now: () => NOW }), {
    code: 'authority_exists',
  });
  t.equal(readFileSync(join(folder, 'ca.pem'), 'utf8'), before);
});

test('the list has what was issued, with its state', async (t) => {
  let now = NOW;
  const authority = authorityOf(t, () => now);
  issue(authority, 'eu-1', 'edge', 1);
  issue(authority, 'eu-2');
  issue(authority, 'shield-1', 'shield');
  authority.revoke('eu-2');
  now = new Date(NOW.getTime() + daysMs(2));
  issue(authority, 'eu-3');
  t.same(
    openAuthority({ folder: authority.folder, now: () => now })
      .list()
      .map(({ identity: { name }, state }) => `${name} ${state}`)
      .sort(),
    ['eu-1 expired', 'eu-2 revoked', 'eu-3 valid', 'shield-1 valid'],
  );
});

test('one certificate is revoked by its serial number, and a node gets another one', async (t) => {
  const authority = authorityOf(t);
  const [old, other] = [issue(authority, 'eu-1'), issue(authority, 'eu-1')];
  t.same(authority.revoke(old.certificate.serialNumber.toLowerCase()).length, 1);
  const states = new Map(authority.list().map(({ certificate, state }) => [certificate.serialNumber, state]));
  t.equal(states.get(old.certificate.serialNumber), 'revoked');
  t.equal(states.get(other.certificate.serialNumber), 'valid');
  t.same(authority.revoke(old.certificate.serialNumber), [], 'a second time it changes nothing');
  t.throws(() => authority.revoke('eu-9'), { code: 'authority_unknown' });
});

test('a new authority signs while the one before it stays trusted, until it is retired', async (t) => {
  const authority = authorityOf(t);
  const before = issue(authority, 'eu-1');
  const [first] = authority.certificates;
  const revoked = issue(authority, 'eu-2');
  authority.revoke('eu-2');
  authority.renewAuthority(daysMs(3_650));
  const after = issue(authority, 'eu-3');
  const [signs, trusted] = authority.certificates as [X509Certificate, X509Certificate];
  t.ok(after.certificate.verify(signs.publicKey));
  t.ok(before.certificate.verify(trusted.publicKey));
  t.equal(trusted.fingerprint256, first?.fingerprint256);
  t.not(signs.subject, trusted.subject, 'so that a chain has one way only');
  const opened = openAuthority({ folder: authority.folder, now: () => NOW });
  const states = (of: Authority) => Object.fromEntries(of.list().map(({ identity: { name }, state }) => [name, state]));
  t.same(states(opened), { 'eu-1': 'valid', 'eu-2': 'revoked', 'eu-3': 'valid' });
  const text = readFileSync(join(authority.folder, 'revoked.pem'), 'latin1');
  t.same(
    readRevocationLists(text, opened.certificates).map(({ revocations }) => revocations.map(({ serial }) => serial)),
    [[], [revoked.certificate.serialNumber]],
  );
  opened.retireAuthorities();
  t.same(states(openAuthority({ folder: authority.folder, now: () => NOW })), {
    'eu-1': 'untrusted',
    'eu-2': 'untrusted',
    'eu-3': 'valid',
  });
});

test('a certificate does not outlive its authority', async (t) => {
  const authority = authorityOf(t);
  const { certificate } = issue(authority, 'eu-1', 'edge', 10_000);
  t.same(certificate.validToDate, authority.certificates[0]?.validToDate);
});

test('a certificate is valid on machines whose clocks are an hour slow', async (t) => {
  const { certificate } = issue(authorityOf(t), 'eu-1');
  t.equal(certificate.validFromDate.getTime(), NOW.getTime() - 3_600_000);
});

for (const { what, change, code } of [
  {
    what: 'without ca.pem',
    change: (folder: string) => writeFileSync(join(folder, 'ca.pem'), ''),
    code: 'authority_broken',
  },
  {
    what: 'with the key of another',
    change: (folder: string) => writeFileSync(join(folder, 'ca.key'), makeKeyPem()),
    code: 'authority_broken',
  },
  { what: 'that is not there', change: () => undefined, code: 'authority_missing' },
]) {
  test(`a folder ${what} is refused with what to do`, async (t) => {
    const { folder } = authorityOf(t);
    change(folder);
    const opened = code === 'authority_missing' ? join(folder, 'elsewhere') : folder;
    t.throws(() => openAuthority({ folder: opened, now: () => NOW }), { code, fix: /\w/ });
  });
}

for (const name of ['EU-1', 'eu 1', 'eu,1', 'eu/1', '-eu', 'x'.repeat(64), '']) {
  test(`${JSON.stringify(name)} cannot stand in a certificate`, async (t) => {
    t.throws(() => issue(authorityOf(t), name), { code: 'authority_name' });
  });
}

test('any holder is read back from its certificate', async (t) => {
  const authority = authorityOf(t);
  const key = createPublicKey(makeKey());
  const name = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
  fc.assert(
    fc.property(fc.constantFrom(...ROLES), name, fc.option(name, { nil: undefined }), (role, node, region) => {
      const holder = { role, name: node, ...(region !== undefined && { region }) };
      const { certificate } = authority.issue(holder, key, daysMs(1));
      t.same(identityOf(new X509Certificate(certificate.toString())), { ...holder, network: 'demo' });
    }),
    { numRuns: 50 },
  );
});

function makeKeyPem(): string {
  return makeKey().export({ type: 'pkcs8', format: 'pem' }) as string;
}
