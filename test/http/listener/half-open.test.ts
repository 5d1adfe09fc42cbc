import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'tap';
import { closeWhenSilent, MAX_HALF_OPEN } from '../../../http/listener/half-open.ts';

test('above the maximum, the connection that has waited for longest is closed', async (t) => {
  const accepted: Socket[] = [];
  const enough = Promise.withResolvers<void>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    accepted.push(socket.on('error', () => undefined));
    if (accepted.length === MAX_HALF_OPEN + 2) enough.resolve();
  }).listen({ port: 0, host: '127.0.0.1', backlog: 4_096 });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const clients = Array.from({ length: MAX_HALF_OPEN + 2 }, () =>
    connect({ port, host: '127.0.0.1' }).on('error', () => undefined),
  );
  t.teardown(() => {
    for (const socket of [...clients, ...accepted]) socket.destroy();
    server.close();
  });
  await enough.promise;
  for (const socket of accepted.slice(0, MAX_HALF_OPEN)) closeWhenSilent(socket, () => true);
  t.equal(accepted.filter(({ destroyed }) => destroyed).length, 0);
  accepted[0]?.destroy(); // one that has gone makes room
  await once(accepted[0] as Socket, 'close');
  closeWhenSilent(accepted[MAX_HALF_OPEN] as Socket, () => true);
  t.equal(accepted[1]?.destroyed, false);
  closeWhenSilent(accepted[MAX_HALF_OPEN + 1] as Socket, () => true);
  t.equal(accepted[1]?.destroyed, true);
  t.equal(accepted[2]?.destroyed, false);
});
