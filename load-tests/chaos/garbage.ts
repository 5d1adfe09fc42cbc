/**
 * A process in the place of a node, at its addresses: it accepts every connection, and answers what is no HTTP and no
 * TLS.
 * @module
 */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';

const GARBAGE_BYTES = 2_000;

let listening = 0;
const addresses = process.argv.slice(2);
for (const address of addresses) {
  const colon = address.lastIndexOf(':');
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', () => socket.end(randomBytes(GARBAGE_BYTES)));
  });
  server.listen(Number(address.slice(colon + 1)), address.slice(0, colon), () => {
    listening++;
    if (listening === addresses.length) process.send?.('listening');
  });
}
process.on('disconnect', () => process.exit());
