/**
 * Visitors of an address, HOST:PORT: as many as the second argument says ask
 * once and stay; then one of them asks again and again, as often as it is told.
 * @module
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const [, , address = '', count = '0'] = process.argv;
const REQUEST = 'GET / HTTP/1.1\r\nHost: site.test\r\nAccept-Encoding: gzip\r\nUser-Agent: idle\r\n\r\n';
const AT_ONCE = 100;

/** So many from one address: half of what `limits.connections_per_address` lets one have by default. */
const PER_SOURCE = 1_000;

const visit = async (index: number): Promise<Socket> => {
  const colon = address.lastIndexOf(':');
  const localAddress = `127.0.0.${2 + Math.floor(index / PER_SOURCE)}`;
  const socket = connect({ port: Number(address.slice(colon + 1)), host: address.slice(0, colon), localAddress });
  socket.write(REQUEST);
  await once(socket, 'data');
  return socket;
};

async function visits(total: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  while (sockets.length < total) {
    const { length } = sockets;
    sockets.push(...(await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => visit(length + index)))));
  }
  return sockets;
}

for (const socket of await visits(AT_ONCE)) socket.destroy();
process.send?.('warm');
await once(process, 'message');
const kept = await visits(Number(count));
process.send?.(kept.length);

const [regular] = kept as [Socket];
let left = 0;
regular.on('data', () => {
  if (--left > 0) regular.write(REQUEST);
  else process.send?.('answered');
});
process.on('message', (times) => {
  left = Number(times);
  regular.write(REQUEST);
});
