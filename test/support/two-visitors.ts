/**
 * Visitors who are told apart by what the origin greets them with.
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Test } from 'tap';
import { type NetworkOptions, startNetwork } from './network.ts';
import { type Origin, startOrigin } from './origin.ts';
import { ask, type Reply } from './visitor.ts';

export type Fields = Readonly<Record<string, string>>;
export type Rules = NetworkOptions['rules'];

export const ALICE: Fields = { Cookie: 'session=alice' };
export const BOB: Fields = { Cookie: 'session=bob' };
export const ANONYMOUS: Fields = {};

/** Greets by cookie or credentials; `/status/N` answers with that status. */
export function greet(fields: Fields = {}): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    const status = Number(/\/status\/(\d+)/.exec(request.url ?? '')?.[1] ?? 200);
    const { cookie, authorization } = request.headers;
    response.writeHead(status, { 'Content-Type': 'text/html', ...fields });
    response.end(status === 304 || status === 204 ? undefined : `hello ${authorization ?? cookie ?? 'nobody'}`);
  };
}

export interface Stage {
  readonly origin: Origin;
  /** Asks an edge that does not own the path, unless another is named. */
  readonly as: (who: Fields, path: string, edge?: string, method?: string) => Promise<Reply>;
}

export async function play(t: Test, options: Partial<NetworkOptions> & { readonly fields?: Fields }): Promise<Stage> {
  const { fields = {}, ...rest } = options;
  const origin = await startOrigin(greet(fields));
  const network = await startNetwork({ origin: origin.url, shields: 1, ...rest });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  return {
    origin,
    as: (who, path, edge = network.owners(path)[1] ?? 'eu-1', method = 'GET') =>
      ask(network.at(edge), path, { method, headers: who }),
  };
}
