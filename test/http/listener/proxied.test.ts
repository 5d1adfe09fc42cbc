/** A PROXY header in front of TLS: the address has to arrive behind the handshake. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createServer, connect as secureConnect } from 'node:tls';
import { type Test, test } from 'tap';
import { expectProxyHeaders } from '../../../http/listener/proxied.ts';

function certificate(t: Test): { key: Buffer; cert: Buffer } {
  const folder = t.testdir({});
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const subject = ['-subj', '/CN=site.test', '-days', '1'];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  execFileSync('openssl', ['req', '-x509', ...kind, '-keyout', key, '-out', cert, ...subject], { stdio: 'ignore' });
  return { key: readFileSync(key), cert: readFileSync(cert) };
}

for (const { what, pieces } of [
  { what: 'with the handshake behind it', pieces: 1 },
  { what: 'byte by byte', pieces: 100 },
]) {
  test(`a PROXY header before TLS, ${what}`, async (t) => {
    const seen: unknown[] = [];
    const server = createServer(certificate(t), (socket) => {
      seen.push(socket.remoteAddress);
      socket.end('hello');
    });
    const proxied = expectProxyHeaders(server, { isExpected: () => true, timeoutMs: () => 5_000 });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => {
      proxied.close();
      server.close();
    });
    const raw = connect((server.address() as AddressInfo).port, '127.0.0.1');
    raw.setNoDelay(true);
    await once(raw, 'connect');
    const header = Buffer.from('PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n');
    const size = Math.ceil(header.length / pieces);
    if (pieces === 1) {
      // Both in one write: what comes behind the header is read by it as well, and must not get lost.
      raw.cork();
      raw.write(header);
      process.nextTick(() => raw.uncork());
    } else {
      for (let at = 0; at < header.length; at += size) {
        raw.write(header.subarray(at, at + size));
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    const client = secureConnect({ socket: raw, rejectUnauthorized: false });
    const [chunk] = (await once(client, 'data')) as [Buffer];
    t.equal(String(chunk), 'hello');
    t.strictSame(seen, ['2001:db8::7']);
    client.destroy();
  });
}

test('connections that wait for their PROXY header do not delay a shutdown', async (t) => {
  const server = createServer({});
  const sockets: Socket[] = [];
  server.on('connection', (socket: Socket) => sockets.push(socket));
  const proxied = expectProxyHeaders(server, { isExpected: () => true, timeoutMs: () => 60_000 });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.on('error', () => undefined);
  client.write('PROXY ');
  await once(server, 'connection');
  server.close();
  proxied.close();
  await once(server, 'close');
  t.strictSame(sockets, [], 'nobody else has seen it');
});
