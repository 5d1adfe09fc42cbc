/**
 * TLS at the edge: certificates by name, sessions that are resumed, and what
 * gets no further than the handshake.
 */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, get } from 'node:https';
import { connect } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { type Test, test } from 'tap';
import { makeTicketKeys } from '../../../http/listener/tls-options.ts';
import { startOrigin, startTcp, text } from '../../support/origin.ts';
import { until } from '../../support/raw-client.ts';
import { dialTls, type SecureEdge, type SecureSite, startSecureEdge } from '../../support/secure-edge.ts';

const SITES: readonly SecureSite[] = [
  { name: 'one', hosts: ['one.test', 'www.one.test'] },
  { name: 'wild', hosts: ['*.wild.test'] },
];

async function edgeFor(
  t: Test,
  sites: readonly SecureSite[] = SITES,
  limits: Parameters<typeof startSecureEdge>[3] = {},
): Promise<SecureEdge> {
  const origin = await startOrigin(text('hello', { 'Cache-Control': 'max-age=60' }));
  t.teardown(() => origin.close());
  return startSecureEdge(t, origin.url, sites, limits);
}

function nameShown(socket: TLSSocket): string {
  const { CN } = socket.getPeerCertificate().subject;
  socket.destroy();
  return String(CN);
}

for (const { asks, shown } of [
  { asks: 'one.test', shown: 'one' },
  { asks: 'www.ONE.test', shown: 'one' },
  { asks: 'a.wild.test', shown: 'wild' },
]) {
  test(`a client that asks for ${asks} gets the certificate of ${shown}`, async (t) => {
    const { port } = await edgeFor(t);
    t.equal(nameShown(await dialTls(port, asks)), shown);
  });
}

test('RFC 6066, section 3: an unknown name is refused with its alert', async (t) => {
  const edge = await edgeFor(t);
  await t.rejects(dialTls(edge.port, 'other.test'), { code: 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME' });
  await t.rejects(dialTls(edge.port, ''), 'and so is no name');
  t.equal(await edge.count('seawall_connections_refused_total', { reason: 'tls_unknown_name' }), 1);
  t.equal(nameShown(await dialTls(edge.port, 'one.test')), 'one');
});

test('a site for any host has a certificate for any name, and for none', async (t) => {
  const { port } = await edgeFor(t, [...SITES, { name: 'any', hosts: ['*'] }]);
  t.equal(nameShown(await dialTls(port, 'other.test')), 'any');
  t.equal(nameShown(await dialTls(port, '')), 'any');
  t.equal(nameShown(await dialTls(port, 'one.test')), 'one');
});

test('TLS 1.2 is the oldest version', async (t) => {
  const { port } = await edgeFor(t);
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' } as const;
  await t.rejects(dialTls(port, 'one.test', old));
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const socket = await dialTls(port, 'one.test', { minVersion: version, maxVersion: version });
    t.equal(socket.getProtocol(), version);
    t.match(socket.getCipher().standardName, /GCM|POLY1305/);
    socket.destroy();
  }
});

for (const { offers, gets } of [
  { offers: ['h2', 'http/1.1'], gets: 'h2' },
  { offers: ['http/1.1'], gets: 'http/1.1' },
  { offers: [], gets: false },
]) {
  test(`ALPN: ${offers.join() || 'nothing'}`, async (t) => {
    const { port } = await edgeFor(t);
    const socket = await dialTls(port, 'one.test', offers.length > 0 ? { ALPNProtocols: offers } : {});
    t.equal(socket.alpnProtocol, gets);
    socket.destroy();
  });
}

test('RFC 7301: an unsupported protocol is refused', async (t) => {
  const { port } = await edgeFor(t);
  await t.rejects(dialTls(port, 'one.test', { ALPNProtocols: ['smtp'] }), { code: /NO_APPLICATION_PROTOCOL/ });
});

test('HTTP/1.1 gets prepared bytes, connection after connection', async (t) => {
  const { port, node } = await edgeFor(t);
  const socket = await dialTls(port, 'one.test');
  for (let i = 0; i < 4; i++) {
    socket.write('GET /a HTTP/1.1\r\nHost: one.test\r\n\r\n');
    t.match(await until(socket, /hello/), /^HTTP\/1\.1 200 OK/);
  }
  t.equal(node.answeredPrepared, 3);
  socket.write('GET /a HTTP/1.1\r\nHost: one.test\r\nConnection: close\r\n\r\n');
  t.match(await until(socket, /hello/), /Connection: close/);
});

for (const bytes of [1, 16_000, 20_000, 60_000, 70_000, 600_000, 3_000_000]) {
  test(`HTTP/1.1 requests one after the other: ${bytes} bytes`, async (t) => {
    const origin = await startOrigin(text('x'.repeat(bytes), { 'Cache-Control': 'max-age=60' }));
    t.teardown(() => origin.close());
    const { port } = await startSecureEdge(t, origin.url, SITES);
    const agent = new Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false, servername: 'one.test' });
    t.teardown(() => agent.destroy());
    const ask = async (): Promise<number> => {
      const options = { agent, host: '127.0.0.1', port, path: '/', headers: { Host: 'one.test' } };
      const [response] = (await once(get(options), 'response')) as [IncomingMessage];
      let length = 0;
      for await (const chunk of response) length += (chunk as Buffer).length;
      return length;
    };
    for (let i = 0; i < 4; i++) t.equal(await ask(), bytes);
    t.equal(origin.requests.length, 1);
  });
}

