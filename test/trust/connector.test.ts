/** Connections to other nodes: who is at the other end is checked before anything is sent, and waiting has an end. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createServer as createSecureServer } from 'node:tls';
import { type Test, test } from 'tap';
import type { buildConnector } from 'undici';
import { wallNow } from '../../lib/clock.ts';
import { connectionsTo, peerTls } from '../../trust/connector.ts';
import { NodeCertificates } from '../../trust/node-certificates.ts';
import { makeTrust, type TestTrust } from '../support/trust.ts';

const PATIENCE_MS = 60_000;

async function certificatesOf(t: Test, trust: TestTrust) {
  trust.issue('edge', 'eu-1', 'eu');
  trust.issue('control', 'control', 'eu');
  const file = (name: string): string => join(trust.folder, name);
  const refused: string[] = [];
  const certificates = await NodeCertificates.open({
    files: { cert_file: file('eu-1.pem'), key_file: file('eu-1.key'), ca_file: file('ca.pem') },
    own: { network: 'seawall', role: 'edge', name: 'eu-1', region: 'eu' },
    now: wallNow,
    intervalMs: PATIENCE_MS,
    events: { loaded: () => undefined, faulty: () => undefined, refused: (reason) => void refused.push(reason) },
  });
  t.teardown(() => certificates.close());
  return { certificates, refused };
}

async function listening(t: Test, server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => undefined)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A node that shows this certificate. @returns Its port, and what it was sent. */
async function nodeWith(t: Test, { folder }: TestTrust, name: string) {
  const file = (ending: string): Buffer => readFileSync(join(folder, `${name}.${ending}`));
  const sent: Buffer[] = [];
  const server = createSecureServer({
    cert: file('pem'),
    key: file('key'),
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
  });
  server.on('tlsClientError', () => undefined);
  server.on('secureConnection', (socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => void sent.push(bytes));
  });
  return { port: await listening(t, server), sent };
}

function connect(
  port: number,
  { connect: by }: ReturnType<typeof connectionsTo>,
): Promise<{ error: (Error & { code?: string }) | null; socket: Socket | null; calls: () => number }> {
  let calls = 0;
  return new Promise((resolve) => {
    const options = { hostname: '127.0.0.1', port: String(port), protocol: 'https:' } as buildConnector.Options;
    (by as buildConnector.connector)(options, (error, socket) => {
      calls++;
      resolve({ error, socket, calls: () => calls });
    });
  });
}

test('without TLS there is nothing to check; with it, there have to be certificates', async (t) => {
  t.match(connectionsTo('http://127.0.0.1:1', { role: 'control' }, undefined, 5), {
    isEncrypted: false,
    connect: { timeout: 5 },
  });
  t.throws(() => connectionsTo('https://127.0.0.1:1', { role: 'control' }, undefined, 5), /needs certificates/);
});

test('the node that was meant is connected to, and known', async (t) => {
  const trust = makeTrust(t.testdir());
  const { certificates, refused } = await certificatesOf(t, trust);
  const { port } = await nodeWith(t, trust, 'control');
  const url = `https://127.0.0.1:${port}`;
  const { error, socket } = await connect(port, connectionsTo(url, { role: 'control' }, certificates, PATIENCE_MS));
  t.equal(error, null);
  t.match(certificates.identityOn(socket as Socket), { role: 'control', name: 'control' });
  t.same(refused, []);
  socket?.destroy();
});

for (const { what, network, role, reason } of [
  { what: 'of another role', network: 'seawall', role: 'shield', reason: 'peer_wrong_role' },
  { what: 'of another authority', network: 'seawall', role: 'control', reason: 'peer_wrong_ca' },
] as const) {
  test(`a node ${what} is refused before it is sent anything`, async (t) => {
    const trust = makeTrust(t.testdir());
    const { certificates, refused } = await certificatesOf(t, trust);
    const other = reason === 'peer_wrong_ca' ? makeTrust(t.testdir({ other: {} }), network) : trust;
    other.issue(role, 'other', 'eu');
    const { port, sent } = await nodeWith(t, other, 'other');
    const url = `https://127.0.0.1:${port}`;
    const { error, socket } = await connect(port, connectionsTo(url, { role: 'control' }, certificates, PATIENCE_MS));
    t.equal(error?.code, 'peer_refused');
    t.match(error?.message, reason);
    t.equal(socket, null);
    t.same(refused, [reason]);
    t.same(sent, []);
  });
}

test('a port that says nothing is given up on after the time limit, and one that closes at once', async (t) => {
  const { certificates } = await certificatesOf(t, makeTrust(t.testdir()));
  const silent = await listening(t, createServer());
  const closing = await listening(
    t,
    createServer((socket) => socket.destroy()),
  );
  const to = (port: number, timeoutMs: number) =>
    connect(port, connectionsTo(`https://127.0.0.1:${port}`, { role: 'control' }, certificates, timeoutMs));
  const late = await to(silent, 50);
  t.match(late.error?.message, 'no connection within 50 ms');
  const closed = await to(closing, PATIENCE_MS);
  t.ok(closed.error);
  for (const { calls } of [late, closed]) t.equal(calls(), 1, 'the caller hears of it once');
});

test('a session is kept for the context that it was made with, and forgotten after a failure', async (t) => {
  const trust = makeTrust(t.testdir());
  const { certificates } = await certificatesOf(t, trust);
  const peer = peerTls(certificates, { role: 'control' });
  const handshake = peer.begin();
  t.equal(handshake.session, undefined);
  handshake.remember(Buffer.from('before any certificate was seen'));
  t.equal(peer.begin().session, undefined, 'it belongs to no known node');
});
