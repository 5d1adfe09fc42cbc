/**
 * The origin of all servers, as a process of its own: any path that begins
 * `/object/BYTES/` is a cacheable object of that size. On `node:net`, because
 * it shares its processor with the load generator and must not be what a miss
 * waits for.
 *
 * `/count` answers how many objects were asked for, and is not counted itself.
 * @module
 */
import { createServer, type Socket } from 'node:net';

/** Sizes are a path's; this is the largest that is made. */
const MAX_OBJECT_BYTES = 64 * 1024 * 1024;

/** Maximum length of a request head; a longer one closes the connection. */
const MAX_HEAD_CHARACTERS = 64 * 1024;

const HEAD_END = '\r\n\r\n';
const OBJECT = /^GET \/object\/(\d{1,8})\//;

/** For a size: the header section without Date, and the body. */
const answers = new Map<number, { readonly head: string; readonly body: Buffer }>();
let counted = 0;
let date = new Date().toUTCString();
setInterval(() => {
  date = new Date().toUTCString();
}, 1_000);

const server = createServer({ noDelay: true }, (socket) => {
  let rest = '';
  socket.setEncoding('latin1');
  socket.on('data', (text: string) => {
    rest = answerAll(socket, rest + text);
  });
  socket.on('error', () => socket.destroy()); // the client has gone
});
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => process.stdout.write('ready\n'));

/** @returns What is not a whole head yet. */
function answerAll(socket: Socket, text: string): string {
  let start = 0;
  for (let end = text.indexOf(HEAD_END); end >= 0; end = text.indexOf(HEAD_END, start)) {
    answer(socket, text.slice(start, end));
    start = end + HEAD_END.length;
  }
  if (text.length - start > MAX_HEAD_CHARACTERS) socket.destroy();
  return start === 0 ? text : text.slice(start);
}

function answer(socket: Socket, head: string): void {
  const bytes = Number(OBJECT.exec(head)?.[1] ?? Number.NaN);
  if (bytes <= MAX_OBJECT_BYTES) {
    counted += 1;
    const { head: fields, body } = answerOf(bytes);
    socket.cork();
    socket.write(`HTTP/1.1 200 OK\r\nDate: ${date}\r\n${fields}`, 'latin1');
    socket.write(body);
    socket.uncork();
  } else if (head.startsWith('GET /count ')) {
    const body = String(counted);
    socket.write(`HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  } else {
    socket.write('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n');
  }
}

function answerOf(bytes: number): { readonly head: string; readonly body: Buffer } {
  const known = answers.get(bytes);
  if (known) return known;
  const head = [
    'Content-Type: text/css; charset=utf-8',
    `Content-Length: ${bytes}`,
    'Cache-Control: public, max-age=86400',
    `ETag: "object-of-${bytes}"`,
    'Last-Modified: Wed, 31 Dec 2025 00:00:00 GMT',
    HEAD_END,
  ].join('\r\n');
  const made = {
    head: head.slice(0, -2),
    body: Buffer.alloc(bytes, 'The same line of sixty-three characters, over and over again. \n'),
  };
  answers.set(bytes, made);
  return made;
}
