/** Timeouts of sockets: not restarted while our servers read them, restarted again for `node:http`. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type Test, test } from 'tap';
import { restoreTimer, skipTimer } from '../../../http/node-internals/read-timers.ts';
import { shareReads } from '../../../http/node-internals/shared-reads.ts';

/** A connection, and a function that sends a byte over it and says how often that has restarted the timeout. */
async function connection(t: Test): Promise<{ accepted: Socket; restarts: () => Promise<number> }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [accepted] = (await once(server, 'connection')) as [Socket];
  t.teardown(() => {
    client.destroy();
    accepted.destroy();
    server.close();
  });
  accepted.setTimeout(60_000);
  let restarted = 0;
  const slot = Object.getOwnPropertySymbols(accepted).find(({ description }) => description === 'timeout') as symbol;
  const timer = (accepted as unknown as Record<symbol, NodeJS.Timeout>)[slot] as NodeJS.Timeout;
  timer.refresh = () => {
    restarted += 1;
    return timer;
  };
  const restarts = async (): Promise<number> => {
    const before = restarted;
    const read = once(accepted, 'read');
    client.write('x');
    await read;
    return restarted - before;
  };
  return { accepted, restarts };
}

test('a read restarts the timeout of a socket', async (t) => {
  const { accepted, restarts } = await connection(t);
  accepted.on('data', () => accepted.emit('read'));
  t.equal(await restarts(), 1);
});

test('a shared read restarts no timeout, until the socket is for node:http', async (t) => {
  const { accepted, restarts } = await connection(t);
  t.ok(shareReads(accepted, () => accepted.emit('read')));
  accepted.resume();
  t.equal(await restarts(), 0);
  restoreTimer(accepted);
  t.equal(await restarts(), 1);
  skipTimer(accepted);
  t.equal(await restarts(), 0);
});

test('a socket whose timeout was never skipped stays as it is', async (t) => {
  const { accepted } = await connection(t);
  const before = Object.getOwnPropertySymbols(accepted);
  restoreTimer(accepted);
  t.strictSame(Object.getOwnPropertySymbols(accepted), before);
});
