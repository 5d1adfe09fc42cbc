/**
 * Queue of steps: nodes claim them, renew their leases and report; what a node has claimed and does not renew is given
 * to another one. A step may be done more than once, and has to be one that may.
 *
 * A lease is measured by the control node that sees it: it is over when its row has not changed for the time of the
 * lease on this node's monotonic clock. Clocks of control nodes are not compared, and a control node that has just
 * started waits for one lease before it takes anything from a node.
 * @module
 */
import { randomUUID } from 'node:crypto';
import { detailOf, type Step, type UrlResult } from '../../jobs/wire.ts';
import { backoffMs } from '../../lib/backoff.ts';
import { type EpochMs, type MonotonicMs, msBetween } from '../../lib/clock.ts';
import {
  type Chunk,
  counted,
  type DeadLetters,
  type Job,
  KEYS,
  type Lane,
  numberOf,
  type Results,
  stepsOf,
} from './rows.ts';
import { allRows, type JobRow, type JobTable } from './table.ts';

export interface QueueOptions {
  readonly table: JobTable;
  readonly leaseMs: () => number;
  readonly now: () => EpochMs;
  readonly monotonic: () => MonotonicMs;
  /** Called with each step that has ended, and how. */
  readonly stepped: (how: StepEnd) => void;
}

/** Ends of a step. */
export const STEP_ENDS = {
  done: 'a node has reported what came of it',
  lost: 'the node that had claimed it did not renew its lease: another one does it again',
  failed: 'the node could not do it: it is tried again later',
  given_up: 'it was lost or failed too often: its URLs are in the dead-letter list',
} as const;

export type StepEnd = keyof typeof STEP_ENDS;

/** Node that asks for work. */
export interface Worker {
  readonly node: string;
  readonly region: string;
  readonly role: 'edge' | 'shield';
}

/** Lease that a message is about. */
export interface Lease {
  readonly job: string;
  readonly lane: string;
  readonly claim: string;
}

/** Times that a step is begun. */
const MAX_ATTEMPTS = 5;

/** Before a step that failed is begun again. */
const PAUSES = { firstMs: 1_000, maxMs: 60_000 };

/** Attempts to write a row that others write as well. */
const MAX_CONFLICTS = 20;

interface Seen {
  readonly version: string;
  readonly since: MonotonicMs;
}

type LaneRow = JobRow & { readonly value: Lane };

export class Queue {
  readonly #options: QueueOptions;
  /** Leases as this control node has seen them, by the keys of their lanes. */
  #seen = new Map<string, Seen>();
  #scanning: Promise<readonly LaneRow[]> | undefined;

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  /** @returns A step for the node; `undefined`: there is none now. */
  async claim(worker: Worker): Promise<Step | undefined> {
    const rows = await this.#scan();
    for (const row of rows.toSorted((one, other) => one.value.claimed - other.value.claimed)) {
      const [id = '', lane = ''] = stepsOf(row.key);
      if (worker.role !== 'edge' || lane !== worker.region || !this.#isFree(row)) continue;
      const job = (await this.#options.table.get(KEYS.job(id)))?.value as Job | undefined;
      if (job?.state !== 'running') continue;
      const step = await this.#take(job, lane, row, worker);
      if (step !== undefined) return step;
    }
    return undefined;
  }

  /** @returns False if the lease is lost. */
  async renew(lease: Lease, done: number): Promise<boolean> {
    return this.#change(lease, (lane, holder) => ({ lane: { ...lane, holder: { ...holder, done } } }));
  }

  /** Takes what came of a step. @returns False if the lease is lost. */
  async report(lease: Lease, results: readonly UrlResult[]): Promise<boolean> {
    const { table, now, stepped } = this.#options;
    const { job: id, lane: name } = lease;
    const isTaken = await this.#change(lease, async (lane, _holder, job) => {
      const step = lane.next;
      const resultKey = KEYS.result(id, name, step);
      const deadKey = KEYS.deadLetters(id, name, step);
      const places = await this.#placesOf(job, name, lane);
      if (places.length !== results.length) return undefined;
      const known = lane.isRetry ? (((await table.get(resultKey))?.value ?? []) as Results) : [];
      const all = known.length === 0 ? [...results] : [...known];
      const before = known.length === 0 ? [] : places.map((place) => known[place] as UrlResult);
      if (known.length > 0) for (const [index, place] of places.entries()) all[place] = results[index] as UrlResult;
      const dead = places.filter((_, index) => results[index]?.outcome === 'failed');
      const letters: DeadLetters = { places: dead, at: now() };
      return {
        ...this.#stepDone(job, lane, counted(lane.counts, results, before)),
        put: [{ key: resultKey, value: all }, ...(dead.length > 0 ? [{ key: deadKey, value: letters }] : [])],
        remove: dead.length === 0 && lane.isRetry ? [deadKey] : [],
      };
    });
    if (isTaken) stepped('done');
    return isTaken;
  }

