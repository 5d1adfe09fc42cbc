/**
 * Certificates of one node in use: its own, the authorities that it trusts, and what they have revoked. Files are read
 * again when they change, and what cannot be used is refused while what was there before stays. Every connection that
 * is open is held against what is trusted now, so that a revocation ends it.
 *
 * OpenSSL proves that the other side has its private key; whether it is a node of this network is decided here, for
 * full handshakes and for resumed sessions alike, which OpenSSL would let pass as they were.
 * @module
 */
import type { X509Certificate } from 'node:crypto';
import { hkdfSync } from 'node:crypto';
import type { SecureContext, SecureContextOptions, TLSSocket } from 'node:tls';
import { makeTicketKeys } from '../http/listener/tls-options.ts';
import type { EpochMs } from '../lib/clock.ts';
import { type Poll, pollRegularly, WatchedFiles } from '../lib/file-watch.ts';
import {
  CertificateFault,
  type CertificateFiles,
  type CertificateTexts,
  type Material,
  materialOf,
  type OwnIdentity,
  readTexts,
} from './certificate-files.ts';
import type { NodeIdentity } from './identity.ts';
import { checkPeer, type Expected, expectationRefusal, type PeerVerdict, timeRefusal } from './peer-check.ts';
import type { PeerRefusal } from './refusals.ts';

/** `incoming`: the other side has connected to this node. */
export type Direction = 'incoming' | 'outgoing';

/** The other side of a connection that is refused. */
export interface RefusedPeer {
  readonly direction: Direction;
  readonly address: string;
  /** As far as it is known. */
  readonly identity?: NodeIdentity | undefined;
  /** As it calls itself, without a certificate. */
  readonly name?: string | undefined;
  readonly detail?: string | undefined;
}

export interface NodeCertificatesEvents {
  /** The files are used from now on. */
  readonly loaded: (expiresAt: EpochMs) => void;
  /** The files cannot be used: those before stay. */
  readonly faulty: (fault: Error) => void;
  readonly refused: (reason: PeerRefusal, peer: RefusedPeer) => void;
}

export interface NodeCertificatesOptions {
  readonly files: CertificateFiles;
  readonly own: OwnIdentity;
  readonly events: NodeCertificatesEvents;
  readonly now: () => EpochMs;
  /** Contents to use if the files are unusable at the moment: those of the thread that starts this one. */
  readonly known?: CertificateTexts | undefined;
  /** Keys of session tickets, where several threads share an address; by default keys of its own. */
  readonly ticketKeys?: Buffer | undefined;
  readonly intervalMs?: number;
}

/** A change counts when it was seen twice, so that it takes twice this time. */
const INTERVAL_MS = 2_000;

/** An open connection, and who is at its other end. */
interface Admitted {
  readonly certificate: X509Certificate;
  readonly identity: NodeIdentity;
  readonly direction: Direction;
}

export class NodeCertificates {
  readonly #options: NodeCertificatesOptions;
  #files: CertificateFiles;
  #watched: WatchedFiles;
  #material: Material;
  readonly #poll: Poll;
  #ticketKeys: Buffer;
  readonly #open = new Map<TLSSocket, Admitted>();
  readonly #listeners = new Set<() => void>();
  /** One reading at a time, so that the last one counts. */
  #reading: Promise<void> = Promise.resolve();

  private constructor(options: NodeCertificatesOptions, material: Material, watched: WatchedFiles) {
    this.#options = options;
    this.#files = options.files;
    this.#material = material;
    this.#watched = watched;
    this.#ticketKeys = ticketKeysFor(options.ticketKeys ?? makeTicketKeys());
    this.#poll = pollRegularly(() => this.#look(), options.intervalMs ?? INTERVAL_MS);
  }

  /** @throws {CertificateFault} unless the files can be used. */
  static async open(options: NodeCertificatesOptions): Promise<NodeCertificates> {
    const { files, own, now, known, events } = options;
    const watched = watchedOf(files);
    watched.noteRead();
    try {
      const material = await materialOf(readTexts(files), files, own, now());
      events.loaded(material.expiresAt);
      return new NodeCertificates(options, material, watched);
    } catch (error) {
      if (known === undefined || !(error instanceof CertificateFault)) throw error;
      events.faulty(error);
      return new NodeCertificates(options, await materialOf(known, files, own, now()), watched);
    }
  }

  /** This node, as its certificate says. */
  get identity(): NodeIdentity {
    return this.#material.identity;
  }

  get expiresAt(): EpochMs {
    return this.#material.expiresAt;
  }

  /** Contents of the files in use. */
  get texts(): CertificateTexts {
    return this.#material.texts;
  }

  /** For connections that this node makes. */
  get secureContext(): SecureContext {
    return this.#material.context;
  }

  /** For connections that this node takes. */
  get contextOptions(): SecureContextOptions {
    return {
      ...this.#material.contextOptions,
      sessionIdContext: 'seawall-nodes',
      sessionTimeout: SESSION_SECONDS,
      ticketKeys: this.#ticketKeys,
    };
  }

