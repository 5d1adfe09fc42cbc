/**
 * The load generators: each asks one server for a while and says what it saw.
 * All run on the processor that the server does not have.
 * @module
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compiled, compiler } from './compile.ts';
import { parseH2load, percentilesOf } from './h2load-output.ts';
import { programOf, run, temporaryFolder } from './processes.ts';

const SCRIPT = join(import.meta.dirname, 'wrk.lua');
const PACE = join(import.meta.dirname, 'pace.c');

/** Beyond the time that a generator is told to run. */
const MARGIN_MS = 20_000;

/** Results of a load generator. */
export interface Seen {
  readonly requests: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  /** Connections that failed, requests that were never answered. */
  readonly failed: number;
  /** Answers with a status of 400 and above. */
  readonly refused: number;
}

export interface Load {
  readonly port: number;
  readonly scheme?: 'http' | 'https';
  readonly seconds: number;
  readonly connections: number;
  readonly requests: Requests;
}

/** Requests that `wrk` sends. `head` is the whole text of one; `@` stands for the part that differs. */
export type Requests =
  | { readonly kind: 'fixed'; readonly head: string }
  /** Each with `prefix` and a number of its own, at most `most` of them. */
  | { readonly kind: 'each'; readonly head: string; readonly prefix: string; readonly most?: number }
  /** Numbers from a file, 32 bits each, from the one at `offset` on, at most `most` of them. */
  | {
      readonly kind: 'ranks';
      readonly head: string;
      readonly file: string;
      readonly offset: number;
      readonly most?: number;
    };

/** Programs that a load needs and this machine lacks; undefined: none. */
export const missing = {
  wrk: (): string | undefined => (programOf('wrk') ? undefined : 'wrk is not installed'),
  h2load: (): string | undefined => (programOf('h2load') ? undefined : 'h2load is not installed'),
  pace: (): string | undefined => (compiler() ? undefined : 'there is no C compiler'),
};

/** Closed loop: each connection asks again as soon as it has its answer. */
export async function wrk({ port, scheme = 'http', seconds, connections, requests }: Load): Promise<Seen> {
  const output = await run(
    'wrk',
    [
      ...['wrk', '--latency', '-t', '1', '-c', String(connections), '-d', `${seconds}s`, '--timeout', '10s'],
      ...['-s', SCRIPT, `${scheme}://127.0.0.1:${port}/`, '--', requests.kind, ...argumentsOf(requests)],
    ],
    { limitMs: seconds * 1_000 + MARGIN_MS },
  );
  const line = output.trimEnd().split('\n').at(-1) ?? '';
  return JSON.parse(line) as Seen;
}

let requestFolder: string | undefined;
let requestFiles = 0;

function argumentsOf(requests: Requests): string[] {
  requestFolder ??= temporaryFolder('requests');
  const file = join(requestFolder, String(requestFiles++ % 8));
  writeFileSync(file, requests.head, 'latin1');
  switch (requests.kind) {
    case 'fixed':
      return [file];
    case 'each':
      return [file, requests.prefix, String(requests.most ?? 0)];
    case 'ranks':
      return [file, requests.file, String(requests.offset), String(requests.most ?? 0)];
  }
}

export interface Http2Load {
  readonly port: number;
  readonly path: string;
  readonly seconds: number;
  readonly connections: number;
  /** Streams of each connection at a time. */
  readonly streams: number;
  readonly headers: readonly string[];
}

export async function h2load({ port, path, seconds, connections, streams, headers }: Http2Load): Promise<Seen> {
  requestFolder ??= temporaryFolder('requests');
  // Of its own: h2load writes behind what a file has, and two may run at the same time.
  const log = join(requestFolder, `h2load-${requestFiles++}.log`);
  const output = await run(
    'h2load',
    [
      ...['h2load', '-t', '1', '-c', String(connections), '-m', String(streams), '-D', String(seconds)],
      ...[`--log-file=${log}`, ...headers.flatMap((header) => ['-H', header])],
      `https://127.0.0.1:${port}${path}`,
    ],
    { limitMs: seconds * 1_000 + MARGIN_MS },
  );
  const durations = readFileSync(log, 'latin1');
  rmSync(log);
  return { ...parseH2load(output), ...percentilesOf(durations) };
}

export interface Paced {
  readonly port: number;
  /** Requests a second. */
  readonly rate: number;
  readonly seconds: number;
  readonly connections: number;
  readonly head: string;
}

export interface PacedSeen {
  readonly requests: number;
  readonly unanswered: number;
  readonly seconds: number;
  readonly p50Micros: number;
  readonly p90Micros: number;
  readonly p99Micros: number;
  readonly p999Micros: number;
  readonly maxMicros: number;
  /**
   * Part of the time in which the load generator itself was kept from running: its latencies are then not the server's.
   */
  readonly held: number;
}

/** Open loop: requests at a constant rate; latency counts from the moment that each was meant for. */
export async function pace({ port, rate, seconds, connections, head }: Paced): Promise<PacedSeen> {
  const command = [await compiled(PACE), String(port), String(Math.max(1, Math.round(rate)))];
  const output = await run('pace', [...command, String(seconds), String(connections)], {
    limitMs: seconds * 1_000 + MARGIN_MS,
    input: head,
  });
  return JSON.parse(output) as PacedSeen;
}
