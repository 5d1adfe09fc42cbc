/**
 * Live parts of the demo site: server-sent events, and a WebSocket that echoes.
 * @module
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';

const TICK_MS = 1_000;
const MAX_MESSAGE_BYTES = 64 * 1024;

/** Sends the time once a second until the visitor has gone. */
export function sendEvents(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'private, no-store' });
  const tick = (): void => {
    response.write(`data: ${new Date().toISOString()}\n\n`);
  };
  tick();
  const timer = setInterval(tick, TICK_MS);
  response.on('close', () => clearInterval(timer));
}

/** Takes WebSocket connections on `path` and refuses all other upgrades. */
export function echoOn(server: Server, path: string, onUpgrade: (request: IncomingMessage) => void): WebSocketServer {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE_BYTES });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    onUpgrade(request);
    // Whatever a connection dies of, it is the visitor's loss only.
    socket.on('error', () => socket.destroy());
    if (request.url !== path) {
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    sockets.handleUpgrade(request, socket, head, (connection) => {
      connection.on('message', (data, isBinary) => connection.send(data, { binary: isBinary }));
      connection.on('error', () => connection.terminate());
    });
  });
  return sockets;
}
