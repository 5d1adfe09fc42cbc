/** Environment of every scenario: the origin, the certificate, and requests to check both. @module */
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { freePorts } from '../../test/support/ports.ts';
import { makeCertificate } from './certificate.ts';
import { BenchError } from './errors.ts';
import { CORES, type Running, start, untilListening } from './processes.ts';
import type { Server, Stage } from './server.ts';
import { median } from './statistics.ts';

const ORIGIN = join(import.meta.dirname, 'origin.ts');

/** Time limit of one answer. */
const ANSWER_MS = 30_000;

export interface OpenStage extends Stage {
  readonly origin: Running;
  /** Objects that the origin was asked for so far. */
  counted(): Promise<number>;
  close(): Promise<void>;
}

export async function openStage(): Promise<OpenStage> {
  const [originPort = 0] = await freePorts(1);
  const origin = start('origin', [process.execPath, ORIGIN, String(originPort)], { core: CORES.load });
  await untilListening(origin, originPort);
  return {
    originPort,
    origin,
    certificates: await makeCertificate(),
    counted: async () => Number((await ask({ port: originPort, path: '/count' })).body),
    close: () => origin.stop(),
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** As many characters as the body has bytes. */
  readonly body: string;
  /** Header section and status line as they came, in bytes. */
  readonly headBytes: number;
}

interface Question {
  readonly port: number;
  readonly path: string;
  readonly headers?: Record<string, string>;
  /** Absent: a connection of its own. */
  readonly agent?: Agent;
}

export function ask(what: Question): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const asked = request({ host: '127.0.0.1', agent: false, timeout: ANSWER_MS, ...what }, (response) => {
    const pieces: Buffer[] = [];
    response.on('data', (piece: Buffer) => pieces.push(piece));
    response.on('error', reject);
    response.on('end', () => {
      const { statusCode = 0, statusMessage = '', rawHeaders } = response;
      const lines = [`HTTP/1.1 ${statusCode} ${statusMessage}`, ''];
      const fields = rawHeaders.join('').length + (rawHeaders.length / 2) * ': \r\n'.length;
      resolve({
        status: statusCode,
        headers: response.headers,
        body: Buffer.concat(pieces).toString('latin1'),
        headBytes: lines.join('\r\n').length + fields + '\r\n'.length,
      });
    });
  });
  asked.on('timeout', () => asked.destroy(new BenchError(`no answer within ${ANSWER_MS / 1_000} s`)));
  asked.on('error', reject);
  asked.end();
  return promise;
}

/** Answers from the cache within which it has to show that the origin is not asked any more. */
const PROOFS = 5;

/**
 * A server that holds back the end of an answer until its client acknowledges
 * the beginning takes as long as Linux delays that: 40 ms.
 */
const PLATEAU_MS = { least: 38, most: 50 };
const SMALL_BYTES = 64 * 1024;

/**
 * Has a server keep an object, and makes sure that it does: what is measured
 * afterwards is a hit.
 *
 * @param scheme - Some servers keep what came over TLS by itself.
 * @throws {BenchError} when it asks the origin again and again.
 */
export async function fill(server: Server, stage: OpenStage, path: string, bytes: number): Promise<void> {
  if (!server.kind.abilities.has('cache')) return;
  const { port } = server;
  for (let i = 0; i < PROOFS; i += 1) check(await ask({ port, path }));
  const before = await stage.counted();
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const durations: number[] = [];
  for (let i = 0; i < PROOFS; i += 1) {
    const startedAt = performance.now();
    check(await ask({ port, path, agent }));
    durations.push(performance.now() - startedAt);
  }
  agent.destroy();
  const asked = (await stage.counted()) - before;
  if (asked > 0) throw new BenchError(`keeps nothing: the origin was asked ${asked} times for ${PROOFS} requests`);
  const usual = median(durations);
  if (bytes < SMALL_BYTES && usual >= PLATEAU_MS.least && usual <= PLATEAU_MS.most) {
    throw new BenchError(`takes ${usual.toFixed(0)} ms a request: delayed acknowledgements, so it is misconfigured`);
  }

  function check({ status, body }: Answer): void {
    if (status !== 200 || body.length !== bytes)
      throw new BenchError(`${status} with ${body.length} bytes for ${path}`);
  }
}
