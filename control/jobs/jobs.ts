/**
 * Jobs as operators see them: taken, listed, followed, cancelled, tried once more; and what keeps them going, which any
 * control node may do, and several at once.
 * @module
 */
import { setTimeout as timeout } from 'node:timers/promises';
import { STEP_URLS } from '../../jobs/wire.ts';
import type { EpochMs } from '../../lib/clock.ts';
import type { Waiting } from '../audit-outbox.ts';
import {
  type Chunk,
  type Counts,
  isEnded,
  isJobId,
  type Job,
  type JobSpec,
  type JobState,
  KEYS,
  type Lane,
  NEW_LANE,
  NO_COUNTS,
  newJobId,
  numberOf,
  type OnceRow,
  partsOf,
  type Results,
  stepsOf,
  timeOfId,
} from './rows.ts';
import type { ResultLine } from './schemas.ts';
import { allRows, type JobRow, type JobTable, MAX_BYTES_A_CHANGE, MAX_ROWS_A_CHANGE } from './table.ts';

export interface NewJob {
  readonly spec: JobSpec;
  readonly sites: readonly string[];
  readonly deadlineMs: number;
  readonly by: string;
  readonly reason: string;
  readonly lanes: readonly string[];
  /** URLs of each step. */
  readonly chunks: readonly Chunk[];
}

/** Makes a job one that is made once. */
export interface JobOnce {
  readonly token: string;
  readonly key: string;
  /** Digest of the request. */
  readonly body: Uint8Array;
}

export interface JobsOptions {
  readonly table: JobTable;
  readonly now: () => EpochMs;
  /** Bounds, as of now. */
  readonly bounds: () => JobBounds;
}

export interface JobBounds {
  /** Time that a job that has ended is kept. */
  readonly retentionMs: number;
  /** Jobs that are kept; the oldest of those that have ended go. */
  readonly maxJobs: number;
  /** Jobs that have not ended. */
  readonly maxActive: number;
}

/** A job, and how far its lanes are. */
export interface JobProgress {
  readonly job: Job;
  readonly lanes: readonly LaneProgress[];
}

export interface LaneProgress {
  readonly name: string;
  readonly lane: Lane;
  readonly hasEnded: boolean;
}

export type Created =
  | { readonly kind: 'created' | 'repeated'; readonly job: Job }
  | { readonly kind: 'conflict' | 'too_many' };

/** Lifetime of an idempotency key, as of purges (journal/journal.ts). */
const ONCE_RETENTION_MS = 86_400_000;

/** Rows of a job that was never made whole are removed after this time. */
const ORPHAN_MS = 3_600_000;

/** Time between looks for new results. */
const FOLLOW_MS = 300;

/** Attempts to write a row that others write as well. */
const MAX_CONFLICTS = 20;

export class Jobs {
  readonly #options: JobsOptions;
  readonly #changed = new Set<() => void>();

  constructor(options: JobsOptions) {
    this.#options = options;
  }

