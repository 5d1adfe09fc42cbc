/**
 * Questions for a DNS server, so many at a time for so long: from dnsperf, or
 * from a process of our own.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as timeout } from 'node:timers/promises';
import { encode } from 'dns-packet';

export interface Load {
  readonly port: number;
  readonly seconds: number;
  /** Questions say which network the visitor is in. */
  readonly withSubnet: boolean;
  /** Command prefix that pins the process. */
  readonly pin: readonly string[];
}

export interface LoadResult {
  readonly answers: number;
  readonly lost: number;
  readonly elapsedSeconds: number;
}

/** Names below example.com; of ten questions eight are of them. */
export const QUESTIONS = {
  steered: Array.from({ length: 100 }, (_, i) => `shop-${i}`),
  list: Array.from({ length: 500 }, (_, i): readonly [name: string, type: 'A' | 'AAAA'] => {
    if (i % 10 === 8) return ['mail.example.com', 'A'];
    if (i % 10 === 9) return [`nope-${i}.example.com`, 'A'];
    return [`shop-${i % 100}.example.com`, i % 4 === 3 ? 'AAAA' : 'A'];
  }),
};

/** So many questions are under way at a time. */
const UNDER_WAY = 64;

export async function withDnsperf({ port, seconds, withSubnet, pin }: Load): Promise<LoadResult> {
  const folder = mkdtempSync(join(tmpdir(), 'seawall-dnsperf-'));
  const file = join(folder, 'questions');
  writeFileSync(file, QUESTIONS.list.map(([name, type]) => `${name} ${type}\n`).join(''));
  // dnsperf has one EDNS option for all questions: Dresden's network.
  const subnet = withSubnet ? ['-e', '-E', '8:000118008d1e00'] : [];
  const args = [
    '-s',
    '127.0.0.1',
    '-p',
    String(port),
    '-d',
    file,
    '-l',
    String(seconds),
    '-c',
    '8',
    '-q',
    String(UNDER_WAY),
    ...subnet,
  ];
  const [command = '', ...rest] = [...pin, 'dnsperf', ...args];
  try {
    const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
    const output = await text(child.stdout);
    const number = (pattern: RegExp): number => Number(pattern.exec(output)?.[1] ?? Number.NaN);
    return {
      answers: number(/Queries completed:\s+(\d+)/),
      lost: number(/Queries lost:\s+(\d+)/),
      elapsedSeconds: number(/Run time \(s\):\s+([\d.]+)/),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs this file as a process. */
export async function ownLoad({ port, seconds, withSubnet, pin }: Load): Promise<LoadResult> {
  const own = [process.execPath, import.meta.filename, String(port), String(seconds), String(withSubnet)];
  const [command = '', ...args] = [...pin, ...own];
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  return JSON.parse(await text(child.stdout)) as LoadResult;
}

/** Puts a next question whenever an answer comes; one that is a second late counts as lost. */
async function ask(port: number, seconds: number, withSubnet: boolean): Promise<LoadResult> {
  const messages = QUESTIONS.list.map(([name, type], index) => {
    const ip = `${1 + (index % 220)}.${index % 250}.0.0`;
    const options = withSubnet ? [{ code: 8, ip, sourcePrefixLength: 24 } as never] : [];
    const opt = {
      type: 'OPT',
      name: '.',
      udpPayloadSize: 1_232,
      extendedRcode: 0,
      ednsVersion: 0,
      flags: 0,
      flag_do: false,
      options,
    } as const;
    return encode({ type: 'query', id: index, questions: [{ name, type }], additionals: withSubnet ? [opt] : [] });
  });
  const socket = createSocket({ type: 'udp4', lookup: (host, _options, callback) => callback(null, host, 4) });
  await new Promise<void>((resolve) => socket.connect(port, '127.0.0.1', () => resolve()));
  let sent = 0;
  let answers = 0;
  const began = performance.now();
  const send = (): void => {
    socket.send(messages[sent % messages.length] as Uint8Array);
    sent += 1;
  };
  let isOver = false;
  socket.on('message', () => {
    answers += 1;
    if (!isOver) send();
  });
  for (let i = 0; i < UNDER_WAY; i += 1) send();
  let lost = 0;
  let answersBefore = 0;
  for (let second = 0; second < seconds; second += 1) {
    await timeout(1_000);
    if (answers !== answersBefore) {
      answersBefore = answers;
      continue;
    }
    lost += UNDER_WAY;
    for (let i = 0; i < UNDER_WAY; i += 1) send();
  }
  isOver = true;
  const elapsedSeconds = (performance.now() - began) / 1_000;
  socket.close();
  return { answers, lost, elapsedSeconds };
}

/** Waits until a server answers. @throws when it ends before. */
export async function isAnswering(port: number, child: ChildProcess): Promise<void> {
  const socket = createSocket('udp4');
  const answered = once(socket, 'message');
  const query = encode({ type: 'query', id: 1, questions: [{ name: 'www.example.com', type: 'A' }] });
  for (let tries = 0; tries < 100; tries += 1) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`);
    socket.send(query, port, '127.0.0.1');
    if (await Promise.race([answered.then(() => true), timeout(100, false)])) break;
  }
  socket.close();
}

if (import.meta.main) {
  const [port, seconds, withSubnet] = process.argv.slice(2);
  console.log(JSON.stringify(await ask(Number(port), Number(seconds), withSubnet === 'true')));
}