async function sessionOf(port: number, options: object): Promise<{ session: Buffer; reused: boolean }> {
  const socket = await dialTls(port, 'one.test', options);
  const reused = socket.isSessionReused();
  socket.write('GET /a HTTP/1.1\r\nHost: one.test\r\n\r\n');
  await until(socket, /hello/);
  const session = socket.getSession() ?? Buffer.alloc(0); // in TLS 1.3 its ticket comes behind the handshake
  socket.destroy();
  return { session, reused };
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`a session is resumed until the ticket keys rotate: ${version}`, async (t) => {
    const { port, node } = await edgeFor(t);
    const only = { minVersion: version, maxVersion: version };
    const { session, reused } = await sessionOf(port, only);
    t.notOk(reused);
    const keys = makeTicketKeys();
    t.ok((await sessionOf(port, { ...only, session })).reused);
    node.setTicketKeys(keys);
    t.notOk((await sessionOf(port, { ...only, session })).reused);
    // Another edge with the same keys, as the workers of one machine have.
    const other = await edgeFor(t, [{ ...(SITES[0] as SecureSite) }]);
    const { session: mine } = await sessionOf(port, only);
    t.notOk((await sessionOf(other.port, { ...only, session: mine })).reused);
    other.node.setTicketKeys(keys);
    t.ok((await sessionOf(other.port, { ...only, session: mine })).reused);
  });
}

test('a reload uses other certificates, and sessions are resumed', async (t) => {
  const edge = await edgeFor(t, [...SITES, { name: 'any', hosts: ['*'] }]);
  const { session } = await sessionOf(edge.port, {});
  edge.node.reload({ ...edge.region, sites: edge.region.sites.filter(({ name }) => name !== 'any') });
  await t.rejects(dialTls(edge.port, 'other.test'));
  t.ok((await sessionOf(edge.port, { session })).reused);
  edge.node.reload(edge.region);
  t.equal(nameShown(await dialTls(edge.port, 'other.test')), 'any');
});

test('a websocket passes over TLS', async (t) => {
  const origin = await startTcp((socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nping');
  });
  t.teardown(() => origin.close());
  const { port } = await startSecureEdge(t, origin.url, SITES);
  const socket = await dialTls(port, 'one.test', { ALPNProtocols: ['http/1.1'] });
  socket.write('GET / HTTP/1.1\r\nHost: one.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
  t.match(await until(socket, /ping/), /^HTTP\/1\.1 101 Switching Protocols/);
  socket.destroy();
});

test('a client that never finishes the handshake is disconnected', async (t) => {
  const edge = await edgeFor(t, SITES, { handshake_timeout: '200ms' });
  const socket = connect(edge.port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(Buffer.from([22, 3, 1, 1, 0]));
  await once(socket, 'close');
  t.equal(await edge.count('seawall_connections_refused_total', { reason: 'tls_timeout' }), 1);
});

test('a reload changes the time for a handshake', async (t) => {
  const edge = await edgeFor(t, SITES, { handshake_timeout: '10m' });
  const { region, node } = edge;
  node.reload({ ...region, limits: { ...region.limits, handshake_timeout: 200 } });
  const socket = connect(edge.port, '127.0.0.1');
  socket.on('error', () => undefined).resume();
  await once(socket, 'close');
  t.equal(await edge.count('seawall_connections_refused_total', { reason: 'tls_timeout' }), 1);
});

test('plain HTTP at the port for TLS is closed, and counted', async (t) => {
  const edge = await edgeFor(t);
  const socket = connect(edge.port, '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nHost: one.test\r\n\r\n');
  socket.on('error', () => undefined).resume();
  await once(socket, 'close');
  t.equal(await edge.count('seawall_connections_refused_total'), 1);
});
