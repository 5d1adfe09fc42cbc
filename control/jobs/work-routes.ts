/**
 * Address at which nodes take steps of jobs and report what came of them (jobs/wire.ts).
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { MAX_WORK_BYTES, readWorkMessage, type Step, WORK_PATH, type WorkMessage } from '../../jobs/wire.ts';
import { JournalError } from '../../journal/errors.ts';
import { type JournalRoute, readJson } from '../../journal/routes.ts';
import { later, type MonotonicMs, msBetween } from '../../lib/clock.ts';
import type { Authentication } from '../../trust/authentication.ts';
import type { Jobs } from './jobs.ts';
import type { Queue, Worker } from './queue.ts';

export interface WorkRoutesOptions {
  readonly queue: Queue;
  readonly jobs: Jobs;
  readonly authentication: Authentication;
  /** Returns the node of this name, if the region files name it. */
  readonly workerOf: (node: string) => Worker | undefined;
  readonly monotonic: () => MonotonicMs;
  /** Ends what waits. */
  readonly signal: AbortSignal;
}

/** Time between looks for work: other control nodes take jobs as well. */
const LOOK_MS = 1_000;

export function workRoutes(options: WorkRoutesOptions): JournalRoute[] {
  const { authentication, workerOf, queue, jobs } = options;
  return [
    {
      method: 'POST',
      path: WORK_PATH,
      async answer(request: IncomingMessage, response: ServerResponse) {
        const caller = authentication.identify(request.rawHeaders, request.socket);
        authentication.permit(caller, 'work_on_jobs');
        const worker = workerOf(caller.name);
        if (worker === undefined) throw authentication.refuse(caller, 'peer_unknown', caller.name);
        const message = readWorkMessage(await readJson(request, MAX_WORK_BYTES));
        if (message === undefined) throw new JournalError('journal_bad_message', 'work');
        if (message.type !== 'claim') {
          const go = await taken(queue, message);
          if (message.type === 'results') await jobs.advance(message.job);
          answer(response, { go });
          return;
        }
        const leaving = new AbortController();
        response.once('close', () => leaving.abort());
        const step = await waited(options, worker, message.wait_ms, AbortSignal.any([leaving.signal, options.signal]));
        answer(response, step);
      },
    },
  ];
}

function taken(queue: Queue, message: Exclude<WorkMessage, { type: 'claim' }>): Promise<boolean> {
  switch (message.type) {
    case 'renew':
      return queue.renew(message, message.done);
    case 'results':
      return queue.report(message, message.results);
    case 'failed':
      return queue.fail(message, message.reason);
  }
}

/** Claims a step, and waits for one. */
async function waited(
  { queue, jobs, monotonic }: WorkRoutesOptions,
  worker: Worker,
  waitMs: number,
  signal: AbortSignal,
): Promise<Step | undefined> {
  const until = later(monotonic(), waitMs);
  while (!signal.aborted) {
    const step = await queue.claim(worker);
    if (step !== undefined) return step;
    const leftMs = msBetween(monotonic(), until);
    if (leftMs <= 0) return undefined;
    await jobs.changed(Math.min(LOOK_MS, leftMs), signal);
  }
  return undefined;
}

function answer(response: ServerResponse, body: object | undefined): void {
  if (body === undefined) response.writeHead(204).end();
  else response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}
