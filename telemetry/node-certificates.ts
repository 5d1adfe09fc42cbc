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
import { type Direction, NodeCertificates } from '../trust/node-certificates.ts';
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
}

/** Certificates of a node, and their lifetime among its components. */
export interface NodeTrust {
  /** Absent in a network whose nodes know each other by their secret. */
  readonly certificates: NodeCertificates | undefined;
  /** Adds the metrics to those of the node. */
  watch(registry: Registry): void;
  /** Reads the files now. */
  update(region: RegionConfig): void;
  close(): void;
}

/** @throws {ConfigError} for a file that cannot be used. */
export async function openNodeTrust(options: NodeTrustOptions): Promise<NodeTrust> {
  const { region, name, role, log, known, ticketKeys } = options;
  if (region.tier_tls === undefined) return WITHOUT_CERTIFICATES;
  const repeated = new Repeated();
  let counts: Counter<'reason' | 'direction'> | undefined;
  /** Refusals before the node has its metrics. */
  const before: (readonly [PeerRefusal, Direction])[] = [];
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
        refused(reason, { direction, address, identity, detail }) {
          if (counts === undefined) before.push([reason, direction]);
          else counts.inc({ reason, direction });
          const peer = identity && { network: identity.network, role: identity.role, name: identity.name };
          repeated.note(`${direction} ${reason}`, (count) =>
            log.warn({ reason, direction, address, peer, detail, ...(count > 1 && { count }) }, 'node refused'),
          );
        },
      },
    });
    let used = files;
    return {
      certificates,
      watch(registry) {
        counts = watchCertificates(registry, certificates);
        for (const [reason, direction] of before) counts.inc({ reason, direction });
      },
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
function watchCertificates(
  registry: Registry,
  certificates: NodeCertificates | undefined,
): Counter<'reason' | 'direction'> {
  gauges(registry, 'seawall_node_certificate_expiry_timestamp_seconds', () =>
    certificates === undefined ? [] : [[{}, certificates.expiresAt / 1_000]],
  );
  return counter(registry, 'seawall_node_refusals_total');
}

const WITHOUT_CERTIFICATES: NodeTrust = {
  certificates: undefined,
  watch: (registry) => void watchCertificates(registry, undefined),
  update: () => undefined,
  close: () => undefined,
};

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
