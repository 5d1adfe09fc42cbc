/**
 * Addresses of jobs, as a table like that of purges (../routes.ts).
 * @module
 */
import { createHash, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RegionConfig } from '../../config/schema.ts';
import { JournalError } from '../../journal/errors.ts';
import type { AuditEntry, AuditLog } from '../audit.ts';
import type { Waiting } from '../audit-outbox.ts';
import { ApiError } from '../errors.ts';
import { type Caller, checkKey } from '../purge-api.ts';
import { clientAbortSignal, idempotencyKey, PROBLEM, REFUSALS, type Route } from '../routes.ts';
import type { SiteDirectory } from '../site-directory.ts';
import type { Token } from '../tokens.ts';
import { validBody, validQuery } from '../validate.ts';
import { checkMayRun, checkUrlCount, mayAll, regionsOf, urlsOf } from './job-request.ts';
import { chunked, countsOf, doneOf, type JobProgress, type Jobs } from './jobs.ts';
import type { Job } from './rows.ts';
import {
  type JobAnswer,
  type JobSummary,
  jobListQuerySchema,
  jobPageSchema,
  jobRequestSchema,
  jobSchema,
  MAX_JOB_BODY_BYTES,
  type ResultLine,
  resultsQuerySchema,
} from './schemas.ts';

export interface JobRoutesParts {
  readonly jobs: Jobs;
  readonly audit: AuditLog;
  readonly regions: () => readonly RegionConfig[];
  readonly sites: () => SiteDirectory;
  /** Ends answers that follow a job. */
  readonly signal: AbortSignal;
}

const NDJSON = 'application/x-ndjson';

const ID = { id: '`id` of the job.' };

export function jobRoutes(parts: JobRoutesParts): Route[] {
  const api = new JobApi(parts);
  const change = (action: 'cancel' | 'retry', summary: string): Route => ({
    method: 'POST',
    path: `/v1/jobs/:id/${action}`,
    summary,
    token: true,
    params: ID,
    responses: {
      200: { description: 'The job, as it is now.', schema: jobSchema },
      404: PROBLEM,
      ...REFUSALS,
      ...(action === 'retry' && { 409: PROBLEM }),
      503: PROBLEM,
    },
    handle: ({ caller, params }) => api.change(caller, (params as { id: string }).id, action),
  });
  return [
    {
      method: 'POST',
      path: '/v1/jobs',
      summary: 'Start a job, which nodes work on: all that is named, or nothing.',
      token: true,
      body: jobRequestSchema,
      maxBodyBytes: MAX_JOB_BODY_BYTES,
      headers: {
        'Idempotency-Key':
          'A repetition with the same key and the same body starts nothing again and is answered with the same job, for a day.',
      },
      responses: {
        202: { description: 'It is in the queue.', schema: jobSchema },
        400: PROBLEM,
        ...REFUSALS,
        413: PROBLEM,
        415: PROBLEM,
        422: PROBLEM,
        503: PROBLEM,
      },
      handle: (request, reply) => api.create(request, reply),
    },
    {
      method: 'GET',
      path: '/v1/jobs',
      summary: 'The jobs that are kept, newest first.',
      token: true,
      query: jobListQuerySchema,
      responses: { 200: { description: 'A page.', schema: jobPageSchema }, 400: PROBLEM, ...REFUSALS, 503: PROBLEM },
      async handle({ caller, query }) {
        const { cursor, limit } = validQuery(jobListQuerySchema, query);
        return api.page(caller, cursor, Number(limit));
      },
    },
    {
      method: 'GET',
      path: '/v1/jobs/dead-letters',
      summary: 'URLs of all jobs that have failed, as lines of JSON.',
      token: true,
      responses: { 200: { description: 'Lines of JSON.', contentType: NDJSON }, ...REFUSALS, 503: PROBLEM },
      handle: ({ caller }, reply) => api.deadLetters(caller, reply),
    },
    {
      method: 'GET',
      path: '/v1/jobs/:id',
      summary: 'A job, and how far it is in each region.',
      token: true,
      params: ID,
      responses: { 200: { description: 'The job.', schema: jobSchema }, 404: PROBLEM, ...REFUSALS, 503: PROBLEM },
      handle: ({ caller, params }) => api.show(caller, (params as { id: string }).id),
    },
    {
      method: 'GET',
      path: '/v1/jobs/:id/results',
      summary: 'What came of each URL, as lines of JSON.',
      token: true,
      params: ID,
      query: resultsQuerySchema,
      responses: {
        200: { description: 'Lines of JSON.', contentType: NDJSON },
        400: PROBLEM,
        404: PROBLEM,
        ...REFUSALS,
        503: PROBLEM,
      },
      handle: (request, reply) => api.results(request, reply),
    },
    change('cancel', 'End a job; what was done stays.'),
    change('retry', 'Try once more what has failed.'),
  ];
}

