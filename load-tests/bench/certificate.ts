/** A certificate for one run, made by `openssl`. @module */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { programOf, run, temporaryFolder } from './processes.ts';

const LIMIT_MS = 30_000;

/**
 * @returns A folder with `cert.pem`, `key.pem` and `both.pem` (ECDSA, P-256); undefined where there is no `openssl`.
 */
export async function makeCertificate(): Promise<string | undefined> {
  const program = programOf('openssl');
  if (program === undefined) return undefined;
  const folder = temporaryFolder('certificate');
  const [certificate, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const command = [
    ...[program, 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
    ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
    ...['-keyout', key, '-out', certificate],
  ];
  await run('openssl', command, { limitMs: LIMIT_MS });
  writeFileSync(join(folder, 'both.pem'), readFileSync(certificate, 'utf8') + readFileSync(key, 'utf8'));
  return folder;
}
