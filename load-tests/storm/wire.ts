/**
 * A node's way to the control node: every connection goes through here, where
 * it can be cut, or held so that nothing arrives and nothing breaks.
 * @module
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export type WireState = 'open' | 'cut' | 'held';

export interface Wire {
  readonly port: number;
  /** `cut`: connections break, new ones too; `held`: they stay, and nothing passes until the wire is open again. */
  set(state: WireState): void;
  /** Resolves when the control node has been heard by the node, from now on. */
  nextRecord(): Promise<void>;
}

/** @param target - Port on loopback that it leads to. */
export async function layWire(target: number): Promise<Wire> {
  let state: WireState = 'open';
  let listeners: (() => void)[] = [];
  const sockets = new Set<Socket>();

  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy()); // 'close' follows, which is what counts
    socket.once('close', () => sockets.delete(socket));
  };
  const pass = (from: Socket, to: Socket, onData: () => void): void => {
    from.on('data', (chunk) => {
      onData();
      if (!to.write(chunk)) from.pause();
    });
    to.on('drain', () => {
      if (state !== 'held') from.resume();
    });
    from.once('close', () => to.destroy());
    if (state === 'held') from.pause();
  };

  const server = createServer((near) => {
    if (state === 'cut') {
      near.destroy();
      return;
    }
    const far = connect(target, '127.0.0.1');
    keep(near);
    keep(far);
    pass(near, far, () => undefined);
    pass(far, near, () => {
      for (const listener of listeners) listener();
      listeners = [];
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    set(next) {
      state = next;
      for (const socket of sockets) {
        if (next === 'cut') socket.destroy();
        else if (next === 'held') socket.pause();
        else socket.resume();
      }
    },
    nextRecord: () =>
      new Promise((resolve) => {
        listeners.push(resolve);
      }),
  };
}
