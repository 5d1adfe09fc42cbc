/** Requests for certificates: a key, and the proof that its owner has the private one. */
import { execFileSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { type Authority, createAuthority, daysMs, makeKey } from '../../../trust/authority/authority.ts';
import type { Role } from '../../../trust/identity.ts';
import { fromPem, toPem } from '../../../trust/x509/der.ts';
import { makeRequest, readRequest } from '../../../trust/x509/request.ts';
import { readRevocationLists } from '../../../trust/x509/revocation-list.ts';

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

test('a request carries a key, and proves that its owner has the private one', async (t) => {
  const key = makeKey();
  const text = makeRequest('demo', 'eu-1', key);
  t.match(readRequest(text), { name: 'eu-1', network: 'demo' });
  t.ok(readRequest(text).publicKey.equals(createPublicKey(key)));
  const file = join(t.testdir({ 'eu-1.csr': text }), 'eu-1.csr');
  t.match(openssl('req', '-in', file, '-verify', '-noout', '-subject'), /CN ?= ?eu-1/);
});

test('a request of OpenSSL is taken', async (t) => {
  const folder = t.testdir();
  const file = join(folder, 'eu-1.csr');
  const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', join(folder, 'eu-1.key')];
  openssl('req', '-new', ...made, '-subj', '/CN=eu-1', '-out', file);
  const { publicKey, name, network } = readRequest(readFileSync(file, 'latin1'));
  t.match({ name, network }, { name: 'eu-1', network: undefined });
  t.equal(publicKey.asymmetricKeyType, 'ec');
});

const REQUEST = makeRequest('demo', 'eu-1', makeKey());

for (const { what, text } of [
  { what: 'nothing', text: '' },
  { what: 'two requests', text: REQUEST + REQUEST },
  { what: 'bytes that are no structure', text: toPem('CERTIFICATE REQUEST', Buffer.from('no structure')) },
  { what: 'a structure of another kind', text: toPem('CERTIFICATE REQUEST', Buffer.from([0x30, 0x00])) },
  {
    what: 'an RSA key',
    text: makeRequest('demo', 'eu-1', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey),
  },
]) {
  test(`a request with ${what} is refused`, async (t) => {
    t.throws(() => readRequest(text));
  });
}

test('whichever byte of a request or a list is changed, it is refused or says the same', async (t) => {
  const authority = authorityOf(t);
  issue(authority, 'eu-1');
  authority.revoke('eu-1');
  const list = readFileSync(join(authority.folder, 'revoked.pem'), 'latin1');
  const revoked = (pem: string): unknown =>
    readRevocationLists(pem, authority.certificates).map(({ revocations }) => revocations);
  const keyOf = (pem: string): unknown => [
    readRequest(pem).name,
    readRequest(pem).publicKey.export({ type: 'spki', format: 'pem' }),
  ];
  for (const { label, text, read, orNothing } of [
    { label: 'CERTIFICATE REQUEST', text: REQUEST, read: keyOf, orNothing: false },
    // A list with another issuer is that of another authority, and says nothing.
    { label: 'X509 CRL', text: list, read: revoked, orNothing: true },
  ]) {
    const [bytes] = fromPem(label, text) as [Buffer];
    const expected = JSON.stringify(read(text));
    let refused = 0;
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] as number) ^ 1;
      const now = outcomeOf(() => JSON.stringify(read(toPem(label, changed))));
      if (now === undefined || (orNothing && now === '[]')) refused++;
      else if (now !== expected) t.equal(now, expected, `byte ${at}`);
    }
    // What stands around the signed content and its signature may be read in more than one form.
    t.ok(refused > bytes.length - 40, `${refused} of ${bytes.length}`);
  }
});

/** @returns `undefined` where it throws. */
function outcomeOf(run: () => string): string | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}
