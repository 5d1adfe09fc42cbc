/**
 * TLS context of an edge for its visitors, if configured.
 * @module
 */
import type { RegionConfig, SiteConfig } from '../config/schema.ts';
import type { Http2Handlers } from '../http/http2/connections.ts';
import { Certificates, type KnownCertificate } from '../http/listener/certificates.ts';
import type { ConnectionRefusal } from '../http/listener/connection-refusals.ts';
import { type SecureListening, secureListening, TicketKeys } from '../http/listener/tls.ts';
import { wallNow } from '../lib/clock.ts';
import type { NodeCore } from '../tier/node-core.ts';

export interface VisitorTls {
  readonly listening: SecureListening;
  readonly tickets: TicketKeys;
  update(sites: readonly SiteConfig[]): void;
  close(): void;
}

/** State shared by the workers of one edge. */
export interface SharedTls {
  /** Keys that encrypt session tickets in all of them. */
  readonly ticketKeys: Buffer;
  /** Certificates of the others, for when the files are unusable at the moment. */
  readonly certificates: readonly KnownCertificate[];
  readonly onCertificate: (known: KnownCertificate) => void;
}

/** @param shared - Where the edge has several workers. */
export function visitorTls(
  core: NodeCore,
  { sites }: RegionConfig,
  shared: SharedTls | undefined,
  http2: Pick<Http2Handlers, 'onRequest' | 'isPrepared' | 'idName'>,
): VisitorTls {
  const { log, metrics } = core;
  const certificates = new Certificates({
    sites,
    now: wallNow,
    known: shared?.certificates,
    onTaken: shared?.onCertificate,
    events: {
      loaded: (site, details) => log.info({ site, ...details }, 'certificate read'),
      refused: (site, reason) => log.error({ site, reason }, 'certificate refused'),
      doubted: (site, reason) =>
        log.warn({ site, reason }, 'certificate is expired, expires soon, or will be rejected by browsers'),
    },
  });
  metrics.watchCertificates(certificates);
  const tickets = new TicketKeys(shared?.ticketKeys);
  const listening = secureListening({
    certificates,
    tickets,
    onHandshakeFailed: (code) => metrics.connectionRefused(handshakeFailure(code)),
    http2: {
      ...http2,
      onRefused: (error) => core.refused('public', error),
      onFlood: (reason) => metrics.connectionRefused(reason),
      onProblem: (error) => log.error({ err: error }, 'internal error in an HTTP/2 connection'),
    },
  });
  return {
    listening,
    tickets,
    update: (next) => certificates.update(next),
    close() {
      certificates.close();
      tickets.close();
    },
  };
}

/** OpenSSL's codes are many, and some name what the other side sent: few labels, all known here. */
function handshakeFailure(code: string): ConnectionRefusal {
  if (code === 'tls_unknown_name') return 'tls_unknown_name';
  if (code === 'ERR_TLS_HANDSHAKE_TIMEOUT') return 'tls_timeout';
  return code === 'ECONNRESET' ? 'tls_abandoned' : 'tls_handshake';
}
