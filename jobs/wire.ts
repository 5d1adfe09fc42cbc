/**
 * Messages between a node and the control node about jobs.
 *
 *     POST /v1/work
 *
 * with one message, in JSON, and the field by which nodes know each other (journal/wire.ts). A node claims a step,
 * renews its lease while it works on it, and reports what came of it. A claim that finds nothing waits for a while, and
 * is answered 204.
 *
 * A lease is known by its `claim`, a random text. A message about a lease that the node has lost is answered
 * `{"go": false}`: another node works on the step, or the job was cancelled.
 * @module
 */
import { z } from 'zod';

export const WORK_PATH = '/v1/work';

/** URLs of one step. */
export const STEP_URLS = 100;

/** Longest URL of a job. */
export const MAX_URL_LENGTH = 8_192;

/** Longest message of a node. */
export const MAX_WORK_BYTES = 2 ** 21;

/** Longest time that a claim waits. */
export const MAX_CLAIM_WAIT_MS = 20_000;

const MAX_DETAIL = 200;

/** Outcomes of one URL. */
export const OUTCOMES = {
  stored: 'it was fetched, and is stored now',
  fresh: 'it was stored already, and fresh',
  not_stored: 'it was answered, and may not be stored: `detail` says why',
  failed: 'it was not answered, or with an error that may pass; it is in the dead-letter list',
} as const;

export type Outcome = keyof typeof OUTCOMES;

const outcomeSchema = z.enum(Object.keys(OUTCOMES) as [Outcome, ...Outcome[]]);

const lease = {
  job: z.string().max(64),
  lane: z.string().max(100),
  claim: z.string().max(64),
};

const urlResultSchema = z.strictObject({
  outcome: outcomeSchema,
  /** Status of the answer; 0: there was none. */
  status: z.number().int().min(0).max(999),
  /** Bytes of the body. */
  bytes: z.number().int().min(0),
  ms: z.number().int().min(0),
  detail: z.string().max(MAX_DETAIL),
});

export type UrlResult = z.output<typeof urlResultSchema>;

const messageSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('claim'), wait_ms: z.number().min(0).max(MAX_CLAIM_WAIT_MS) }),
  z.strictObject({ type: z.literal('renew'), ...lease, done: z.number().int().min(0) }),
  /** Results of a step, in the order of its URLs. */
  z.strictObject({ type: z.literal('results'), ...lease, results: z.array(urlResultSchema).max(STEP_URLS) }),
  /** The step cannot be done now. */
  z.strictObject({ type: z.literal('failed'), ...lease, reason: z.string().max(MAX_DETAIL) }),
]);

export type WorkMessage = z.output<typeof messageSchema>;

/** @returns `undefined` if it is none. */
export function readWorkMessage(value: unknown): WorkMessage | undefined {
  return messageSchema.safeParse(value).data;
}

const stepSchema = z.object({
  ...lease,
  /** A lease that was not renewed for this time is lost. */
  lease_ms: z.number().min(1),
  task: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('warm'),
      urls: z.array(z.string()).max(STEP_URLS),
      /** Requests a second. */
      rate: z.number().min(0.001),
      /** Values of Accept-Encoding; each URL is asked for with each of them. */
      accept_encoding: z.array(z.string()).min(1).max(8),
    }),
  ]),
});

/** Answer to a claim. */
export type Step = z.output<typeof stepSchema>;

export type Task = Step['task'];

/** @returns `undefined` if it is none, or one that this version does not know. */
export function readStep(value: unknown): Step | undefined {
  return stepSchema.safeParse(value).data;
}

const goSchema = z.object({ go: z.boolean() });

/** Returns whether a message about a lease was taken. */
export function readGo(value: unknown): boolean {
  return goSchema.safeParse(value).data?.go === true;
}

/** Shortens a text to what a result may say. */
export function detailOf(text: string): string {
  return text.slice(0, MAX_DETAIL);
}
