/**
 * A client that writes exactly these bytes and tells exactly what came back.
 * @module
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** @returns Everything that the other side sent until it closed the connection. */
export async function exchange(address: string, bytes: string | Buffer): Promise<string> {
  const socket = dial(address);
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  return everything(socket);
}

export function dial(address: string): Socket {
  const colon = address.lastIndexOf(':');
  const socket = connect(Number(address.slice(colon + 1)), address.slice(0, colon));
  socket.on('error', () => undefined); // a reset ends what is read, like a close
  return socket;
}

/** Reads until the other side closes. */
export async function everything(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  socket.once('end', () => socket.end());
  socket.resume();
  if (!socket.destroyed) await once(socket, 'close').catch(() => undefined); // 'error' came first
  return text;
}

/** Reads until `pattern` matches what has come, or the other side closes. */
export async function until(socket: Socket, pattern: RegExp): Promise<string> {
  let text = '';
  return new Promise((resolve) => {
    const onData = (chunk: Buffer): void => {
      text += chunk.toString('latin1');
      if (pattern.test(text)) done();
    };
    const done = (): void => {
      socket.off('data', onData);
      socket.off('close', done);
      resolve(text);
    };
    socket.on('data', onData);
    socket.on('close', done);
  });
}

/** @returns The status codes of the responses in a text, in order. */
export function statuses(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.[01] (\d{3})/g)].map(([, code]) => Number(code));
}
