/**
 * Routes of the journal for nodes (wire.ts), written once: the control node
 * mounts them on its server, an edge of several threads on one for its
 * workers.
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { HttpError } from '../http/errors.ts';
import type { Authentication, Caller } from '../trust/authentication.ts';
import type { Permission } from '../trust/permissions.ts';
import { JournalError } from './errors.ts';
import type { Journal, Purge } from './journal.ts';
import { readReports } from './reports.ts';
import { streamJournal } from './stream.ts';
import {
  APPLIED_PATH,
  type AppliedReport,
  appendedAnswer,
  JOURNAL_PATH,
  PURGES_PATH,
  type Registration,
  readPurges,
  readRegistration,
} from './wire.ts';

export interface JournalRoutesOptions {
  readonly journal: Journal;
  readonly authentication: Authentication;
  /** Ends what is in flight. */
  readonly signal: AbortSignal;
  /**
   * Called when a node begins to follow, before it hears anything.
   *
   * @returns A function that is called when it ends.
   * @throws {HttpError} (rejects) for a node that may not; {JournalError} when it cannot be registered.
   */
  readonly followed: (caller: Caller, registration: Registration) => Promise<() => void> | (() => void);
  /**
   * Called when a node begins a call that reports progress.
   *
   * @returns A function that is called when it ends, with whether it came to its end.
   */
  readonly reporting?: (caller: Caller) => (isWhole: boolean) => void;
  /** Called with each report of progress. */
  readonly reported: (report: AppliedReport) => void;
  /** Appends what a node sends. @param address - Its address. @throws {HttpError} for what it may not purge. */
  readonly append: (purges: Appended, caller: Caller, address: string) => Promise<{ first: number; last: number }>;
  /** Called with the reason when a node is cut off. */
  readonly cutOff?: (node: string, error: Error) => void;
}

/** Purges of one call: all of the same softness, by the same, for the same reason. */
export type Appended = readonly [Purge, ...Purge[]];

export interface JournalRoute {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /**
   * Answers the request, whose body has not been read.
   *
   * @throws {HttpError | JournalError} what it is to be refused with, if it has no answer yet. The body may not have
   * been
   *   read, so the connection is to be closed.
   */
  answer(request: IncomingMessage, response: ServerResponse): Promise<void>;
}

/** Maximum length of a body that appends purges. */
const MAX_BODY_BYTES = 4 * 2 ** 20;

export function journalRoutes(options: JournalRoutesOptions): JournalRoute[] {
  const { journal, authentication, signal, followed, reporting, reported, append, cutOff } = options;
  const callerOf = ({ rawHeaders, socket }: IncomingMessage, permission: Permission): Caller => {
    const caller = authentication.identify(rawHeaders, socket);
    authentication.permit(caller, permission);
    return caller;
  };
  return [
    {
      method: 'GET',
      path: JOURNAL_PATH,
      async answer(request, response) {
        const caller = callerOf(request, 'read_journal');
        const ended = await followed(caller, readRegistration(request.url ?? ''));
        await streamJournal(journal, request, response, {
          signal,
          problem: (error) => cutOff?.(caller.name, error),
        });
        ended();
      },
    },
    {
      method: 'POST',
      path: APPLIED_PATH,
      async answer(request, response) {
        const caller = callerOf(request, 'report_progress');
        const ended = reporting?.(caller);
        const take = (report: AppliedReport): void => {
          if (report.node !== caller.name) throw authentication.refuse(caller, 'peer_wrong_name', report.node);
          reported(report);
        };
        let isWhole = false;
        try {
          isWhole = await readReports(request, take, signal);
        } finally {
          ended?.(isWhole);
        }
        if (isWhole) response.writeHead(204).end();
      },
    },
    {
      method: 'POST',
      path: PURGES_PATH,
      async answer(request, response) {
        const caller = callerOf(request, 'append_purges');
        const purges = readPurges(await readJson(request));
        const appended = await append(purges, caller, request.socket.remoteAddress ?? '');
        const answer = JSON.stringify(appendedAnswer(journal.state(), appended));
        response.writeHead(200, { 'Content-Type': 'application/json' }).end(answer);
      },
    },
  ];
}

/** @throws {HttpError} `body_too_large`; {JournalError} `journal_bad_message` if it is not JSON. */
export async function readJson(request: IncomingMessage, maxBytes: number = MAX_BODY_BYTES): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    // Read to its end all the same: a node that is still sending would find the connection closed, without an answer.
    if (bytes <= maxBytes) chunks.push(chunk);
  }
  if (bytes > maxBytes) throw new HttpError('body_too_large');
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (cause) {
    throw new JournalError('journal_bad_message', 'no JSON', { cause });
  }
}

/**
 * Answers requests with the routes, on a server of node:http that has nothing else.
 *
 * @param onFault - Called with an error that is a fault of this process.
 */
export function serveRoutes(
  routes: readonly JournalRoute[],
  onFault: (error: unknown) => void,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    const path = request.url?.split('?')[0];
    const route = routes.find((one) => one.method === request.method && one.path === path);
    if (route === undefined) {
      response.writeHead(404).end();
      return;
    }
    route.answer(request, response).catch((error: unknown) => {
      const status = statusOf(error);
      if (status === 500) onFault(error);
      if (response.headersSent) response.destroy();
      else response.writeHead(status, { Connection: 'close' }).end();
    });
  };
}

function statusOf(error: unknown): number {
  if (error instanceof HttpError) return error.status;
  if (error instanceof JournalError) return error.code === 'journal_bad_message' ? 400 : 503;
  return 500;
}