  /** Calls back on each change of `secureContext` and `contextOptions`. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** @returns The node at the other end of an open connection; `undefined` where there is none that was admitted. */
  identityOn(connection: object): NodeIdentity | undefined {
    return this.#open.get(connection as TLSSocket)?.identity;
  }

  /**
   * Decides about a connection whose handshake is over. One that is admitted is destroyed when it would be no longer.
   *
   * @param certificate - Of the other side.
   * @param expected - For a connection that this node has made.
   * @returns The reason of a refusal, which was reported; the connection is for the caller to end.
   */
  admit(
    socket: TLSSocket,
    certificate: X509Certificate | undefined,
    expected?: Expected | undefined,
  ): PeerRefusal | undefined {
    const verdict = this.#verdictOn(certificate, expected);
    const direction = expected === undefined ? 'incoming' : 'outgoing';
    const { identity, refusal } = verdict;
    if (refusal !== undefined || certificate === undefined || identity === undefined) {
      const reason = refusal ?? 'peer_no_certificate';
      this.refused(reason, { direction, address: addressOf(socket), identity });
      return reason;
    }
    this.#open.set(socket, { certificate, identity, direction });
    socket.once('close', () => this.#open.delete(socket));
    return undefined;
  }

  /** Returns whether a certificate would be admitted now. */
  accepts(certificate: X509Certificate, expected: Expected): boolean {
    return this.#verdictOn(certificate, expected).refusal === undefined;
  }

  /** Reports a refusal. */
  refused(reason: PeerRefusal, peer: RefusedPeer): void {
    this.#options.events.refused(reason, peer);
  }

  /** Reads other files from now on. */
  async useFiles(files: CertificateFiles): Promise<void> {
    this.#files = files;
    this.#watched = watchedOf(files);
    this.#watched.noteRead();
    await this.#readAgain();
  }

  /** Reads the files now, whether they have changed or not. Never rejects. */
  reload(): Promise<void> {
    this.#watched.noteRead();
    return this.#readAgain();
  }

  /** Other keys for session tickets, in all threads that share the address. */
  setTicketKeys(keys: Buffer): void {
    this.#ticketKeys = ticketKeysFor(keys);
    for (const listener of this.#listeners) listener();
  }

  close(): void {
    this.#poll.close();
  }

  async #look(): Promise<void> {
    if (await this.#watched.hasChanged()) await this.#readAgain();
    else this.#checkTimes();
  }

  #readAgain(): Promise<void> {
    this.#reading = this.#reading.then(() => this.#read());
    return this.#reading;
  }

  async #read(): Promise<void> {
    const { own, now, events } = this.#options;
    try {
      this.#material = await materialOf(readTexts(this.#files), this.#files, own, now());
    } catch (error) {
      events.faulty(error as Error);
      return;
    }
    events.loaded(this.#material.expiresAt);
    for (const listener of this.#listeners) listener();
    for (const [socket, { certificate }] of this.#open) this.#checkAgain(socket, this.#verdictOn(certificate));
  }

  /** A certificate may end while its connection is open. */
  #checkTimes(): void {
    const now = this.#options.now();
    for (const [socket, { certificate, identity }] of this.#open) {
      const refusal = timeRefusal(certificate, now);
      if (refusal !== undefined) this.#checkAgain(socket, { refusal, identity });
    }
  }

  #checkAgain(socket: TLSSocket, { refusal, identity }: PeerVerdict): void {
    const admitted = this.#open.get(socket);
    if (refusal === undefined || admitted === undefined) return;
    this.#open.delete(socket);
    this.refused(refusal, {
      direction: admitted.direction,
      address: addressOf(socket),
      identity,
      detail: 'the connection was open',
    });
    socket.destroy();
  }

  #verdictOn(certificate: X509Certificate | undefined, expected?: Expected): PeerVerdict {
    const verdict = checkPeer(certificate, this.#material.trusted, this.#options.now());
    if (expected === undefined || verdict.refusal !== undefined) return verdict;
    const refusal = expectationRefusal(verdict.identity, expected);
    return refusal === undefined ? verdict : { refusal, identity: verdict.identity };
  }
}

/** A session is resumed for this long; each resumption is checked as a handshake is. */
const SESSION_SECONDS = 3_600;

/** Keys for tickets of nodes, apart from those of visitors. */
function ticketKeysFor(keys: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', keys, '', 'seawall nodes', keys.length));
}

function watchedOf({ cert_file, key_file, ca_file, crl_file }: CertificateFiles): WatchedFiles {
  return new WatchedFiles([cert_file, key_file, ca_file, ...(crl_file === undefined ? [] : [crl_file])]);
}

/** @param connection - A server's socket. @returns HOST:PORT of the other side. */
export function addressOf(connection: object): string {
  const { remoteAddress = '', remotePort } = connection as Partial<TLSSocket>;
  return `${remoteAddress}:${remotePort ?? ''}`;
}
