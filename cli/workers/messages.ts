/**
 * Messages between the supervisor of an edge and its workers, over the channel that `fork` opens.
 * @module
 */
import type { PurgeRecord } from '../../cache/ledger.ts';
import type { RegionConfig } from '../../config/schema.ts';
import type { WorkerAddress } from '../../edge/peers.ts';
import type { KnownCertificate } from '../../http/listener/certificates.ts';

export type ToWorker =
  | {
      /** Once, first. */
      readonly kind: 'start';
      /** With this worker's share of memory and connections (config/workers.ts). */
      readonly region: RegionConfig;
      readonly edge: string;
      /** `eu-1#2/4`. */
      readonly worker: string;
      readonly logLevel: string;
      readonly ticketKeys: Uint8Array;
      /** Latest certificates of the workers, including those that have exited. */
      readonly certificates: readonly KnownCertificate[];
    }
  | { readonly kind: 'tickets'; readonly keys: Uint8Array }
  | { readonly kind: 'reload'; readonly region: RegionConfig }
  | { readonly kind: 'workers'; readonly all: readonly WorkerAddress[] }
  | { readonly kind: 'ask'; readonly id: number; readonly question: Question };

export type Question =
  | { readonly about: 'metrics' }
  | { readonly about: 'matches'; readonly records: readonly PurgeRecord[] };

/** Addresses of a worker, as bound. */
export interface WorkerAddresses {
  readonly listen: string;
  readonly listen_tls?: string | undefined;
  readonly tier: string;
  /** For the other workers only. */
  readonly worker: string;
}

/** Metrics as prom-client's `getMetricsAsJSON` gives them. */
export type Metrics = readonly object[];

/** Heartbeat interval of a serving worker. */
export const ALIVE_MS = 1_000;

export type FromWorker =
  | { readonly kind: 'ready'; readonly addresses: WorkerAddresses }
  | { readonly kind: 'alive' }
  /** It shows this one from now on. */
  | { readonly kind: 'certificate'; readonly known: KnownCertificate }
  /** It cannot start, and ends; with what is needed to say why. */
  | {
      readonly kind: 'failed';
      readonly message: string;
      readonly code?: string | undefined;
      readonly syscall?: string | undefined;
      readonly address?: string | undefined;
      readonly port?: number | undefined;
    }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Metrics | number };