class JobApi {
  readonly #parts: JobRoutesParts;

  constructor(parts: JobRoutesParts) {
    this.#parts = parts;
  }

  async create(request: FastifyRequest, reply: FastifyReply): Promise<JobAnswer> {
    const { caller, body } = request;
    try {
      const { job, repeated } = await this.#create(caller, body, idempotencyKey(request));
      reply.code(202).header('location', `/v1/jobs/${job.id}`);
      if (repeated) reply.header('idempotent-replayed', 'true');
      return await this.#answer(job.id);
    } catch (error) {
      await this.#refused(caller, 'create job', error, {});
      throw unavailable(error);
    }
  }

  async #create(
    caller: Caller,
    body: unknown,
    key: string | undefined,
  ): Promise<{ readonly job: Job; readonly repeated: boolean }> {
    const { jobs, regions, sites } = this.#parts;
    const { token } = caller;
    checkMayRun(token);
    checkUrlCount(body);
    const wanted = validBody(jobRequestSchema, body);
    checkKey(key);
    const { urls, sites: named } = await urlsOf(wanted.urls, sites(), token);
    const known = regions().filter(({ edges }) => edges.length > 0);
    const lanes = regionsOf(
      wanted.regions,
      known.map(({ region }) => region),
    );
    const { rate, accept_encoding: acceptEncoding, reason } = wanted;
    const made = await jobs.create(
      {
        spec: { kind: 'warm', regions: lanes, rate, acceptEncoding },
        sites: named,
        deadlineMs: wanted.deadline_seconds * 1_000,
        by: nameOf(token),
        reason,
        lanes,
        chunks: chunked(urls),
      },
      key === undefined ? undefined : { token: token.id, key, body: digest(wanted) },
      (job) => this.#waiting(caller, 'create job', job),
    );
    switch (made.kind) {
      case 'conflict':
        throw new ApiError('idempotency_conflict', {
          errors: [
            {
              header: 'idempotency-key',
              detail: 'this key came with another request before',
              fix: 'Send a new key with each new request, and the same one with a repetition only.',
            },
          ],
        });
      case 'too_many':
        throw new ApiError('too_many_jobs', {
          detail: 'Wait for one to end, or cancel one.',
          headers: { 'retry-after': '60' },
        });
      case 'created':
      case 'repeated':
        return { job: made.job, repeated: made.kind === 'repeated' };
    }
  }

  async change(caller: Caller, id: string, action: 'cancel' | 'retry'): Promise<JobAnswer> {
    const { jobs } = this.#parts;
    try {
      checkMayRun(caller.token);
      const found = await jobs.find(id);
      if (found === undefined || !mayAll(caller.token, found.job.sites)) throw notFound();
      const audit = (job: Job) => this.#waiting(caller, `${action} job`, job);
      const changed = await jobs[action](id, audit);
      if (changed === undefined) throw notFound();
      if (changed === 'nothing') {
        throw new ApiError('nothing_to_retry', {
          detail: 'No region that has ended has a URL that failed, or the job was ended by a call or its deadline.',
        });
      }
      return await this.#answer(id);
    } catch (error) {
      await this.#refused(caller, `${action} job`, error, { job: id.slice(0, 64) });
      throw unavailable(error);
    }
  }

  async show(caller: Caller, id: string): Promise<JobAnswer> {
    await this.#readable(caller, id);
    return this.#answer(id);
  }

  async page(caller: Caller, cursor: string | undefined, limit: number) {
    checkMayRead(caller.token);
    const { jobs, next } = await this.#parts.jobs.list(cursor, limit, ({ sites }) => mayAll(caller.token, sites));
    return { jobs: jobs.map(summaryOf), next: next ?? null };
  }

  async results({ caller, params, query }: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { outcome, follow } = validQuery(resultsQuerySchema, query);
    const { id } = params as { id: string };
    await this.#readable(caller, id);
    const signal = AbortSignal.any([clientAbortSignal(reply), this.#parts.signal]);
    return sendLines(reply, this.#parts.jobs.results(id, { outcome, follow: follow === 'true' }, signal));
  }

  async deadLetters({ token }: Caller, reply: FastifyReply): Promise<FastifyReply> {
    checkMayRead(token);
    return sendLines(
      reply,
      this.#parts.jobs.deadLetters(({ sites }) => mayAll(token, sites)),
    );
  }

  async #readable({ token }: Caller, id: string): Promise<void> {
    checkMayRead(token);
    const found = await this.#parts.jobs.find(id);
    if (found === undefined || !mayAll(token, found.job.sites)) throw notFound();
  }

  async #answer(id: string): Promise<JobAnswer> {
    const progress = await this.#parts.jobs.find(id);
    if (progress === undefined) throw notFound();
    const regions = progress.lanes.map(({ name, lane, hasEnded }): JobAnswer['regions'][number] => ({
      region: name,
      state: hasEnded ? 'ended' : lane.holder === undefined ? 'waiting' : 'working',
      node: lane.holder?.node ?? null,
      done: doneOf(lane),
      counts: lane.counts,
    }));
    return { ...summaryOf(progress), regions };
  }

  #waiting(caller: Caller, action: string, job: Job): Waiting {
    const { id, spec, sites, urls, reason } = job;
    const about = { job: id, kind: spec.kind, sites: sites.slice(0, 100), urls, regions: spec.regions, reason };
    return { id: randomUUID(), entry: this.#parts.audit.timed(entry(caller, action, 'ok', about)) };
  }

  /** Writes an entry about a call that was refused. */
  async #refused(caller: Caller, action: string, error: unknown, rest: Record<string, unknown>): Promise<void> {
    const code = error instanceof ApiError ? error.code : error instanceof JournalError ? error.code : 'internal';
    await this.#parts.audit.write(entry(caller, action, code, rest));
  }
}

