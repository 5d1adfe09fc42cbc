import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type Test, test } from 'tap';
import { endLingering, LINGER, type LingerBounds, linger } from '../../../http/listener/linger.ts';
import { dial } from '../../support/raw-client.ts';

interface Lingering {
  readonly client: Socket;
  readonly socket: Socket;
  readonly server: object;
}

/** A connection that the server has ended, and lingers on. */
async function lingering(t: Test, bounds: Partial<LingerBounds>): Promise<Lingering> {
  const sockets = Promise.withResolvers<Socket>();
  const server = createServer({ allowHalfOpen: true }, sockets.resolve);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = dial(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  const socket = await sockets.promise;
  t.teardown(() => {
    client.destroy();
    socket.destroy();
    server.close();
  });
  socket.end('the answer');
  linger(socket, { ...LINGER, ...bounds });
  return { client, socket, server };
}

test('a connection is closed when the other side closes', async (t) => {
  const { client, socket } = await lingering(t, {});
  client.resume();
  client.end('the rest of an upload');
  await once(socket, 'close');
  t.ok(socket.destroyed);
});

for (const { bound, bounds, act } of [
  { bound: 'the other side is silent', bounds: { silenceMs: 20 }, act: () => undefined },
  { bound: 'its time is up', bounds: { maxMs: 20 }, act: () => undefined },
  { bound: 'more comes than is read', bounds: { maxBytes: 10 }, act: (client: Socket) => client.write('x'.repeat(11)) },
]) {
  test(`a connection is closed when ${bound}`, async (t) => {
    const { client, socket } = await lingering(t, bounds);
    act(client);
    await once(socket, 'close');
    t.ok(socket.destroyed);
  });
}
test('connections that linger end with their server', async (t) => {
  const { socket, server } = await lingering(t, {});
  endLingering(server);
  t.ok(socket.destroyed);
});
