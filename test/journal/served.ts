/**
 * A journal and its wire on a real socket.
 * @module
 */
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as timeout } from 'node:timers/promises';
import type { Test } from 'tap';
import { journalClient } from '../../journal/client.ts';
import { openEmbeddedJournal } from '../../journal/embedded.ts';
import { Follower, type FollowerTarget } from '../../journal/follower.ts';
import type { Journal } from '../../journal/journal.ts';
import type { Connect } from '../../journal/message.ts';
import { type StreamOptions, streamJournal } from '../../journal/stream.ts';
import { type EpochMs, instantNow, wallNow } from '../../lib/clock.ts';
import { NotingTarget } from './simulation.ts';

export const SECRET = 'the secret of this network';

export interface Served {
  readonly url: string;
  readonly sockets: ReadonlySet<Socket>;
}

/** Listens on a free port until the test is over. */
export async function serve(t: Test, onRequest: RequestListener): Promise<Served> {
  const sockets = new Set<Socket>();
  const server: Server = createServer(onRequest);
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets };
}

/** A new journal in a file. */
export function newJournal(t: Test, now: () => EpochMs = wallNow): Journal {
  const journal = openEmbeddedJournal(join(t.testdir(), 'journal.db'), { now });
  t.teardown(() => journal.close());
  return journal;
}

export interface ServedJournal extends Served {
  /** Resolve when each stream ends. */
  readonly ended: Promise<void>[];
  readonly problems: string[];
}

/** Streams the journal to everybody who asks. */
export async function serveJournal(
  t: Test,
  journal: Journal,
  options: Partial<StreamOptions> = {},
  onStream?: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<ServedJournal> {
  const ended: Promise<void>[] = [];
  const problems: string[] = [];
  const served = await serve(t, (request, response) => {
    onStream?.(request, response);
    const problem = (error: Error & { code?: string }): void => void problems.push(error.code ?? error.message);
    ended.push(streamJournal(journal, request, response, { problem, ...options }));
  });
  return { ...served, ended, problems };
}

export function source(url: string, secret = SECRET): Connect {
  return journalClient({ url, secret, node: 'eu-1' }).messages;
}

/** A follower on real time that is not patient between attempts. */
export function followOn(t: Test, connect: Connect): { follower: Follower; target: NotingTarget } {
  const target = new NotingTarget();
  return { follower: followInto(t, target, connect), target };
}

/** As `followOn`, for another target. */
export function followInto(t: Test, target: FollowerTarget, connect: Connect): Follower {
  const follower = new Follower({
    target,
    connect,
    report: () => undefined,
    now: instantNow,
    wait: (ms, signal) => timeout(ms, undefined, { signal }),
    random: Math.random,
    firstPauseMs: 1,
    maxPauseMs: 20,
  });
  t.teardown(() => follower.stop());
  follower.start();
  return follower;
}
