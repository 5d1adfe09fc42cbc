/**
 * Requests and responses of the addresses of jobs; /openapi.json is made from them.
 * @module
 */
import { z } from 'zod';
import { MAX_URL_LENGTH, OUTCOMES } from '../../jobs/wire.ts';
import { JOB_STATES, type JobState } from './rows.ts';

/** URLs of one job. */
export const MAX_JOB_URLS = 100_000;
export const MAX_JOB_BODY_BYTES = 24 * 2 ** 20;
export const DEFAULT_RATE = 50;
export const MAX_RATE = 1_000;
const MAX_PAGE = 100;
const DAY_SECONDS = 86_400;
const MAX_DEADLINE_SECONDS = 7 * DAY_SECONDS;

/** Value of Accept-Encoding that browsers send. */
export const BROWSERS_ENCODING = 'gzip, deflate, br, zstd';

const name = z.string().min(1).max(63);

export const jobRequestSchema = z
  .strictObject({
    kind: z.enum(['warm']).meta({ description: '`warm`: fetch URLs, so that they are stored.' }),
    urls: z
      .array(
        z
          .string()
          .min(1)
          .max(MAX_URL_LENGTH)
          .meta({ title: 'a URL', examples: ['https://www.example.com/page'] }),
      )
      .min(1)
      .meta({ description: `URLs with their schemes, at most ${MAX_JOB_URLS}.` }),
    regions: z
      .array(name.meta({ title: 'the name of a region', examples: ['eu'] }))
      .min(1)
      .max(1_000)
      .optional()
      .meta({ description: 'Regions in which it is done; absent: all of them.' }),
    rate: z
      .number()
      .min(0.1)
      .max(MAX_RATE)
      .default(DEFAULT_RATE)
      .meta({ description: 'Requests a second in each region.' }),
    accept_encoding: z
      .array(
        z
          .string()
          .max(256)
          .regex(/^[\x21-\x7e ]*$/)
          .meta({ title: 'a value of Accept-Encoding', examples: ['br'] }),
      )
      .min(1)
      .max(8)
      .default([BROWSERS_ENCODING])
      .meta({ description: 'Values of Accept-Encoding: each URL is asked for with each of them.' }),
    deadline_seconds: z
      .number()
      .int()
      .min(1)
      .max(MAX_DEADLINE_SECONDS)
      .default(DAY_SECONDS)
      .meta({ description: 'Time after which it ends, whatever is left to do.' }),
    reason: z.string().max(200).default('').meta({ description: 'Stored with the job, and shown in the list.' }),
  })
  .meta({ id: 'JobRequest', title: 'JobRequest' });

export type JobRequest = z.output<typeof jobRequestSchema>;

const count = z.number().int().min(0);

const countsSchema = z
  .strictObject(
    Object.fromEntries(
      Object.entries(OUTCOMES).map(([outcome, meaning]) => [outcome, count.meta({ description: `URLs: ${meaning}.` })]),
    ) as Record<keyof typeof OUTCOMES, z.ZodNumber>,
  )
  .meta({ id: 'JobCounts', title: 'JobCounts' });

const laneSchema = z.strictObject({
  region: z.string().meta({ description: 'Name of the region.' }),
  state: z.enum(['waiting', 'working', 'ended']).meta({ description: 'Whether a node works on it.' }),
  node: z.string().nullable().meta({ description: 'Node that works on it.' }),
  done: count.meta({ description: 'URLs that were tried.' }),
  counts: countsSchema,
});

const shape = {
  id: z.string().meta({ description: 'For GET /v1/jobs/{id}.' }),
  kind: z.enum(['warm']).meta({ description: 'As in the request.' }),
  state: z.enum(Object.keys(JOB_STATES) as [JobState, ...JobState[]]).meta({
    description: Object.entries(JOB_STATES)
      .map(([state, meaning]) => `\`${state}\`: ${meaning}`)
      .join('; '),
  }),
  created: z.iso.datetime().meta({ description: 'When it was accepted.' }),
  ended: z.iso.datetime().nullable().meta({ description: 'When it ended.' }),
  deadline: z.iso.datetime().meta({ description: 'When it ends at the latest.' }),
  by: z.string().meta({ description: 'Name and id of the token.' }),
  reason: z.string().meta({ description: 'As it was given.' }),
  sites: z.array(z.string()).meta({ description: 'Sites that it concerns.' }),
  total: count.meta({ description: 'URLs, counted for each region.' }),
  done: count.meta({ description: 'Of them, those that were tried.' }),
  counts: countsSchema,
};

export const jobSummarySchema = z.strictObject(shape).meta({ id: 'JobSummary', title: 'JobSummary' });

export const jobSchema = z
  .strictObject({ ...shape, regions: z.array(laneSchema).meta({ description: 'Progress in each region.' }) })
  .meta({ id: 'Job', title: 'Job' });

export type JobSummary = z.output<typeof jobSummarySchema>;
export type JobAnswer = z.output<typeof jobSchema>;

export const jobPageSchema = z
  .strictObject({
    jobs: z.array(jobSummarySchema).meta({ description: 'Newest first.' }),
    next: z.string().nullable().meta({ description: 'Cursor of the next page; null on the last one.' }),
  })
  .meta({ id: 'JobPage', title: 'JobPage' });

const pageNumber = z
  .string()
  .regex(/^(?:[1-9]\d?|100)$/)
  .default('20')
  .meta({ title: `a number from 1 to ${MAX_PAGE}`, examples: ['20'], description: 'Jobs on a page.' });

export const jobListQuerySchema = z.strictObject({
  cursor: z
    .string()
    .regex(/^[0-9a-z-]{22}$/)
    .optional()
    .meta({ title: 'a cursor', description: '`next` of the page before.' }),
  limit: pageNumber,
});

export const resultsQuerySchema = z.strictObject({
  outcome: z
    .enum(Object.keys(OUTCOMES) as [keyof typeof OUTCOMES, ...(keyof typeof OUTCOMES)[]])
    .optional()
    .meta({ description: 'Only these.' }),
  follow: z
    .enum(['true', 'false'])
    .default('false')
    .meta({ description: '`true`: the answer goes on with what comes, until the job ends.' }),
});

export const deadQuerySchema = z.strictObject({});

/** A line of the results. */
export interface ResultLine {
  readonly job: string;
  readonly region: string;
  readonly url: string;
  readonly outcome: keyof typeof OUTCOMES;
  readonly status: number;
  readonly bytes: number;
  readonly ms: number;
  readonly detail: string;
}
