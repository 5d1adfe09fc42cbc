/**
 * The floor of a miss in Node, as a process of its own: `node:net` alone, which copies what a visitor sends to a
 * connection to the origin, and what comes back to the visitor. It reads no HTTP and keeps nothing, so it shows what
 * two reads and two writes take.
 * @module
 */
import { connect, createServer, type Socket } from 'node:net';

const [port = 0, originPort = 0] = process.argv.slice(2).map(Number);

const server = createServer({ noDelay: true }, (visitor) => {
  const origin = connect({ port: originPort, host: '127.0.0.1', noDelay: true });
  copy(visitor, origin);
  copy(origin, visitor);
});
server.listen(port, '127.0.0.1', () => process.stdout.write('ready\n'));

function copy(from: Socket, to: Socket): void {
  from.on('data', (bytes: Buffer) => to.write(bytes));
  from.on('error', () => to.destroy());
  from.on('close', () => to.destroy());
}
