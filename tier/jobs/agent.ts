/**
 * Worker of jobs in a node: claims steps from the control nodes, renews their leases while it works, and reports. A
 * node without control nodes has none.
 * @module
 */
import { setTimeout as wait } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { controlUrls } from '../../config/control-urls.ts';
import type { RegionConfig } from '../../config/schema.ts';
import { type WorkClient, workClient } from '../../jobs/client.ts';
import { detailOf, type Outcome, type Step, type Task, type UrlResult } from '../../jobs/wire.ts';
import { Backoff } from '../../lib/backoff.ts';
import type { Component } from '../../lib/components.ts';
import type { Logger } from '../../telemetry/log.ts';
import type { NodeCertificates } from '../../trust/node-certificates.ts';

/** Work on one step. */
export interface StepRun {
  readonly task: Task;
  /** Aborts when the lease is lost, or the node closes. */
  readonly signal: AbortSignal;
  /** Notes how many URLs are done. */
  readonly progressed: (done: number) => void;
}

/** Does a step. @returns What came of its URLs, in their order. @throws What makes it impossible now. */
export type RunStep = (run: StepRun) => Promise<readonly UrlResult[]>;

/** The node that works. */
export interface WorkingNode {
  readonly name: string;
  /** Absent: nodes know each other by their secret. */
  readonly certificates?: NodeCertificates | undefined;
  readonly log: Pick<Logger, 'debug' | 'warn'>;
  readonly metrics: { jobUrl(outcome: Outcome): void };
}

/** Steps of different jobs that a node works on at a time: a long job does not hold up a short one. */
const STEPS_AT_ONCE = 2;

const PAUSES = { firstMs: 500, maxMs: 15_000, random: Math.random };

/** Part of a lease after which it is renewed. */
const RENEW_AT = 1 / 3;

interface Settings {
  readonly urls: readonly string[];
  readonly secret: string;
}

export class JobAgent implements Component<RegionConfig> {
  readonly #node: WorkingNode;
  readonly #run: RunStep;
  #settings: Settings;
  #working: Working;

  constructor(node: WorkingNode, region: RegionConfig, run: RunStep) {
    this.#node = node;
    this.#run = run;
    this.#settings = settingsOf(region);
    this.#working = this.#begin();
  }

  update(region: RegionConfig): void {
    const next = settingsOf(region);
    if (isDeepStrictEqual(next, this.#settings)) return;
    this.#settings = next;
    void this.#working.end();
    this.#working = this.#begin();
  }

  /** Takes nothing more. What it works on is given to another node, once the lease is over. */
  end(): void {
    void this.#working.end();
  }

  async close(): Promise<void> {
    await this.#working.end();
  }

  #begin(): Working {
    const { urls, secret } = this.#settings;
    if (urls.length === 0) return { end: async () => undefined };
    const ending = new AbortController();
    const { name: node, certificates } = this.#node;
    const client = workClient({ urls, secret, node, certificates });
    const loops = Array.from({ length: STEPS_AT_ONCE }, () => this.#work(client, ending.signal));
    const ended = Promise.all(loops).then(() => client.close());
    return {
      end() {
        ending.abort();
        return ended;
      },
    };
  }

  /** Never rejects. */
  async #work(client: WorkClient, signal: AbortSignal): Promise<void> {
    const backoff = new Backoff(PAUSES);
    while (!signal.aborted) {
      try {
        const step = await client.claim(signal);
        backoff.reset();
        if (step !== undefined) await this.#do(client, step, signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#node.log.debug({ detail: (error as Error).message }, 'no work from the control node: it is asked again');
        await pause(backoff.next(), signal);
      }
    }
  }

  async #do(client: WorkClient, { job, lane, claim, lease_ms: leaseMs, task }: Step, closing: AbortSignal) {
    const lease = { job, lane, claim };
    const losing = new AbortController();
    const finished = new AbortController();
    const signal = AbortSignal.any([losing.signal, closing]);
    let done = 0;
    const renew = async (): Promise<void> => {
      for (;;) {
        await pause(leaseMs * RENEW_AT, AbortSignal.any([finished.signal, signal]));
        if (finished.signal.aborted || signal.aborted) return;
        try {
          if (!(await client.tell({ type: 'renew', ...lease, done }, signal))) losing.abort();
        } catch {
          // The control node is away: the step goes on, and is reported when it is back.
        }
      }
    };
    const renewing = renew();
    try {
      const results = await this.#run({
        task,
        signal,
        progressed: (count) => {
          done = count;
        },
      });
      if (signal.aborted) return;
      for (const { outcome } of results) this.#node.metrics.jobUrl(outcome);
      await this.#report(client, { type: 'results', ...lease, results: [...results] }, signal);
    } catch (error) {
      if (signal.aborted) return;
      const reason = detailOf((error as Error).message);
      this.#node.log.warn({ job, lane, detail: reason }, 'a step of a job cannot be done: it is tried again later');
      await this.#report(client, { type: 'failed', ...lease, reason }, signal);
    } finally {
      finished.abort();
      await renewing;
    }
  }

  /** Reports until a control node has taken it, or the lease is lost. */
  async #report(client: WorkClient, message: Parameters<WorkClient['tell']>[0], signal: AbortSignal): Promise<void> {
    const backoff = new Backoff({ ...PAUSES, maxMs: 2_000 });
    while (!signal.aborted) {
      try {
        await client.tell(message, signal);
        return;
      } catch {
        await pause(backoff.next(), signal); // what was reported twice is taken once
      }
    }
  }
}

interface Working {
  end(): Promise<void>;
}

function settingsOf(region: RegionConfig): Settings {
  return { urls: controlUrls(region), secret: region.tier_secret };
}

/** Never rejects. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await wait(ms, undefined, { signal, ref: false }).catch(() => undefined);
}
