/**
 * Many connections to one server that do little. Orders come as the argument,
 * in JSON; a first line on standard output says that all are there, and each
 * line of input is answered by another.
 * @module
 */
import { createConnection, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { AnswerLength } from './answer-length.ts';

export interface Orders {
  readonly port: number;
  readonly connections: number;
  /** The request: once for idle ones, over and over for slow ones. */
  readonly head: string;
  /** Reading speed of each connection; 0: one answer at full speed, then nothing. */
  readonly bytesPerSecond: number;
}

export interface Report {
  /** Connections that are still open. */
  readonly open: number;
  /** All bytes that were read. */
  readonly bytes: number;
}

/** Connections that are opened at a time: less than any server's backlog. */
const AT_A_TIME = 200;

/** So many from one address: half of what `limits.connections_per_address` lets one have by default. */
const PER_SOURCE = 1_000;

/** Slow ones read at such intervals. */
const STEP_MS = 50;

const orders = JSON.parse(process.argv[2] ?? '') as Orders;
const sockets = new Set<Socket>();
let bytes = 0;

for (let opened = 0; opened < orders.connections; opened += AT_A_TIME) {
  const count = Math.min(AT_A_TIME, orders.connections - opened);
  await Promise.all(Array.from({ length: count }, (_, index) => connect(opened + index)));
}
report();
createInterface({ input: process.stdin })
  .on('line', report)
  .on('close', () => process.exit()); // the controlling process has ended

function report(): void {
  const counts: Report = { open: sockets.size, bytes };
  process.stdout.write(`${JSON.stringify(counts)}\n`);
}

/** @returns once it has been answered, or reads slowly. */
function connect(index: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const { port, head, bytesPerSecond } = orders;
  const localAddress = `127.0.0.${2 + Math.floor(index / PER_SOURCE)}`;
  const socket = createConnection({ port, host: '127.0.0.1', localAddress });
  socket.once('connect', () => {
    sockets.add(socket);
    socket.write(head);
  });
  socket.once('error', reject); // before it is connected; later ones only close it
  socket.once('close', () => {
    sockets.delete(socket);
    reject(new Error('closed before it was answered'));
  });
  if (bytesPerSecond > 0) readSlowly(socket, resolve);
  else readOnce(socket, resolve);
  return promise;
}

function readOnce(socket: Socket, answered: () => void): void {
  const whole = new AnswerLength();
  socket.on('data', (piece: Buffer) => {
    bytes += piece.length;
    if (whole.take(piece)) answered();
  });
}

function readSlowly(socket: Socket, onStart: () => void): void {
  const piecesBytes = Math.round((orders.bytesPerSecond * STEP_MS) / 1_000);
  let whole = new AnswerLength();
  socket.once('readable', onStart);
  const timer = setInterval(() => {
    const piece = (socket.read(piecesBytes) ?? socket.read()) as Buffer | null;
    if (piece === null) return;
    bytes += piece.length;
    if (!whole.take(piece)) return;
    whole = new AnswerLength();
    socket.write(orders.head);
  }, STEP_MS);
  socket.once('close', () => clearInterval(timer));
}
