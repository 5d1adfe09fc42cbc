/**
 * Certificates that cannot be used, and those that browsers will not like.
 * @module
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import type { EpochMs } from '../lib/clock.ts';
import type { Source } from './document.ts';
import type { ConfigProblem } from './problem.ts';
import type { Placed, RegionBody, RegionReading } from './read.ts';
import type { SiteConfig } from './schema.ts';

/** A certificate and its key, as they are in their files. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** Longer files hold something else. */
export const MAX_PEM_BYTES = 256 * 1024;

/** Certificates that have less than this left should have been renewed by now. */
const RENEWAL_MS = 7 * 86_400_000;

/** @returns Problems with the files of a site's certificate: one that is here cannot be used. */
export function certificateProblems(site: SiteConfig, source: Source): ConfigProblem[] {
  if (site.tls === undefined) return [];
  const texts = (['cert_file', 'key_file'] as const).map((name) => readPem(name, site, source));
  const [cert, key] = texts;
  if (typeof cert !== 'string' || typeof key !== 'string') return texts.filter((text) => typeof text === 'object');
  const fault = faultOf({ cert, key });
  if (fault === undefined) return [];
  return [source.problem(['tls', fault.key], `${site.tls[fault.key]} ${fault.message}`, fault.fix)];
}

/** @returns What is not as it should be with a certificate that can be used. */
export function certificateWarnings(site: SiteConfig, source: Source, now: EpochMs): ConfigProblem[] {
  if (site.tls === undefined || certificateProblems(site, source).length > 0) return [];
  const certificate = new X509Certificate(readFileSync(site.tls.cert_file));
  return doubtsAbout(certificate, site.hosts, now).map(({ message, fix }) =>
    source.problem(['tls', 'cert_file'], `${site.tls?.cert_file} ${message}`, fix),
  );
}

/** Fault in one of the two files. */
export interface Fault {
  readonly key: 'cert_file' | 'key_file';
  readonly message: string;
  readonly fix: string;
}

/** @returns Why the two cannot be used together; `undefined` when they can. */
export function faultOf({ cert, key }: KeyPair): Fault | undefined {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(cert);
  } catch {
    return { key: 'cert_file', message: 'holds no certificate in PEM', fix: 'Write BEGIN CERTIFICATE blocks into it.' };
  }
  try {
    if (!certificate.checkPrivateKey(createPrivateKey(key))) {
      const fix = 'Name the key that the certificate was made for.';
      return { key: 'key_file', message: 'is not the key of the certificate', fix };
    }
  } catch {
    const fix = 'Write an unencrypted BEGIN PRIVATE KEY block into it.';
    return { key: 'key_file', message: 'holds no private key in PEM that can be read', fix };
  }
  try {
    createSecureContext({ cert, key }); // reads the rest of the chain, and is particular about keys
    return undefined;
  } catch (error) {
    const message = `cannot be used for TLS (${(error as Error).message})`;
    return { key: 'cert_file', message, fix: 'Get one that OpenSSL takes, with its whole chain.' };
  }
}

/** @returns What visitors' browsers will object to, now or soon. */
export function doubtsAbout(
  certificate: X509Certificate,
  hosts: readonly string[],
  now: EpochMs,
): { readonly message: string; readonly fix: string }[] {
  const doubts: { message: string; fix: string }[] = [];
  const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  if (now < from) doubts.push({ message: `is not valid before ${certificate.validFrom}`, fix: 'Look at the clock.' });
  if (now > to) doubts.push({ message: `has expired on ${certificate.validTo}`, fix: 'Renew it.' });
  else if (now > to - RENEWAL_MS) doubts.push({ message: `expires on ${certificate.validTo}`, fix: 'Renew it.' });
  const missing = hosts.filter((host) => host !== '*' && !covers(certificate, host));
  if (missing.length > 0) {
    const message = `does not name ${missing.join(', ')}`;
    doubts.push({ message, fix: 'Get a certificate for all hosts of the site, or give them a site of their own.' });
  }
  return doubts;
}

function covers(certificate: X509Certificate, host: string): boolean {
  // What `*.example.com` covers, every name of that depth shows.
  const name = host.startsWith('*.') ? `any${host.slice(1)}` : host.replace(/^\[|\]$/g, '');
  return (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined;
}

/** @returns A problem for every listener for TLS that has nothing to show. */
export function tlsListenerProblems({ sites }: RegionReading, { config, source }: Placed<RegionBody>): ConfigProblem[] {
  if (sites.some(({ config: site }) => site.tls !== undefined)) return [];
  return config.edges.flatMap(({ listen_tls }, index) =>
    listen_tls === undefined
      ? []
      : [
          source.problem(
            ['edges', index, 'listen_tls'],
            'no site has a certificate to show there',
            'Give a site `tls: { cert_file: …, key_file: … }`, or remove `listen_tls`.',
          ),
        ],
  );
}

function readPem(name: Fault['key'], { tls }: SiteConfig, source: Source): string | ConfigProblem {
  const file = tls?.[name] ?? '';
  const refuse = (message: string, fix: string) => source.problem(['tls', name], `${file} ${message}`, fix);
  try {
    const text = readFileSync(file, 'latin1');
    if (text.length <= MAX_PEM_BYTES) return text;
    return refuse(`is longer than ${MAX_PEM_BYTES} bytes`, 'Name a PEM file.');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT')
      return refuse('does not exist', 'Create it, or correct the path; it is relative to this file.');
    if (code === 'EACCES') return refuse('may not be read', 'Let the user that runs Seawall read it.');
    return refuse(`cannot be read (${code})`, 'Name a PEM file.');
  }
}
