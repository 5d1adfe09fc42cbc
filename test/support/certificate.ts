/**
 * Certificates for tests, made by `openssl`.
 * @module
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
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

/** Makes a certificate that was valid between two moments, such as `20200101000000Z`. */
export function makeDatedCertificate(
  folder: string,
  name: string,
  host: string,
  [from, until]: readonly [string, string],
): MadeCertificate {
  const cert_file = join(folder, `${name}.pem`);
  const key_file = join(folder, `${name}.key`);
  const request = join(folder, `${name}.csr`);
  const config = join(folder, `${name}.cnf`);
  writeFileSync(join(folder, `${name}.index`), '');
  writeFileSync(
    config,
    `[ca]
default_ca = authority
[authority]
database = ${join(folder, `${name}.index`)}
new_certs_dir = ${folder}
rand_serial = yes
default_md = sha256
policy = policy
copy_extensions = copy
[policy]
commonName = supplied
`,
  );
  execFileSync(
    'openssl',
    [
      ...['req', '-newkey', ...P256, '-nodes', '-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${host}`],
      ...['-keyout', key_file, '-out', request],
    ],
    { stdio: 'ignore' },
  );
  execFileSync(
    'openssl',
    [
      ...['ca', '-batch', '-selfsign', '-notext', '-config', config, '-in', request, '-keyfile', key_file],
      ...['-startdate', from, '-enddate', until, '-out', cert_file],
    ],
    { stdio: 'ignore' },
  );
  return { cert_file, key_file, cert: readFileSync(cert_file, 'latin1'), key: readFileSync(key_file, 'latin1') };
}
