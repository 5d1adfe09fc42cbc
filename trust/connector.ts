/**
 * Connections of this node to others: by TLS with certificates on both sides, for our own client and for undici.
 * @module
 */
import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { type ConnectionOptions, connect as connectSecurely, type SecureContext, type TLSSocket } from 'node:tls';
import type { buildConnector } from 'undici';
import type { PeerHandshake, PeerTls } from '../http/upstream/pool.ts';
import type { NodeCertificates } from './node-certificates.ts';
import type { Expected } from './peer-check.ts';
import type { PeerRefusal } from './refusals.ts';

/** @returns TLS towards a node, for our own client. */
export function peerTls(certificates: NodeCertificates, expected: Expected): PeerTls {
  return new NodePeerTls(certificates, expected);
}

/** A session that can be resumed. */
interface Resumable {
  readonly session: Buffer;
  /** Context that it was made with: another one may have another certificate of this node. */
  readonly context: SecureContext;
  /** Certificate of the other side: Node does not show it again when the session is resumed. */
  readonly certificate: X509Certificate;
}

class NodePeerTls implements PeerTls {
  readonly #certificates: NodeCertificates;
  readonly #expected: Expected;
  #last: Resumable | undefined;

  constructor(certificates: NodeCertificates, expected: Expected) {
    this.#certificates = certificates;
    this.#expected = expected;
  }

  begin(): PeerHandshake {
    const { secureContext } = this.#certificates;
    const last = this.#last;
    const isUsable = last?.context === secureContext && this.#certificates.accepts(last.certificate, this.#expected);
    return new Handshake(this, secureContext, isUsable ? last : undefined);
  }

  admit(socket: TLSSocket, certificate: X509Certificate | undefined): PeerRefusal | undefined {
    return this.#certificates.admit(socket, certificate, this.#expected);
  }

  remember(resumable: Resumable | undefined): void {
    this.#last = resumable;
  }
}

class Handshake implements PeerHandshake {
  readonly secureContext: SecureContext;
  readonly #peer: NodePeerTls;
  readonly #resumed: Resumable | undefined;
  #certificate: X509Certificate | undefined;

  constructor(peer: NodePeerTls, secureContext: SecureContext, resumed: Resumable | undefined) {
    this.#peer = peer;
    this.secureContext = secureContext;
    this.#resumed = resumed;
  }

  get session(): Buffer | undefined {
    return this.#resumed?.session;
  }

  check(socket: TLSSocket): PeerRefusal | undefined {
    // The key of a session is known to the two sides that have made it, and to no other.
    this.#certificate = socket.isSessionReused() ? this.#resumed?.certificate : socket.getPeerX509Certificate();
    return this.#peer.admit(socket, this.#certificate);
  }

  remember(session: Buffer): void {
    const certificate = this.#certificate;
    if (certificate !== undefined) this.#peer.remember({ session, context: this.secureContext, certificate });
  }

  forget(): void {
    this.#peer.remember(undefined);
  }
}

export interface Connections {
  /** For undici's pools. */
  readonly connect: buildConnector.connector | { readonly timeout: number };
  /** True if the connection says who calls. */
  readonly isEncrypted: boolean;
}

/** @throws {TypeError} for an `https` URL without certificates, which the config refuses. */
export function connectionsTo(
  url: string,
  expected: Expected,
  certificates: NodeCertificates | undefined,
  timeoutMs: number,
): Connections {
  if (!url.startsWith('https:')) return { connect: { timeout: timeoutMs }, isEncrypted: false };
  if (certificates === undefined) throw new TypeError(`${url} needs certificates`);
  return { connect: connectorTo(peerTls(certificates, expected), timeoutMs), isEncrypted: true };
}

/** The other node is not the one that was asked. */
class PeerRefusedError extends Error {
  override readonly name = 'PeerRefusedError';
  readonly code = 'peer_refused';
}

function connectorTo(peer: PeerTls, timeoutMs: number): buildConnector.connector {
  return ({ hostname, port }, callback) => {
    const handshake = peer.begin();
    const { secureContext, session } = handshake;
    const options: ConnectionOptions = {
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      port: Number(port || 443),
      secureContext,
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: false, // `check` decides, and says why
      ...(isIP(hostname) === 0 && !hostname.startsWith('[') && { servername: hostname }),
      ...(session !== undefined && { session }),
    };
    const socket = connectSecurely(options);
    socket.setNoDelay(true);
    const fail = (error: Error): void => {
      handshake.forget();
      socket.destroy();
      settle(error, null);
    };
    const timer = setTimeout(() => fail(new Error(`no connection within ${timeoutMs} ms`)), timeoutMs);
    const settle = (...result: Parameters<typeof callback>): void => {
      clearTimeout(timer);
      socket.off('error', fail);
      socket.off('close', onClose);
      callback(...result);
    };
    const onClose = (): void => fail(new Error('the connection closed during the handshake'));
    socket.on('session', (next: Buffer) => handshake.remember(next));
    socket.once('error', fail);
    socket.once('close', onClose);
    socket.once('secureConnect', () => {
      const refusal = handshake.check(socket);
      if (refusal === undefined) settle(null, socket);
      else fail(new PeerRefusedError(refusal));
    });
  };
}