  /** A node cannot do its step. @returns False if the lease is lost. */
  async fail(lease: Lease, reason: string): Promise<boolean> {
    const { now, stepped } = this.#options;
    const isTaken = await this.#change(lease, async (lane, _holder, job) => {
      if (lane.attempts >= MAX_ATTEMPTS) return this.#givenUp(job, lease.lane, lane, reason);
      const notBefore = now() + backoffMs(PAUSES, lane.attempts - 1);
      return { lane: { ...lane, holder: undefined, notBefore } };
    });
    if (isTaken) stepped('failed');
    return isTaken;
  }

  /** Lanes of all jobs; claims that come meanwhile share one read. */
  #scan(): Promise<readonly LaneRow[]> {
    this.#scanning ??= this.#readLanes().finally(() => {
      this.#scanning = undefined;
    });
    return this.#scanning;
  }

  async #readLanes(): Promise<readonly LaneRow[]> {
    const { table, monotonic } = this.#options;
    const rows: LaneRow[] = [];
    const seen = new Map<string, Seen>();
    for await (const row of allRows(table, KEYS.lanes)) {
      rows.push(row as LaneRow);
      if ((row as LaneRow).value.holder === undefined) continue;
      const known = this.#seen.get(row.key);
      const { version } = row;
      seen.set(row.key, known?.version === version ? known : { version, since: monotonic() });
    }
    this.#seen = seen;
    return rows;
  }

  #isFree({ key, version, value: { holder, notBefore } }: LaneRow): boolean {
    const { now, monotonic, leaseMs } = this.#options;
    if (notBefore > now()) return false;
    if (holder === undefined) return true;
    const seen = this.#seen.get(key);
    return seen !== undefined && seen.version === version && msBetween(seen.since, monotonic()) >= leaseMs();
  }

  /** Takes a lane for a node. @returns `undefined` if another one was faster, or nothing of it is left. */
  async #take(job: Job, name: string, { key, value, version }: LaneRow, worker: Worker): Promise<Step | undefined> {
    const { table, now, leaseMs, stepped } = this.#options;
    const expect = [{ key, version }];
    if (value.holder !== undefined) stepped('lost');
    if (value.attempts >= MAX_ATTEMPTS) {
      const given = await this.#givenUp(job, name, value, `the node that worked on it was gone ${MAX_ATTEMPTS} times`);
      if (await this.#write(job.id, name, version, given)) stepped('given_up');
      return undefined;
    }
    const lane = value.isRetry ? await this.#atNextDead(job.id, name, value) : value;
    const urls = lane.next >= job.steps ? [] : await this.#urlsOf(job, name, lane);
    if (urls.length === 0) {
      await this.#write(job.id, name, version, { lane: { ...lane, isRetry: false, next: job.steps }, hasEnded: true });
      return undefined;
    }
    const claim = randomUUID();
    const holder = { node: worker.node, claim, done: 0 };
    const next: Lane = { ...lane, holder, attempts: lane.attempts + 1, claimed: now() };
    if (!(await table.commit({ expect, put: [{ key, value: next }] }))) return undefined;
    const { rate, acceptEncoding } = job.spec;
    return {
      job: job.id,
      lane: name,
      claim,
      lease_ms: leaseMs(),
      task: { kind: 'warm', urls, rate, accept_encoding: [...acceptEncoding] },
    };
  }

  /** @returns The lane at the next step of which URLs have failed. */
  async #atNextDead(id: string, name: string, lane: Lane): Promise<Lane> {
    const after = lane.next === 0 ? undefined : KEYS.deadLetters(id, name, lane.next - 1);
    const [row] = await this.#options.table.list(KEYS.deadOf(id, name), { after, limit: 1 });
    return { ...lane, next: row === undefined ? Number.MAX_SAFE_INTEGER : numberOf(row.key) };
  }

  async #urlsOf(job: Job, name: string, lane: Lane): Promise<string[]> {
    const chunk = ((await this.#options.table.get(KEYS.chunk(job.id, lane.next)))?.value ?? []) as Chunk;
    if (!lane.isRetry) return [...chunk];
    const places = await this.#placesOf(job, name, lane);
    return places.map((place) => chunk[place] as string);
  }

  /** Places of the URLs of a step that are worked on. */
  async #placesOf(job: Job, name: string, lane: Lane): Promise<readonly number[]> {
    const { table } = this.#options;
    if (lane.isRetry) {
      const row = await table.get(KEYS.deadLetters(job.id, name, lane.next));
      return (row?.value as DeadLetters | undefined)?.places ?? [];
    }
    const chunk = ((await table.get(KEYS.chunk(job.id, lane.next)))?.value ?? []) as Chunk;
    return chunk.map((_, place) => place);
  }

  #stepDone({ steps }: Job, lane: Lane, counts: Lane['counts']): Change {
    const next = { ...lane, next: lane.next + 1, holder: undefined, attempts: 0, notBefore: 0, counts };
    return { lane: next, hasEnded: !lane.isRetry && next.next >= steps };
  }

  /** All URLs of the step go to the dead-letter list. */
  async #givenUp(job: Job, name: string, lane: Lane, reason: string): Promise<Change> {
    const { table, now } = this.#options;
    const places = await this.#placesOf(job, name, lane);
    const failed: UrlResult = { outcome: 'failed', status: 0, bytes: 0, ms: 0, detail: detailOf(reason) };
    const resultKey = KEYS.result(job.id, name, lane.next);
    const known = ((await table.get(resultKey))?.value ?? []) as Results;
    const letters: DeadLetters = { places, at: now() };
    const isNew = known.length === 0;
    const all = places.map(() => failed);
    return {
      ...this.#stepDone(job, lane, isNew ? counted(lane.counts, all) : lane.counts),
      put: [
        ...(isNew ? [{ key: resultKey, value: all }] : []),
        { key: KEYS.deadLetters(job.id, name, lane.next), value: letters },
      ],
    };
  }

  /** Changes the lane of a lease. @returns False if the lease is lost. */
  async #change(
    { job: id, lane: name, claim }: Lease,
    change: (
      lane: Lane,
      holder: NonNullable<Lane['holder']>,
      job: Job,
    ) => Change | undefined | Promise<Change | undefined>,
  ): Promise<boolean> {
    const { table } = this.#options;
    for (let tries = 0; tries < MAX_CONFLICTS; tries += 1) {
      const row = (await table.get(KEYS.lane(id, name))) as LaneRow | undefined;
      const job = (await table.get(KEYS.job(id)))?.value as Job | undefined;
      if (row === undefined || job?.state !== 'running') return false;
      const { holder } = row.value;
      if (holder?.claim !== claim) return false;
      const changed = await change(row.value, holder, job);
      if (changed === undefined) return false;
      if (await this.#write(id, name, row.version, changed)) return true;
    }
    return false;
  }

  /** Writes a lane; one that has ended has another key. */
  #write(
    id: string,
    name: string,
    version: string,
    { lane, put = [], remove = [], hasEnded = false }: Change,
  ): Promise<boolean> {
    const key = KEYS.lane(id, name);
    return this.#options.table.commit({
      expect: [{ key, version }],
      put: [...put, { key: hasEnded ? KEYS.endedLane(id, name) : key, value: lane }],
      remove: hasEnded ? [...remove, key] : remove,
    });
  }
}

interface Change {
  readonly lane: Lane;
  readonly hasEnded?: boolean;
  readonly put?: readonly { readonly key: string; readonly value: unknown }[];
  readonly remove?: readonly string[];
}
