/**
 * A relay in front of a server that can hang, as a stopped process does: connections are accepted, nothing is read and
 * nothing is written any more.
 * @module
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface Relay {
  /** HOST:PORT. */
  readonly address: string;
  readonly url: string;
  /** Connections that were opened to it. */
  readonly connections: number;
  /** Server that it passes on to, as HOST:PORT. */
  target: string;
  hang(): void;
  goOn(): void;
  close(): Promise<void>;
}

export async function startRelay(target = ''): Promise<Relay> {
  const sockets = new Set<Socket>();
  /** Connections that wait until the relay goes on. */
  const accepted = new Set<() => void>();
  let isHung = false;
  let connections = 0;
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => undefined); // either side may go away
    socket.once('close', () => sockets.delete(socket));
  };
  const server = createServer({ pauseOnConnect: true }, (near) => {
    connections++;
    keep(near);
    const begin = (): void => {
      const [host = '', port] = relay.target.split(':');
      const far = connect(Number(port), host);
      keep(far);
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        from.on('data', (chunk) => void to.write(chunk));
        from.once('close', () => to.destroy());
      }
      near.resume();
    };
    if (isHung) accepted.add(begin);
    else begin();
  });
  const relay = {
    address: '',
    url: '',
    get connections() {
      return connections;
    },
    target,
    hang: () => {
      isHung = true;
      for (const socket of sockets) socket.pause();
    },
    goOn: () => {
      isHung = false;
      for (const begin of accepted) begin();
      accepted.clear();
      for (const socket of sockets) socket.resume();
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  relay.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  relay.url = `http://${relay.address}`;
  return relay;
}
