/**
 * Jobs of a control node: the queue, and what keeps it going.
 * @module
 */
import type { Counter, Registry } from 'prom-client';
import type { RegionConfig } from '../../config/schema.ts';
import { monotonicNow, wallNow } from '../../lib/clock.ts';
import { counter, gauge } from '../../telemetry/instruments.ts';
import type { Logger } from '../../telemetry/log.ts';
import type { ControlConfig } from '../data-folder.ts';
import { knownNodes } from '../node-questions.ts';
import { Jobs } from './jobs.ts';
import { Queue, type StepEnd, type Worker } from './queue.ts';
import type { JobTable } from './table.ts';

export interface JobServiceOptions {
  readonly table: JobTable;
  readonly config: () => ControlConfig;
  readonly regions: () => readonly RegionConfig[];
  readonly registry: Registry;
  readonly log: Pick<Logger, 'error' | 'warn'>;
}

const SWEEP_MS = 1_000;
/** Sweeps between two looks for what is to be forgotten. */
const FORGET_EVERY = 60;

export class JobService {
  readonly jobs: Jobs;
  readonly queue: Queue;
  readonly #options: JobServiceOptions;
  readonly #steps: Counter<'end'>;
  readonly #timer: NodeJS.Timeout;
  #sweeping: Promise<void> | undefined;
  #sweeps = 0;
  #active = 0;
  #isFailing = false;

  constructor(options: JobServiceOptions) {
    this.#options = options;
    const { table, config, registry } = options;
    this.jobs = new Jobs({
      table,
      now: wallNow,
      bounds: () => {
        const { retention: retentionMs, max_jobs: maxJobs, max_active: maxActive } = config().jobs;
        return { retentionMs, maxJobs, maxActive };
      },
    });
    this.queue = new Queue({
      table,
      leaseMs: () => config().jobs.lease,
      now: wallNow,
      monotonic: monotonicNow,
      stepped: (end) => this.#stepped(end),
    });
    this.#steps = counter(registry, 'seawall_job_steps_total');
    gauge(registry, 'seawall_jobs_active', () => this.#active);
    this.#timer = setInterval(() => void this.sweep(), SWEEP_MS);
    this.#timer.unref();
    void this.sweep();
  }

  /** Returns the node of this name as one that asks for work, if a region file names it. */
  workerOf(node: string): Worker | undefined {
    const known = knownNodes(this.#options.regions()).find(({ name }) => name === node);
    return known && { node, region: known.region, role: known.role };
  }

  /** Never rejects. */
  sweep(): Promise<void> {
    this.#sweeping ??= this.#sweep().finally(() => {
      this.#sweeping = undefined;
    });
    return this.#sweeping;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#sweeping;
  }

  async #sweep(): Promise<void> {
    try {
      await this.jobs.sweep();
      this.#active = await this.jobs.active();
      if (this.#sweeps++ % FORGET_EVERY === 0) await this.jobs.forget();
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing) this.#options.log.error({ err: error }, 'jobs cannot be read: they wait until they can');
      this.#isFailing = true;
    }
  }

  #stepped(end: StepEnd): void {
    this.#steps.inc({ end });
    if (end === 'given_up')
      this.#options.log.warn('a step of a job was given up: its URLs are in the dead-letter list');
  }
}
