/**
 * Hostile visitors of `npm run bench:exhaustion`, in a process of their own:
 * each connection asks once and then holds what it got. One that is closed is
 * opened again a second later.
 * @module
 */
import { connect } from 'node:net';

interface Task {
  readonly port: number;
  readonly connections: number;
  readonly addresses: readonly string[];
  /** Number of the first connection. */
  readonly first: number;
}

const AGAIN_MS = 1_000;

/** Connections that are opened at a time: less than a listener's backlog. */
const AT_A_TIME = 100;
const BATCH_MS = 50;

const counted = { connected: 0, closed: 0, failed: 0 };
let asked = 0;

/**
 * By the last digit of the connection's number: half of them read nothing of a large page, the others do not send a
 * form.
 */
function requestOf(number: number): string {
  const host = 'Host: exhaustion.test\r\n';
  asked++;
  if (number % 2 === 0) return `GET /large?${number}.${asked} HTTP/1.1\r\n${host}\r\n`;
  const sent = number % 4 === 1 ? '' : 'x'.repeat(100);
  return `POST /form?${number}.${asked} HTTP/1.1\r\n${host}Content-Length: 100000\r\n\r\n${sent}`;
}

function hold({ port, addresses }: Task, number: number): void {
  const localAddress = addresses[number % addresses.length] as string;
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  let isOpen = false;
  socket.pause(); // nothing is read
  socket.once('connect', () => {
    isOpen = true;
    counted.connected++;
    socket.write(requestOf(number));
  });
  socket.on('error', () => undefined);
  socket.once('close', () => {
    if (isOpen) counted.connected--;
    counted[isOpen ? 'closed' : 'failed']++;
    setTimeout(() => hold({ port, addresses } as Task, number), AGAIN_MS);
  });
}

process.once('message', (task: Task) => {
  let number = task.first;
  const end = task.first + task.connections;
  const batch = setInterval(() => {
    for (let i = 0; i < AT_A_TIME && number < end; i++) hold(task, number++);
    if (number === end) clearInterval(batch);
  }, BATCH_MS);
});
setInterval(() => process.send?.(counted), 200);
process.on('disconnect', () => process.exit());