  /** @param audit - Makes the entry for the audit log, which is written in the transaction that makes the job. */
  async create(wanted: NewJob, once: JobOnce | undefined, audit: (job: Job) => Waiting): Promise<Created> {
    const { table, now, bounds } = this.#options;
    const onceKey = once && KEYS.onceKey(once.token, once.key);
    const known = once && (await this.#made(once));
    if (known !== undefined) return known;
    const { maxActive } = bounds();
    if ((await table.list(KEYS.active, { limit: maxActive })).length >= maxActive) return { kind: 'too_many' };
    const { chunks, spec, sites, by, reason, lanes } = wanted;
    const created = now();
    const job: Job = {
      id: newJobId(created),
      spec,
      state: 'starting',
      sites,
      created,
      ended: undefined,
      deadline: created + wanted.deadlineMs,
      by,
      reason,
      lanes,
      steps: chunks.length,
      urls: chunks.reduce((sum, { length }) => sum + length, 0),
    };
    await this.#writeChunks(job.id, chunks);
    const onceRow: OnceRow | undefined = once && {
      job: job.id,
      body: Buffer.from(once.body).toString('base64'),
      at: created,
    };
    const isMade = await table.commit({
      expect: onceKey === undefined ? [] : [{ key: onceKey, version: undefined }],
      put: [
        { key: KEYS.job(job.id), value: job },
        { key: KEYS.activeJob(job.id), value: {} },
        ...(onceKey === undefined ? [] : [{ key: onceKey, value: onceRow }]),
      ],
      audit: audit(job),
    });
    if (!isMade) {
      // Another call with the key was faster; what this one has written is swept.
      return (once && (await this.#made(once))) ?? { kind: 'conflict' };
    }
    await this.advance(job.id);
    this.#tell();
    return { kind: 'created', job };
  }

  /** @returns The job, unless there is none of this id. */
  async find(id: string): Promise<JobProgress | undefined> {
    const job = await this.#read(id);
    return job && { job: job.value, lanes: await this.#lanesOf(job.value) };
  }

  /**
   * @param before - Only jobs before this id; absent: from the newest on.
   * @returns At most `limit`, newest first, and what `before` is for the next page.
   */
  async list(
    before: string | undefined,
    limit: number,
    isWanted: (job: Job) => boolean,
  ): Promise<{ jobs: JobProgress[]; next: string | undefined }> {
    const all: Job[] = [];
    for await (const { value } of allRows(this.#options.table, KEYS.jobs)) all.push(value as Job);
    const rest = all.filter((job) => (before === undefined || job.id < before) && isWanted(job)).reverse();
    const page = rest.slice(0, limit);
    const jobs: JobProgress[] = [];
    for (const job of page) jobs.push({ job, lanes: await this.#lanesOf(job) });
    return { jobs, next: rest.length > limit ? page.at(-1)?.id : undefined };
  }

  /** Ends a job; what nodes are at they give up at their next message. @returns The job, unless there is none. */
  cancel(id: string, audit: (job: Job) => Waiting): Promise<Job | undefined> {
    return this.#end(id, 'cancelled', audit);
  }

  /**
   * Tries once more what has failed.
   *
   * @returns The job; `undefined`: there is none, `nothing`: nothing of it has failed, or it was ended by a call.
   */
  async retry(id: string, audit: (job: Job) => Waiting): Promise<Job | 'nothing' | undefined> {
    const { table, now } = this.#options;
    const row = await this.#read(id);
    if (row === undefined) return undefined;
    const { value: job } = row;
    if (job.state !== 'done' && job.state !== 'running') return 'nothing';
    const ended: JobRow[] = [];
    for await (const one of allRows(table, `ended/${id}/`)) {
      if ((one.value as Lane).counts.failed > 0) ended.push(one);
    }
    if (ended.length === 0) return 'nothing';
    const next: Job = { ...job, state: 'running', ended: undefined, deadline: now() + (job.deadline - job.created) };
    const isTaken = await table.commit({
      expect: [{ key: row.key, version: row.version }],
      put: [
        { key: row.key, value: next },
        { key: KEYS.activeJob(id), value: {} },
        // One lane in the same transaction: a job without lanes has ended.
        ...ended.slice(0, 1).map((one) => retried(id, one)),
      ],
      remove: ended.slice(0, 1).map(({ key }) => key),
      audit: audit(next),
    });
    if (!isTaken) return this.retry(id, audit);
    for (const one of ended.slice(1)) {
      await table.commit({
        expect: [{ key: one.key, version: one.version }],
        put: [retried(id, one)],
        remove: [one.key],
      });
    }
    this.#tell();
    return next;
  }

  /** Results of a job, a step at a time, as they are now; with `follow` also those that come, until it ends. */
  async *results(
    id: string,
    wanted: { readonly outcome?: string | undefined; readonly follow: boolean },
    signal: AbortSignal,
  ): AsyncGenerator<readonly ResultLine[]> {
    const { table } = this.#options;
    const last = new Map<string, string>();
    for (;;) {
      const job = (await this.#read(id))?.value;
      if (job === undefined) return;
      for (const region of job.lanes) {
        const prefix = KEYS.result(id, region, 0).slice(0, -'000000'.length);
        for (;;) {
          const rows = await table.list(prefix, { after: last.get(region), limit: 10 });
          if (rows.length === 0) break;
          for (const row of rows) {
            yield await this.#lines(id, region, row, wanted.outcome);
            last.set(region, row.key);
            if (signal.aborted) return;
          }
        }
      }
      if (!wanted.follow || isEnded(job.state)) return;
      await timeout(FOLLOW_MS, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
    }
  }

  /** URLs of all jobs that have failed, a step at a time. */
  async *deadLetters(isWanted: (job: Job) => boolean): AsyncGenerator<readonly ResultLine[]> {
    let job: Job | undefined;
    for await (const row of allRows(this.#options.table, KEYS.dead, 10)) {
      const [id = '', region = ''] = stepsOf(row.key);
      if (job?.id !== id) job = (await this.#read(id))?.value;
      if (job === undefined || !isWanted(job)) continue;
      const result = await this.#options.table.get(KEYS.result(id, region, numberOf(row.key)));
      if (result !== undefined) yield await this.#lines(id, region, result, 'failed');
    }
  }

  async #lines(id: string, region: string, row: JobRow, outcome: string | undefined): Promise<readonly ResultLine[]> {
    const results = row.value as Results;
    const chunk = ((await this.#options.table.get(KEYS.chunk(id, numberOf(row.key))))?.value ?? []) as Chunk;
    return results.flatMap((result, place) => {
      if (outcome !== undefined && result.outcome !== outcome) return [];
      return [{ job: id, region, url: chunk[place] ?? '', ...result }];
    });
  }

  /** Resolves when jobs may have changed, or after the time. */
  async changed(ms: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    const wake = (): void => woken.abort();
    this.#changed.add(wake);
    await timeout(ms, undefined, { signal: AbortSignal.any([signal, woken.signal]), ref: false }).catch(
      () => undefined,
    );
    this.#changed.delete(wake);
  }

  /** Hands out the work of new jobs, ends those that are done or late, and forgets old ones. */
  async sweep(): Promise<void> {
    const { table } = this.#options;
    for await (const { key } of allRows(table, KEYS.active)) await this.advance(stepsOf(key)[0] ?? '');
  }

  /** Forgets jobs that have ended long ago, and what was left by calls that were broken off. */
  async forget(): Promise<void> {
    const { table, now, bounds } = this.#options;
    const { retentionMs, maxJobs } = bounds();
    const jobs: Job[] = [];
    for await (const { value } of allRows(table, KEYS.jobs)) jobs.push(value as Job);
    let tooMany = jobs.length - maxJobs;
    for (const { id, state, ended = 0 } of jobs) {
      if (!isEnded(state) || (now() - ended < retentionMs && tooMany <= 0)) continue;
      await this.#remove(id);
      tooMany -= 1;
    }
    const known = new Set(jobs.map(({ id }) => id));
    for await (const { key } of allRows(table, 'chunk/')) {
      const [id = ''] = stepsOf(key);
      if (known.has(id) || now() - timeOfId(id) < ORPHAN_MS) continue;
      await this.#remove(id);
      known.add(id); // its other rows are gone as well
    }
    for await (const { key, value } of allRows(table, KEYS.once)) {
      if (now() - (value as OnceRow).at >= ONCE_RETENTION_MS) await table.commit({ remove: [key] });
    }
  }

  /** Jobs that have not ended. */
  async active(): Promise<number> {
    let count = 0;
    for await (const _ of allRows(this.#options.table, KEYS.active)) count += 1;
    return count;
  }

  /** Does what a job needs next: hands out its work, or ends it. */
  async advance(id: string): Promise<void> {
    const { now } = this.#options;
    const row = await this.#read(id);
    if (row === undefined || isEnded(row.value.state)) return this.#tidy(id);
    if (row.value.deadline <= now()) {
      await this.#end(id, 'expired');
      return;
    }
    if (row.value.state === 'starting') await this.#start(row);
    else await this.#finish(row);
  }

  /** Makes the lanes of a job, then lets nodes have them. */
  async #start({ key, value: job, version }: JobRow & { readonly value: Job }): Promise<void> {
    const { table } = this.#options;
    for (const name of job.lanes) {
      const lane = KEYS.lane(job.id, name);
      // The job as it was: one that another control node has started may have lanes that have ended.
      const expect = [
        { key: lane, version: undefined },
        { key, version },
      ];
      await table.commit({ expect, put: [{ key: lane, value: NEW_LANE }] });
    }
    await table.commit({ expect: [{ key, version }], put: [{ key, value: { ...job, state: 'running' } }] });
    this.#tell();
  }

  async #finish({ key, value: job, version }: JobRow & { readonly value: Job }): Promise<void> {
    const { table, now } = this.#options;
    if ((await table.list(KEYS.lane(job.id, ''), { limit: 1 })).length > 0) return;
    await table.commit({
      expect: [{ key, version }],
      put: [{ key, value: { ...job, state: 'done', ended: now() } satisfies Job }],
      remove: [KEYS.activeJob(job.id)],
    });
    this.#tell();
  }

  async #end(id: string, state: JobState, audit?: (job: Job) => Waiting): Promise<Job | undefined> {
    const { table, now } = this.#options;
    for (let tries = 0; tries < MAX_CONFLICTS; tries += 1) {
      const row = await this.#read(id);
      if (row === undefined || isEnded(row.value.state)) return row?.value;
      const next: Job = { ...row.value, state, ended: now() };
      const isWritten = await table.commit({
        expect: [{ key: row.key, version: row.version }],
        put: [{ key: row.key, value: next }],
        audit: audit?.(next),
      });
      if (!isWritten) continue;
      await this.#tidy(id);
      this.#tell();
      return next;
    }
    return undefined;
  }

  /** Ends the lanes of a job that has ended. */
  async #tidy(id: string): Promise<void> {
    const { table } = this.#options;
    for await (const { key, value, version } of allRows(table, KEYS.lane(id, ''))) {
      const lane: Lane = { ...(value as Lane), holder: undefined };
      await table.commit({
        expect: [{ key, version }],
        put: [{ key: KEYS.endedLane(id, stepsOf(key)[1] ?? ''), value: lane }],
        remove: [key],
      });
    }
    await table.commit({ remove: [KEYS.activeJob(id)] });
  }

  async #remove(id: string): Promise<void> {
    const { table } = this.#options;
    for (const prefix of partsOf(id)) {
      for (;;) {
        const rows = await table.list(prefix, { limit: MAX_ROWS_A_CHANGE });
        if (rows.length === 0) break;
        await table.commit({ remove: rows.map(({ key }) => key) });
      }
    }
    await table.commit({ remove: [KEYS.job(id), KEYS.activeJob(id)] });
  }

  async #writeChunks(id: string, chunks: readonly Chunk[]): Promise<void> {
    const { table } = this.#options;
    let put: { key: string; value: Chunk }[] = [];
    let bytes = 0;
    for (const [step, urls] of chunks.entries()) {
      const size = urls.reduce((sum, url) => sum + url.length + 3, 0);
      if (put.length >= MAX_ROWS_A_CHANGE || (put.length > 0 && bytes + size > MAX_BYTES_A_CHANGE / 2)) {
        await table.commit({ put });
        [put, bytes] = [[], 0];
      }
      put.push({ key: KEYS.chunk(id, step), value: urls });
      bytes += size;
    }
    if (put.length > 0) await table.commit({ put });
  }

  async #made({ token, key, body }: JobOnce): Promise<Created | undefined> {
    const { table, now } = this.#options;
    const row = await table.get(KEYS.onceKey(token, key));
    if (row === undefined) return undefined;
    const once = row.value as OnceRow;
    if (now() - once.at >= ONCE_RETENTION_MS) {
      await table.commit({ expect: [{ key: row.key, version: row.version }], remove: [row.key] });
      return undefined;
    }
    const job = (await this.#read(once.job))?.value;
    if (once.body !== Buffer.from(body).toString('base64') || job === undefined) return { kind: 'conflict' };
    return { kind: 'repeated', job };
  }

  async #read(id: string): Promise<(JobRow & { readonly value: Job }) | undefined> {
    if (!isJobId(id)) return undefined;
    return (await this.#options.table.get(KEYS.job(id))) as (JobRow & { readonly value: Job }) | undefined;
  }

  async #lanesOf({ id, lanes }: Job): Promise<LaneProgress[]> {
    const found = new Map<string, LaneProgress>();
    for await (const { key, value } of allRows(this.#options.table, KEYS.lane(id, ''))) {
      const name = stepsOf(key)[1] ?? '';
      found.set(name, { name, lane: value as Lane, hasEnded: false });
    }
    for await (const { key, value } of allRows(this.#options.table, `ended/${id}/`)) {
      const name = stepsOf(key)[1] ?? '';
      found.set(name, { name, lane: value as Lane, hasEnded: true });
    }
    return lanes.map((name) => found.get(name) ?? { name, lane: NEW_LANE, hasEnded: false });
  }

  #tell(): void {
    for (const wake of this.#changed) wake();
  }
}

function retried(id: string, { key, value }: JobRow): { key: string; value: Lane } {
  const lane: Lane = { ...(value as Lane), next: 0, isRetry: true, holder: undefined, attempts: 0, notBefore: 0 };
  return { key: KEYS.lane(id, stepsOf(key)[1] ?? ''), value: lane };
}

/** Sum of what came of the URLs of all lanes. */
export function countsOf({ lanes }: JobProgress): Counts {
  const sum = { ...NO_COUNTS };
  for (const { lane } of lanes) {
    for (const outcome of Object.keys(sum) as (keyof Counts)[]) sum[outcome] += lane.counts[outcome];
  }
  return sum;
}

/** URLs of a lane that were tried. */
export function doneOf({ counts, holder, isRetry }: Lane): number {
  const { stored, fresh, not_stored: notStored, failed } = counts;
  return stored + fresh + notStored + failed + (isRetry ? 0 : (holder?.done ?? 0));
}

/** Bytes of the URLs of one step. */
const MAX_CHUNK_BYTES = 256 * 1024;

/** Divides URLs, which are ASCII, into steps. */
export function chunked(urls: readonly string[]): Chunk[] {
  const chunks: string[][] = [];
  let chunk: string[] = [];
  let bytes = 0;
  for (const url of urls) {
    if (chunk.length >= STEP_URLS || (chunk.length > 0 && bytes + url.length > MAX_CHUNK_BYTES)) {
      chunks.push(chunk);
      [chunk, bytes] = [[], 0];
    }
    chunk.push(url);
    bytes += url.length;
  }
  if (chunk.length > 0) chunks.push(chunk);
  return chunks;
}
