/**
 * Certificates of a node by its config, with what operators hear of them: log and metrics.
 * @module
 */
import type { Counter, Registry } from 'prom-client';
import { siblingPath } from '../config/path.ts';
import { ConfigError } from '../config/problem.ts';
import type { RegionConfig } from '../config/schema.ts';
import { wallNow } from '../lib/clock.ts';
import { CertificateFault, type CertificateFiles, type CertificateTexts } from '../trust/certificate-files.ts';
import type { Role } from '../trust/identity.ts';
import { type Direction, NodeCertificates, type RefusedPeer } from '../trust/node-certificates.ts';
import type { PeerRefusal } from '../trust/refusals.ts';
import { counter, gauges } from './instruments.ts';
import type { Logger } from './log.ts';
import { Repeated } from './repeated.ts';

export interface NodeTrustOptions {
  readonly region: RegionConfig;
  readonly name: string;
  readonly role: Role;
  readonly log: Logger;
  /** Contents to use if the files are unusable at the moment. */
  readonly known?: CertificateTexts | undefined;
  /** Keys of session tickets, where several threads share an address. */
  readonly ticketKeys?: Buffer | undefined;
  /** Called with each refusal, beside log and metrics. */
  readonly refused?: ((reason: PeerRefusal, peer: RefusedPeer) => void) | undefined;
}

/** Certificates of a node, and their lifetime among its components. */
export interface NodeTrust {
  /** Absent in a network whose nodes know each other by their secret. */
  readonly certificates: NodeCertificates | undefined;
  /** Reports a refusal of a node that knows the secret. */
  refused(reason: PeerRefusal, peer: RefusedPeer): void;
  /** Adds the metrics to those of the node. */
  watch(registry: Registry): void;
  /** Reads the files now. */
  update(region: RegionConfig): void;
  close(): void;
}

/** @throws {ConfigError} for a file that cannot be used. */
export async function openNodeTrust(options: NodeTrustOptions): Promise<NodeTrust> {
  const { region, name, role, log, known, ticketKeys } = options;
  const reports = new RefusalReports(options);
  const refused = (reason: PeerRefusal, peer: RefusedPeer): void => reports.note(reason, peer);
  if (region.tier_tls === undefined) {
    return {
      certificates: undefined,
      refused,
      watch: (registry) => reports.count(watchCertificates(registry, undefined)),
      update: () => undefined,
      close: () => undefined,
    };
  }
  const files = filesOf(region, name);
  try {
    const certificates = await NodeCertificates.open({
      files,
      own: { network: region.network, role, name, region: region.region },
      known,
      ticketKeys,
      now: wallNow,
      events: {
        loaded: (expiresAt) =>
          log.info({ file: files?.cert_file, validTo: new Date(expiresAt).toISOString() }, 'node certificate read'),
        faulty: (fault) =>
          log.error({ detail: fault.message }, 'node certificate refused: the files that were there before stay'),
        refused,
      },
    });
    let used = files;
    return {
      certificates,
      refused,
      watch: (registry) => reports.count(watchCertificates(registry, certificates)),
      update(next) {
        if (next.tier_tls === undefined) return; // a reload is refused that takes it away
        const wanted = filesOf(next, name);
        const isSame = JSON.stringify(wanted) === JSON.stringify(used);
        used = wanted;
        void (isSame ? certificates.reload() : certificates.useFiles(wanted));
      },
      close: () => certificates.close(),
    };
  } catch (error) {
    if (error instanceof CertificateFault) throw new ConfigError([await problemOf(region, error)]);
    throw error;
  }
}

/** Adds the metrics. @returns The counter of refusals. */
function watchCertificates(registry: Registry, certificates: NodeCertificates | undefined): RefusalCounter {
  gauges(registry, 'seawall_node_certificate_expiry_timestamp_seconds', () =>
    certificates === undefined ? [] : [[{}, certificates.expiresAt / 1_000]],
  );
  return counter(registry, 'seawall_node_refusals_total');
}

type RefusalCounter = Counter<'reason' | 'direction'>;

/** Reports refusals in the log and, once the node has its metrics, there. */
class RefusalReports {
  readonly #options: Pick<NodeTrustOptions, 'log' | 'refused'>;
  readonly #repeated = new Repeated();
  #counter: RefusalCounter | undefined;
  /** Refusals before the node has its metrics. */
  readonly #before: (readonly [PeerRefusal, Direction])[] = [];

  constructor(options: Pick<NodeTrustOptions, 'log' | 'refused'>) {
    this.#options = options;
  }

  note(reason: PeerRefusal, peer: RefusedPeer): void {
    const { log, refused } = this.#options;
    const { direction, address, identity, name, detail } = peer;
    if (this.#counter === undefined) this.#before.push([reason, direction]);
    else this.#counter.inc({ reason, direction });
    refused?.(reason, peer);
    const who = identity ? { network: identity.network, role: identity.role, name: identity.name } : name && { name };
    this.#repeated.note(`${direction} ${reason}`, (count) =>
      log.warn({ reason, direction, address, peer: who, detail, ...(count > 1 && { count }) }, 'node refused'),
    );
  }

  count(counter: RefusalCounter): void {
    this.#counter = counter;
    for (const [reason, direction] of this.#before) counter.inc({ reason, direction });
  }
}

/** Placeholder for the name of the node in names of files. */
export const NODE_PLACEHOLDER = '{node}';

function filesOf({ file, tier_tls: tls }: RegionConfig, name: string): CertificateFiles {
  if (tls === undefined) throw new TypeError('a region without tier_tls');
  const place = (path: string): string => siblingPath(file, path.replaceAll(NODE_PLACEHOLDER, name));
  return {
    cert_file: place(tls.cert_file),
    key_file: place(tls.key_file),
    ca_file: place(tls.ca_file),
    ...(tls.crl_file !== undefined && { crl_file: place(tls.crl_file) }),
  };
}

async function problemOf({ file }: RegionConfig, { key, message, fix }: CertificateFault) {
  // Only here: threads of an edge have no other use for a parser of YAML.
  const { problemWithout, readYaml } = await import('../config/document.ts');
  const yaml = readYaml(file);
  if ('source' in yaml) return yaml.source.problem(['tier_tls', key], message, fix);
  return problemWithout(file, `tier_tls.${key}`, message, fix);
}
