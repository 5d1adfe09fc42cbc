/** Runs conversations: collects the bytes of the answers, turn by turn, and compares them. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate as nextTick } from 'node:timers/promises';
import type { Conversation, Turn } from './conversations.ts';

/** Says everything, turn by turn; a turn that closes the connection is the last. @returns All bytes that came. */
export async function converse(address: string, { turns }: Conversation): Promise<string> {
  const colon = address.lastIndexOf(':');
  const socket = connect({ port: Number(address.slice(colon + 1)), host: address.slice(0, colon), noDelay: true });
  socket.on('error', () => undefined); // a reset ends what is read, like a close
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  socket.on('end', () => socket.end());
  const closed = once(socket, 'close');
  let read = 0;
  for (const turn of turns) {
    if (socket.destroyed || socket.writableEnded) break;
    await send(socket, turn);
    for (const method of turn.methods) {
      for (;;) {
        const end = method === '?' ? undefined : answerEnd(text, read, method);
        if (end !== undefined) {
          read = end;
          break;
        }
        if (socket.destroyed) return text;
        await Promise.race([once(socket, 'data').catch(() => undefined), closed]);
      }
    }
  }
  socket.destroy();
  return text;
}

async function send(socket: Socket, { bytes, cuts }: Turn): Promise<void> {
  let from = 0;
  for (const cut of [...cuts.filter((at) => at < bytes.length), bytes.length]) {
    socket.write(Buffer.from(bytes.slice(from, cut), 'latin1'));
    from = cut;
    if (cut < bytes.length) await nextTick();
  }
}

/** @returns Where the answer that begins at `at` ends, if it is all there. */
function answerEnd(text: string, at: number, method: string): number | undefined {
  const headEnd = text.indexOf('\r\n\r\n', at);
  if (headEnd < 0) return undefined;
  const head = text.slice(at, headEnd + 2);
  const start = headEnd + 4;
  const status = Number(head.slice(9, 12));
  if (status < 200) return answerEnd(text, start, method);
  if (method === 'HEAD' || status === 204 || status === 304) return start;
  const length = /^content-length: (\d+)\r$/im.exec(head)?.[1];
  if (length !== undefined) return start + Number(length) <= text.length ? start + Number(length) : undefined;
  const end = text.indexOf('0\r\n\r\n', start); // no body here has this inside
  return end < 0 ? undefined : end + 5;
}

/** Identifiers of requests, and boundaries of parts. */
const UUID = /\b[0-9a-f]{32}\b|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
const DATE = /^Date: .*$/gim;
/** @returns What differs, apart from dates and ids; `undefined` when nothing does. */
export function difference(one: string, other: string): string | undefined {
  const [a, b] = [masked(one), masked(other)];
  const isAlike =
    a === b || closedBeforeRefusal(a) === closedBeforeRefusal(b) || closedBeforeMethod(a) === closedBeforeMethod(b);
  return isAlike ? undefined : around(a, b);
}

/**
 * The conversation without a refusal at its end, where the answer before it says that the connection closes. Both are
 * right: whether the head that is refused has been seen when the request before it is answered is a matter of time.
 * Heads are refused with 4xx, 501 (a method, a transfer coding) and 505 (a version); any other 5xx has to be the same.
 */
function closedBeforeRefusal(text: string): string {
  const at = text.search(REFUSAL_AT_END);
  if (at <= 0) return text;
  return withLastClosing(text.slice(0, at));
}

/**
 * The conversation up to the first method that is not passed: `node:http` closes where such a head comes while the
 * request before it is under way; a server that reads it as a request answers it, and what is behind it.
 */
function closedBeforeMethod(text: string): string {
  const at = text.indexOf('HTTP/1.1 501 ');
  return at <= 0 ? text : withLastClosing(text.slice(0, at));
}

/** Answers of which the last one says that the connection closes. */
function withLastClosing(answers: string): string {
  const last = answers.lastIndexOf(KEPT.exec(answers)?.[0] ?? '');
  return `${answers.slice(0, last)}${answers.slice(last).replace(KEPT, 'Connection: close\r\n')}`;
}

const REFUSAL_AT_END = /HTTP\/1\.1 (?:4\d\d|501|505) [^\r]*\r\nConnection: close\r\n(?![\s\S]*HTTP\/1\.1 )/;
const KEPT = /Connection: keep-alive\r\nKeep-Alive: timeout=\d+\r\n/;

function masked(text: string): string {
  return text.replace(UUID, 'ID').replace(DATE, 'Date: DATE');
}

function around(a: string, b: string): string {
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  const from = Math.max(0, at - 200);
  return `${JSON.stringify(a.slice(from, at + 200))}\n  and\n${JSON.stringify(b.slice(from, at + 200))}`;
}
