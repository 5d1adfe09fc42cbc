/**
 * The certificates of the sites by the name that a visitor asks for (SNI, RFC
 * 6066), read again when their files change. What cannot be used is refused
 * with a line in the log, and what was there before stays.
 * lib/file-watch.ts says when a change counts.
 * @module
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContext } from 'node:tls';
import { doubtsAbout, faultOf, type KeyPair, MAX_PEM_BYTES } from '../../config/check-tls.ts';
import { hostTable } from '../../config/host.ts';
import type { SiteConfig } from '../../config/schema.ts';
import { type EpochMs, epochMs } from '../../lib/clock.ts';
import { type Poll, pollRegularly, WatchedFiles } from '../../lib/file-watch.ts';
import { CONTEXT_OPTIONS } from './tls-options.ts';

/** Callbacks for events that operators should know about. */
export interface CertificateEvents {
  loaded(site: string, details: { readonly file: string; readonly validTo: string }): void;
  refused(site: string, reason: string): void;
  doubted(site: string, reason: string): void;
}

/** Contents of the two files when they were last usable. */
export interface KnownCertificate extends KeyPair {
  readonly cert_file: string;
  readonly key_file: string;
}

export interface CertificatesOptions {
  readonly sites: readonly SiteConfig[];
  readonly events: CertificateEvents;
  /** Certificates of the process before this one: used until the files are usable. */
  readonly known?: readonly KnownCertificate[] | undefined;
  /** Called with each certificate that is used from now on. */
  readonly onTaken?: ((known: KnownCertificate) => void) | undefined;
  readonly now: () => EpochMs;
  readonly intervalMs?: number;
}

const INTERVAL_MS = 3_000;

interface Held {
  site: SiteConfig;
  context: SecureContext | undefined;
  pair: KeyPair | undefined;
  expiresAt: EpochMs | undefined;
  /** Certificate and key. */
  readonly files: WatchedFiles;
}

const NOTHING_HELD = { context: undefined, pair: undefined, expiresAt: undefined };

export class Certificates {
  readonly #events: CertificateEvents;
  readonly #now: () => EpochMs;
  readonly #onTaken: CertificatesOptions['onTaken'];
  #known: readonly KnownCertificate[];
  readonly #poll: Poll;
  #held: ReadonlyMap<string, Held> = new Map();
  #byHost: (host: string) => Held | undefined = () => undefined;
  /** Called on each change. */
  onChange: () => void = () => undefined;

  /** Reads all of them, at once: a listener that opens has its certificates. */
  constructor({ sites, events, now, known = [], onTaken, intervalMs = INTERVAL_MS }: CertificatesOptions) {
    this.#events = events;
    this.#now = now;
    this.#onTaken = onTaken;
    this.#known = known;
    this.update(sites);
    this.#known = [];
    this.#poll = pollRegularly(async () => {
      for (const held of this.#held.values()) await this.#lookAt(held);
    }, intervalMs);
  }

  /** @returns What to show to a visitor who asks for this name; the empty name: who asks for none. */
  contextFor(name: string): SecureContext | undefined {
    return this.#byHost(name.toLowerCase().replace(/\.$/, ''))?.context;
  }

  /** @returns The certificate and key of the site that takes any host. */
  get forAnyName(): KeyPair | undefined {
    return this.#byHost('')?.pair;
  }

  /** Moment at which the certificate in use expires, by the name of its site; sites without one are left out. */
  *expiries(): Iterable<readonly [site: string, at: EpochMs]> {
    for (const [name, { expiresAt }] of this.#held) {
      if (expiresAt !== undefined) yield [name, expiresAt];
    }
  }

  update(sites: readonly SiteConfig[]): void {
    const before = this.#held;
    const held = new Map<string, Held>();
    for (const site of sites) {
      if (site.tls === undefined) continue;
      const known = before.get(site.name);
      const isSame = known?.site.tls?.cert_file === site.tls.cert_file && known.site.tls.key_file === site.tls.key_file;
      const now = known && isSame ? known : { site, ...NOTHING_HELD, files: watched(site) };
      now.site = site;
      held.set(site.name, now);
      if (now !== known) this.#readNow(now);
    }
    this.#held = held;
    this.#byHost = hostTable([...held.values()].flatMap((one) => one.site.hosts.map((host) => [host, one] as const)));
    this.onChange();
  }

  /** Looks at the files once. Never rejects. */
  look(): Promise<void> {
    return this.#poll.look();
  }

  close(): void {
    this.#poll.close();
  }

  async #lookAt(held: Held): Promise<void> {
    const { cert_file, key_file } = filesOf(held.site);
    if (!(await held.files.hasChanged())) return;
    try {
      this.#take(held, { cert: await readFile(cert_file, 'latin1'), key: await readFile(key_file, 'latin1') });
      this.onChange();
    } catch (error) {
      this.#events.refused(held.site.name, `${(error as Error).message}${staysWords(held)}`);
    }
  }

  #readNow(held: Held): void {
    const { cert_file, key_file } = filesOf(held.site);
    const known = this.#known.find((one) => one.cert_file === cert_file && one.key_file === key_file);
    if (known !== undefined) this.#show(held, known);
    try {
      held.files.noteRead();
      this.#take(held, { cert: readFileSync(cert_file, 'latin1'), key: readFileSync(key_file, 'latin1') });
    } catch (error) {
      this.#events.refused(held.site.name, `${(error as Error).message}${staysWords(held)}`);
    }
  }

  #take(held: Held, pair: KeyPair): void {
    const { name, hosts } = held.site;
    const files = filesOf(held.site);
    const stays = staysWords(held);
    const isTooLong = Math.max(pair.cert.length, pair.key.length) > MAX_PEM_BYTES;
    const fault = isTooLong
      ? { key: 'cert_file' as const, message: `or its key is longer than ${MAX_PEM_BYTES} bytes`, fix: '' }
      : faultOf(pair);
    if (fault !== undefined) {
      this.#events.refused(name, `${files[fault.key]} ${fault.message}. ${fault.fix}${stays}`);
      return;
    }
    try {
      this.#show(held, pair);
    } catch (error) {
      this.#events.refused(name, `${files.cert_file} cannot be used: ${(error as Error).message}${stays}`);
      return;
    }
    this.#onTaken?.({ ...files, ...pair });
    const certificate = new X509Certificate(pair.cert);
    this.#events.loaded(name, { file: files.cert_file, validTo: certificate.validTo });
    for (const { message } of doubtsAbout(certificate, hosts, this.#now())) {
      this.#events.doubted(name, `${files.cert_file} ${message}`);
    }
  }

  #show(held: Held, { cert, key }: KeyPair): void {
    held.context = createSecureContext({ ...CONTEXT_OPTIONS, cert, key });
    held.pair = { cert, key };
    held.expiresAt = epochMs(new X509Certificate(cert).validToDate.getTime());
  }
}

function staysWords({ context }: Held): string {
  return context === undefined ? '' : '; the certificate that was there before stays';
}

function filesOf({ tls }: SiteConfig): NonNullable<SiteConfig['tls']> {
  if (tls === undefined) throw new TypeError('a site without certificate');
  return tls;
}

function watched(site: SiteConfig): WatchedFiles {
  const { cert_file, key_file } = filesOf(site);
  return new WatchedFiles([cert_file, key_file]);
}
