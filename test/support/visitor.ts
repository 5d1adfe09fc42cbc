/**
 * A visitor who tells everything about the answer, a broken one included.
 * @module
 */
import { Agent, type IncomingMessage, type OutgoingHttpHeaders, request as send } from 'node:http';
import { Readable } from 'node:stream';

export interface Asking {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders | readonly string[];
  readonly body?: string | Buffer | Readable;
  readonly agent?: Agent;
  readonly signal?: AbortSignal;
}

export interface Interim {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
}

export interface Reply {
  readonly status: number;
  /** Lines of one name are joined by `, `. */
  readonly headers: Readonly<Record<string, string>>;
  readonly rawHeaders: readonly string[];
  readonly trailers: NodeJS.Dict<string>;
  readonly body: Buffer;
  readonly text: string;
  /** True if the message is complete. */
  readonly complete: boolean;
  readonly interim: readonly Interim[];
  /** Members of Cache-Status, origin's side first. */
  readonly tiers: readonly string[];
}

/** The host that the network's site answers for. */
export const HOST = 'site.test';

/** @returns The answer's head as soon as it is there. */
export function open(
  address: string,
  target: string,
  asking: Asking = {},
): Promise<IncomingMessage & { interim: Interim[] }> {
  const { method = 'GET', body, agent, signal } = asking;
  const interim: Interim[] = [];
  return new Promise((resolve, reject) => {
    const request = send(`http://${address}`, {
      method,
      path: target,
      headers: withHost(asking.headers),
      agent: agent ?? new Agent({ keepAlive: false }),
      maxHeaderSize: 1024 * 1024,
      ...(signal && { signal }),
    });
    request.on('information', ({ statusCode, headers }) => interim.push({ status: statusCode, headers }));
    request.once('response', (response) => resolve(Object.assign(response, { interim })));
    request.on('error', reject);
    if (body instanceof Readable) body.pipe(request);
    else request.end(body);
  });
}

/** Reads the rest of an answer, to its end or to where it breaks off. */
export async function read(response: IncomingMessage & { interim?: Interim[] }): Promise<Reply> {
  const chunks: Buffer[] = [];
  response.on('data', (chunk: Buffer) => chunks.push(chunk));
  await new Promise<void>((resolve) => {
    response.once('error', () => undefined); // `complete` tells
    response.once('close', () => resolve());
  });
  const body = Buffer.concat(chunks);
  const headers = joined(response.rawHeaders);
  return {
    status: response.statusCode ?? 0,
    headers,
    rawHeaders: response.rawHeaders,
    trailers: response.trailers,
    body,
    text: body.toString('latin1'),
    complete: response.complete,
    interim: response.interim ?? [],
    tiers: tiersOf(headers['cache-status']),
  };
}

export async function ask(address: string, target: string, asking?: Asking): Promise<Reply> {
  return read(await open(address, target, asking));
}

export function tiersOf(cacheStatus: string | undefined): readonly string[] {
  return cacheStatus === undefined ? [] : cacheStatus.split(', ');
}

function withHost(headers: Asking['headers']): OutgoingHttpHeaders | readonly string[] {
  if (Array.isArray(headers)) return headers as readonly string[];
  return { Host: HOST, ...(headers as OutgoingHttpHeaders | undefined) };
}

function joined(rawHeaders: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase();
    const value = rawHeaders[i + 1] as string;
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
  }
  return headers;
}
