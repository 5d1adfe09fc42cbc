/** Probes of addresses: open, refused, and silent ones. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'tap';
import { takesConnections } from '../../geo/takes-connections.ts';

test('an address that is open is told from one that is closed and from one that cannot be asked', async (t) => {
  const server = createServer((socket) => socket.resume());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const seen = once(server, 'connection');
  t.equal(await takesConnections(`127.0.0.1:${port}`, 1_000), true);
  const [socket] = await seen;
  if (!socket.closed) await once(socket, 'close');
  t.equal(socket.bytesRead, 0, 'nothing was sent');
  await new Promise((resolve) => server.close(resolve));
  t.equal(await takesConnections(`127.0.0.1:${port}`, 1_000), false);
  t.equal(await takesConnections('nowhere.invalid:80', 1_000), undefined);
  t.equal(await takesConnections('127.0.0.1:0', 1_000), true, 'port 0 is not known, and counts as in use');
});

test('an address that does not answer is given up in time', async (t) => {
  // TEST-NET-1 (RFC 5737): packets to it go nowhere, or are refused by a router.
  const began = performance.now();
  t.not(await takesConnections('192.0.2.1:9', 50), true);
  t.ok(performance.now() - began < 5_000);
});
