import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { test } from 'tap';
import { makeCertificate } from '../support/certificate.ts';
import { startNetwork } from '../support/network.ts';
import { ask } from '../support/visitor.ts';

for (const { rule, name, status } of [
  {
    rule: 'the name that the config says is asked for and verified, whatever Host is',
    name: 'origin.test',
    status: 200,
  },
  { rule: 'by default it is Host, which the certificate is not for', name: undefined, status: 502 },
]) {
  test(`an origin over TLS: ${rule}`, async (t) => {
    const { cert, key, cert_file } = makeCertificate(t.testdir(), 'origin', ['origin.test']);
    const asked: unknown[] = [];
    const server = createServer({ cert, key }, ({ socket }, response) => {
      asked.push((socket as TLSSocket & { servername?: string }).servername);
      response.end('hello');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const network = await startNetwork({
      origin: `https://127.0.0.1:${port}`,
      access: { tls: { ca_file: cert_file, ...(name !== undefined && { server_name: name }) } },
    });
    t.teardown(async () => {
      await network.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    for (const method of ['GET', 'POST']) t.match(await ask(network.at('eu-1'), '/', { method }), { status });
    t.strictSame(asked, status === 200 ? [name, name] : []);
  });
}
