/**
 * Entries of the audit log about what a control node trusts: that another list of revocations, or other authorities,
 * count from now on.
 * @module
 */
import { type CertificateTexts, sha256Of } from '../trust/certificate-files.ts';
import type { NodeCertificates } from '../trust/node-certificates.ts';
import type { AuditLog } from './audit.ts';

const ACTIONS = { crl_file: 'revocation list', ca_file: 'authorities' } as const;

/** Writes an entry each time that one of the files takes effect with another content. */
export function auditTrust(
  certificates: Pick<NodeCertificates, 'texts' | 'onChange'>,
  audit: Pick<AuditLog, 'write'>,
): void {
  let before = digestsOf(certificates.texts);
  certificates.onChange(() => {
    const now = digestsOf(certificates.texts);
    for (const key of ['crl_file', 'ca_file'] as const) {
      if (now[key] === before[key]) continue;
      const entry = { address: '', action: ACTIONS[key], result: 'ok', sha256: now[key], before: before[key] };
      void audit.write(entry); // never rejects
    }
    before = now;
  });
}

function digestsOf({ crl_file: list, ca_file: authorities }: CertificateTexts) {
  return { crl_file: sha256Of(list), ca_file: sha256Of(authorities) };
}