function entry(
  { token, address }: Caller,
  action: string,
  result: string,
  rest: Readonly<Record<string, unknown>>,
): AuditEntry {
  return { who: token.name, token: token.id, address, action, result, ...rest };
}

function sendLines(reply: FastifyReply, lines: AsyncGenerator<readonly ResultLine[]>): FastifyReply {
  return reply
    .header('content-type', NDJSON)
    .header('cache-control', 'no-store')
    .send(Readable.from(encoded(lines), { objectMode: false }));
}

/** Lines of a step are sent as they come: a caller that follows a job waits for none of them. */
async function* encoded(steps: AsyncGenerator<readonly ResultLine[]>): AsyncGenerator<string> {
  for await (const lines of steps) {
    if (lines.length > 0) yield lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  }
}

function summaryOf(progress: JobProgress): JobSummary {
  const { id, spec, state, created, ended, deadline, by, reason, sites, urls, lanes } = progress.job;
  return {
    id,
    kind: spec.kind,
    state,
    created: new Date(created).toISOString(),
    ended: ended === undefined ? null : new Date(ended).toISOString(),
    deadline: new Date(deadline).toISOString(),
    by,
    reason,
    sites: [...sites],
    total: urls * lanes.length,
    done: progress.lanes.reduce((sum, { lane }) => sum + doneOf(lane), 0),
    counts: countsOf(progress),
  };
}

/** @throws {ApiError} `forbidden` */
function checkMayRead({ read }: Token): void {
  if (read) return;
  throw new ApiError('forbidden', { detail: 'This token may not read jobs; use one that was made with --read.' });
}

function notFound(): ApiError {
  return new ApiError('not_found', { detail: 'There is no job of this id that this token may see.' });
}

function unavailable(error: unknown): unknown {
  if (!(error instanceof JournalError)) return error;
  return new ApiError('store_unavailable', { headers: { 'retry-after': '1' }, cause: error });
}

function nameOf({ name, id }: Token): string {
  return `${name} (${id})`;
}

/** Hashes the parsed request, so that white space and the order of keys make no difference. */
function digest(request: unknown): Uint8Array {
  return createHash('sha256')
    .update(`job\n${JSON.stringify(request)}`)
    .digest();
}
