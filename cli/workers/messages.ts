/**
 * Messages between the supervisor of an edge, in the main thread, and its workers.
 * @module
 */
import type { FromDisk, SharedWithDisk, ToDisk } from '../../cache/disk/thread-disk.ts';
import type { SharedMemory } from '../../cache/shared/layout.ts';
import type { RegionConfig } from '../../config/schema.ts';
import type { KnownCertificate } from '../../http/listener/certificates.ts';
import type { ListeningSocket } from '../../http/listener/sockets.ts';
import type { Traffic } from '../../lib/traffic.ts';
import type { FromPurgedThread, PurgedThreadStart, ToPurgedThread } from '../../tier/purge-relay.ts';
import type { CertificateTexts } from '../../trust/certificate-files.ts';

/** Data that a worker's thread starts with. */
export interface WorkerData {
  readonly start: StartMessage;
  /** Heartbeat in shared memory: the worker's event loop counts it up. */
  readonly turns: Int32Array;
  /** 1 while memory of the process is scarce. */
  readonly scarcity: Int32Array;
}

export interface StartMessage {
  /** With this worker's share of memory and connections (config/workers.ts). */
  readonly region: RegionConfig;
  readonly edge: string;
  /** `eu-1#2`. */
  readonly worker: string;
  /** True if it works on jobs for the edge. */
  readonly worksOnJobs: boolean;
  /** Memory of the store that all workers share, and this thread's token. */
  readonly shared: { readonly buffers: SharedMemory; readonly token: number };
  /** For the disk, which the main thread has. */
  readonly disk: SharedWithDisk | undefined;
  readonly purges: PurgedThreadStart;
  readonly logLevel: string;
  readonly ticketKeys: Uint8Array;
  /** Files of the node's certificates, as the main thread has read them. */
  readonly nodeTexts: CertificateTexts | undefined;
  /** Sockets of another process that it listens on. */
  readonly sockets: readonly ListeningSocket[];
  /** Latest certificates of the workers, including those that have exited. */
  readonly certificates: readonly KnownCertificate[];
}

export type ToWorker =
  | ToPurgedThread
  | FromDisk
  | { readonly kind: 'tickets'; readonly keys: Uint8Array }
  | { readonly kind: 'reload'; readonly region: RegionConfig }
  /** Asks for its metrics, or for its listening sockets. */
  | { readonly kind: 'ask'; readonly id: number; readonly about: 'metrics' | 'sockets' }
  /** It takes no more connections: another process does. */
  | { readonly kind: 'retire' }
  /** It takes nothing new, finishes what is in flight, and ends. */
  | { readonly kind: 'close' };

export type Answer = Metrics | readonly ListeningSocket[];

/** Addresses of a worker, as bound. */
export interface WorkerAddresses {
  readonly listen: string;
  readonly listen_tls?: string | undefined;
  readonly tier: string;
}

/** Metrics as prom-client's `getMetricsAsJSON` gives them. */
export type Metrics = readonly object[];

/** Interval of checks of a worker's heartbeat. */
export const ALIVE_MS = 1_000;
/** Interval of heartbeats. */
export const TURN_MS = 250;
/** Interval of reports of traffic. */
export const TRAFFIC_MS = 1_000;

export type FromWorker =
  | FromPurgedThread
  | ToDisk
  | { readonly kind: 'ready'; readonly addresses: WorkerAddresses }
  /** Its last values, before it ends in order. */
  | { readonly kind: 'metrics'; readonly metrics: Metrics }
  | { readonly kind: 'traffic'; readonly traffic: Traffic }
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
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Answer };
