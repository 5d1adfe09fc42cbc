/**
 * Process of an origin that closes kept connections: the client's request may be on its way at that moment, which a
 * server in the client's own process never shows.
 * Arguments: a name of `CLOSINGS`. Sends its port to its parent.
 * @module
 */
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';

const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** Answers each request once its body is there, and then does something to the connection. */
function answering(closing: (socket: Socket) => void): Server {
  return createTcpServer((socket) => {
    socket.setNoDelay();
    socket.on('error', () => undefined); // the client may be in the middle of a request: that is what this is for
    let text = '';
    socket.on('data', (piece) => {
      text += piece.toString('latin1');
      for (let end = endOf(text); end >= 0 && end <= text.length; end = endOf(text)) {
        text = text.slice(end);
        socket.write(ANSWER);
        closing(socket);
      }
    });
  });
}

/** Returns the end of the first request, or -1. */
function endOf(text: string): number {
  const head = text.indexOf('\r\n\r\n');
  if (head < 0) return -1;
  return head + 4 + Number(/^Content-Length: (\d+)/im.exec(text.slice(0, head))?.[1] ?? 0);
}

/** Closes the connection when it was idle for so long, and says nothing of it before. */
function afterIdle(idleMs: number): Server {
  const timers = new WeakMap<Socket, NodeJS.Timeout>();
  return answering((socket) => {
    clearTimeout(timers.get(socket));
    timers.set(
      socket,
      setTimeout(() => socket.destroy(), idleMs),
    );
  });
}

/** `node:http`, which announces its timeout and closes when it is over. */
function announced(keepAliveTimeout: number): Server {
  return createServer({ keepAliveTimeout, keepAliveTimeoutBuffer: 0 }, (request, response) => {
    request.resume();
    request.on('end', () => response.writeHead(200, { 'Content-Length': 2 }).end('ok'));
  });
}

const CLOSINGS: Readonly<Record<string, () => Server>> = {
  'idle-300': () => afterIdle(300),
  'idle-2000': () => afterIdle(2_000),
  'announced-2000': () => announced(2_000),
  'each-response': () => answering((socket) => setTimeout(() => socket.destroy(), Math.random() * 3)),
  never: () => answering(() => undefined),
};

const server = (CLOSINGS[process.argv[2] ?? ''] as () => Server)();
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.once('disconnect', () => process.exit());
