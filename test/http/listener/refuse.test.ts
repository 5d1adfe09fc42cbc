import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';
import { type Test, test } from 'tap';
import { HttpError } from '../../../http/errors.ts';
import { refuse } from '../../../http/listener/refuse.ts';
import { dial, everything } from '../../support/raw-client.ts';

async function listening(t: Test, onConnection: (socket: Socket) => void): Promise<string> {
  const server = createServer({ allowHalfOpen: true }, onConnection);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('a request that is refused has a page with its fields, and the connection closes', async (t) => {
  const address = await listening(t, (socket) => refuse(socket, new HttpError('header_too_large'), ['X-A', 'b']));
  const socket = dial(address);
  socket.write('GET / HTTP/1.1\r\n');
  const text = await everything(socket);
  t.match(text, /^HTTP\/1\.1 431 Request Header Fields Too Large\r\nConnection: close\r\n/);
  t.match(text, /\r\nX-A: b\r\n/);
});

test('a connection that takes nothing more is closed', async (t) => {
  const closed = Promise.withResolvers<void>();
  const address = await listening(t, (socket) => {
    socket.once('close', closed.resolve);
    socket.end();
    refuse(socket, new HttpError('bad_request'));
  });
  t.equal(await everything(dial(address)), '');
  await closed.promise;
});
