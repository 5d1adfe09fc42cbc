/** Lists of certificates that an authority does not stand for any more. */
import { execFileSync } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { type Authority, createAuthority, daysMs, makeKey } from '../../../trust/authority/authority.ts';
import type { Role } from '../../../trust/identity.ts';

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

test('a revocation list is one that OpenSSL takes', async (t) => {
  const authority = authorityOf(t);
  const [good, bad] = [issue(authority, 'eu-1'), issue(authority, 'eu-2')];
  authority.revoke('eu-2');
  const verify = ({ certificate }: typeof good): string => {
    const file = join(authority.folder, 'one.pem');
    writeFileSync(file, certificate.toString());
    const at = ['-attime', String(NOW.getTime() / 1_000)];
    const [ca, list] = ['ca.pem', 'revoked.pem'].map((name) => join(authority.folder, name)) as [string, string];
    return openssl('verify', ...at, '-crl_check', '-CAfile', ca, '-CRLfile', list, file);
  };
  t.match(verify(good), /: OK/);
  t.throws(() => verify(bad), /certificate revoked/);
});
