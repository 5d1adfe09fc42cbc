/**
 * Certificates for tests, made by `openssl`.
 * @module
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface MadeCertificate {
  readonly cert_file: string;
  readonly key_file: string;
  readonly cert: string;
  readonly key: string;
}

const P256 = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];

/**
 * @param folder - Where `NAME.pem` and `NAME.key` are written.
 * @param newkey - What `openssl req -newkey` takes.
 */
export function makeCertificate(
  folder: string,
  name: string,
  hosts: readonly string[],
  newkey: readonly string[] = P256,
): MadeCertificate {
  const cert_file = join(folder, `${name}.pem`);
  const key_file = join(folder, `${name}.key`);
  const alternatives = hosts.map((host) => `DNS:${host}`).join();
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', ...newkey, '-nodes', '-subj', `/CN=${name}`],
      ...['-addext', `subjectAltName=${alternatives}`, '-keyout', key_file, '-out', cert_file, '-days', '90'],
    ],
    { stdio: 'ignore' },
  );
  return { cert_file, key_file, cert: readFileSync(cert_file, 'latin1'), key: readFileSync(key_file, 'latin1') };
}
