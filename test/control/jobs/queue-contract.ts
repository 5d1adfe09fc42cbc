/**
 * Contract of the queue of jobs on every table that it may have: claims, leases, reports, retries, retention.
 * @module
 */
import fc from 'fast-check';
import { type Test, test } from 'tap';
import { commandEntry } from '../../../control/audit-outbox.ts';
import { chunked, countsOf, type JobProgress, Jobs } from '../../../control/jobs/jobs.ts';
import { Queue, type StepEnd, type Worker } from '../../../control/jobs/queue.ts';
import type { Job } from '../../../control/jobs/rows.ts';
import type { JobTable } from '../../../control/jobs/table.ts';
import type { Outcome, Step, UrlResult } from '../../../jobs/wire.ts';
import { epochMs, monotonicMs } from '../../../lib/clock.ts';

const LEASE_MS = 10_000;
const EU_1: Worker = { node: 'eu-1', region: 'eu', role: 'edge' };
const EU_2: Worker = { node: 'eu-2', region: 'eu', role: 'edge' };
const US_1: Worker = { node: 'us-1', region: 'us', role: 'edge' };
const NEVER = new AbortController().signal;

interface Stage {
  readonly jobs: Jobs;
  readonly queue: Queue;
  readonly table: JobTable;
  readonly ends: StepEnd[];
  /** Another control node on the same store. */
  other(): Queue;
  pass(ms: number): void;
  start(urls: number, regions?: readonly string[]): Promise<Job>;
  progress(id: string): Promise<JobProgress>;
}

/** Makes an empty table that is gone after the test. */
export type OpenTable = (t: Test) => JobTable | Promise<JobTable>;

function stageOn(table: JobTable): Stage {
  const ends: StepEnd[] = [];
  let clock = 1_000_000;
  const now = () => epochMs(clock);
  const monotonic = () => monotonicMs(clock);
  const queueOf = () =>
    new Queue({ table, leaseMs: () => LEASE_MS, now, monotonic, stepped: (end) => void ends.push(end) });
  const jobs = new Jobs({ table, now, bounds: () => ({ retentionMs: 60_000, maxJobs: 10, maxActive: 5 }) });
  return {
    jobs,
    queue: queueOf(),
    table,
    ends,
    other: queueOf,
    pass: (ms) => {
      clock += ms;
    },
    async start(count, regions = ['eu']) {
      const urls = Array.from({ length: count }, (_, index) => `https://a.test/${index}`);
      const spec = { kind: 'warm', regions, rate: 50, acceptEncoding: ['br'] } as const;
      const rest = { sites: ['a'], deadlineMs: 3_600_000, by: 'test', reason: '' };
      const made = await jobs.create({ spec, ...rest, lanes: regions, chunks: chunked(urls) }, undefined, () =>
        commandEntry('create job', {}),
      );
      if (made.kind !== 'created') throw new Error(made.kind);
      return made.job;
    },
    async progress(id) {
      const found = await jobs.find(id);
      if (found === undefined) throw new Error('no job');
      return found;
    },
  };
}

function results(step: Step, outcome: Outcome = 'stored'): UrlResult[] {
  return step.task.urls.map(() => ({ outcome, status: 200, bytes: 10, ms: 1, detail: '' }));
}

async function claimed(queue: Queue, worker: Worker): Promise<Step> {
  const step = await queue.claim(worker);
  if (step === undefined) throw new Error(`nothing for ${worker.node}`);
  return step;
}

async function linesOf(jobs: Jobs, id: string, outcome?: string): Promise<string[]> {
  const urls: string[] = [];
  for await (const lines of jobs.results(id, { outcome, follow: false }, NEVER))
    urls.push(...lines.map(({ url }) => url));
  return urls;
}

/** Events of a job: nodes come, report, fail, vanish; control nodes come and go; time passes. */
const EVENTS = ['claim', 'report', 'renew', 'fail', 'vanish', 'pass', 'another control node', 'sweep'] as const;

/** @param runs - Random histories. */
export function queueContract(name: string, open: OpenTable, runs: number): void {
  const stage = async (t: Test): Promise<Stage> => stageOn(await open(t));

  test(`${name}: a region is worked on by one node at a time, step by step, until nothing is left`, async (t) => {
    const { jobs, queue, start, progress } = await stage(t);
    const { id } = await start(250);
    const first = await claimed(queue, EU_1);
    t.equal(first.task.urls.length, 100);
    t.equal(await queue.claim(EU_2), undefined, 'it is taken');
    t.equal(await queue.claim(US_1), undefined, 'another region');
    t.equal(await queue.claim({ ...EU_2, role: 'shield' }), undefined, 'a shield has no visitors');
    t.equal(await queue.report(first, results(first)), true);
    t.equal(await queue.report(first, results(first)), false, 'once');
    const second = await claimed(queue, EU_2);
    t.equal(second.task.urls[0], 'https://a.test/100');
    await queue.report(second, results(second));
    const third = await claimed(queue, EU_1);
    t.equal(third.task.urls.length, 50);
    await queue.report(third, results(third, 'fresh'));
    t.equal(await queue.claim(EU_1), undefined);
    await jobs.advance(id);
    const { job, lanes } = await progress(id);
    t.match([job.state, lanes.length], ['done', 1]);
    t.match(countsOf({ job, lanes }), { stored: 200, fresh: 50, failed: 0 });
    t.same(
      await linesOf(jobs, id),
      Array.from({ length: 250 }, (_, index) => `https://a.test/${index}`),
    );
  });

  test(`${name}: a step whose node does not renew its lease is given to another one, and its report is refused`, async (t) => {
    const { queue, start, pass, ends } = await stage(t);
    await start(10);
    const lost = await claimed(queue, EU_1);
    t.equal(await queue.claim(EU_2), undefined);
    pass(LEASE_MS - 1);
    t.equal(await queue.claim(EU_2), undefined, 'not yet');
    t.equal(await queue.renew(lost, 3), true);
    t.equal(await queue.claim(EU_2), undefined, 'it was renewed');
    pass(LEASE_MS);
    const taken = await claimed(queue, EU_2);
    t.same(taken.task.urls, lost.task.urls);
    t.equal(await queue.renew(lost, 4), false);
    t.equal(await queue.report(lost, results(lost)), false);
    t.equal(await queue.report(taken, results(taken)), true);
    t.same(ends, ['lost', 'done']);
  });

  test(`${name}: a control node that has just started takes nothing from a node before a lease has passed`, async (t) => {
    const { queue, other, start, pass } = await stage(t);
    await start(10);
    await claimed(queue, EU_1);
    pass(LEASE_MS * 5);
    const restarted = other();
    t.equal(await restarted.claim(EU_2), undefined, 'it has seen the lease for the first time');
    pass(LEASE_MS);
    t.ok(await restarted.claim(EU_2));
  });

  test(`${name}: a step that fails is tried again later, and given up in the end`, async (t) => {
    const { jobs, queue, start, pass, progress, ends } = await stage(t);
    const { id } = await start(3);
    for (let attempt = 1; attempt <= 5; attempt += 1) {
      const step = await claimed(queue, EU_1);
      t.equal(await queue.fail(step, 'no memory'), true);
      if (attempt < 5) t.equal(await queue.claim(EU_1), undefined, 'not at once');
      pass(60_000);
    }
    t.equal(await queue.claim(EU_1), undefined);
    await jobs.advance(id);
    const found = await progress(id);
    t.match([found.job.state, countsOf(found).failed], ['done', 3]);
    t.equal(ends.length, 5);
    const dead = [];
    for await (const lines of jobs.deadLetters(() => true))
      for (const { url, detail } of lines) dead.push([url, detail]);
    t.same(dead[0], ['https://a.test/0', 'no memory']);
    t.equal(dead.length, 3);
  });

  test(`${name}: a step whose nodes are gone each time is given up`, async (t) => {
    const { jobs, queue, start, pass, progress } = await stage(t);
    const { id } = await start(150);
    for (let attempt = 1; attempt <= 5; attempt += 1) {
      await claimed(queue, EU_1);
      pass(LEASE_MS);
      await queue.claim({ ...EU_1, region: 'us' }); // somebody looks
      pass(LEASE_MS);
    }
    t.equal(await queue.claim(EU_1), undefined, 'it is given up');
    const next = await claimed(queue, EU_1);
    t.equal(next.task.urls.length, 50, 'the next step goes on');
    await queue.report(next, results(next));
    await jobs.advance(id);
    t.match(countsOf(await progress(id)), { failed: 100, stored: 50 });
  });

  test(`${name}: what has failed is tried once more, and nothing else`, async (t) => {
    const { jobs, queue, start, progress } = await stage(t);
    const { id } = await start(250);
    for (let index = 0; index < 3; index += 1) {
      const step = await claimed(queue, EU_1);
      const all = results(step).map((result, place) =>
        place % 50 === index ? { ...result, outcome: 'failed' as const } : result,
      );
      await queue.report(step, all);
    }
    const audit = () => commandEntry('retry job', {});
    await jobs.advance(id);
    t.match(countsOf(await progress(id)), { failed: 5, stored: 245 });
    const dead = await linesOf(jobs, id, 'failed');
    t.match(await jobs.retry(id, audit), { state: 'running' });
    t.equal(await jobs.retry(id, audit), 'nothing', 'it is under way');
    const first = await claimed(queue, EU_1);
    t.same(first.task.urls, dead.slice(0, 2));
    await queue.report(first, results(first));
    const second = await claimed(queue, EU_2);
    await queue.report(second, [...results(second).slice(0, 1), ...results(second, 'failed').slice(1)]);
    const third = await claimed(queue, EU_1);
    t.same(third.task.urls, dead.slice(4));
    await queue.report(third, results(third));
    t.equal(await queue.claim(EU_1), undefined);
    await jobs.advance(id);
    const found = await progress(id);
    t.match([found.job.state, countsOf(found)], ['done', { failed: 1, stored: 249 }]);
    t.same(await linesOf(jobs, id, 'failed'), dead.slice(3, 4));
    t.match(await jobs.retry(id, audit), { state: 'running' });
  });

  test(`${name}: a job that was cancelled is given to no node, and the node at work hears of it`, async (t) => {
    const { jobs, queue, start, progress } = await stage(t);
    const { id } = await start(250, ['eu', 'us']);
    const step = await claimed(queue, EU_1);
    t.match(await jobs.cancel(id, () => commandEntry('cancel job', {})), { state: 'cancelled' });
    t.equal(await queue.renew(step, 1), false);
    t.equal(await queue.report(step, results(step)), false);
    t.equal(await queue.claim(US_1), undefined);
    const found = await progress(id);
    t.same(
      found.lanes.map(({ hasEnded }) => hasEnded),
      [true, true],
    );
    t.equal(await jobs.retry(id, () => commandEntry('retry job', {})), 'nothing');
    t.match(await jobs.cancel(id, () => commandEntry('cancel job', {})), { state: 'cancelled' }, 'again');
  });

  test(`${name}: a job ends at its deadline, and is forgotten when it has been kept for long enough`, async (t) => {
    const { jobs, queue, start, pass, progress, table } = await stage(t);
    const { id } = await start(250);
    const step = await claimed(queue, EU_1);
    await queue.report(step, results(step));
    pass(3_600_000);
    await jobs.sweep();
    t.match((await progress(id)).job, { state: 'expired' });
    t.equal(await queue.claim(EU_1), undefined);
    pass(59_000);
    await jobs.forget();
    t.ok(await jobs.find(id));
    pass(1_000);
    await jobs.forget();
    t.equal(await jobs.find(id), undefined);
    for (const prefix of ['job/', 'active/', 'chunk/', 'lane/', 'ended/', 'result/', 'dead/'])
      t.same(await table.list(prefix, { limit: 10 }), [], prefix);
  });

  test(`${name}: jobs take turns: a long one does not hold up a short one`, async (t) => {
    const { queue, start, pass } = await stage(t);
    const { id: long } = await start(1_000);
    const { id: short } = await start(100);
    const turns: string[] = [];
    for (let index = 0; index < 4; index += 1) {
      pass(1);
      const step = await claimed(queue, EU_1);
      turns.push(step.job === long ? 'long' : 'short');
      await queue.report(step, results(step));
    }
    t.ok(turns.slice(0, 2).includes('short'), turns.join());
    t.ok(short);
  });

  test(`${name}: an idempotency key starts one job, also when calls come together`, async (t) => {
    const { jobs } = await stage(t);
    const wanted = {
      spec: { kind: 'warm', regions: ['eu'], rate: 1, acceptEncoding: ['br'] } as const,
      sites: ['a'],
      deadlineMs: 60_000,
      by: 'test',
      reason: '',
      lanes: ['eu'],
      chunks: [['https://a.test/']],
    };
    const once = { token: 't', key: 'k', body: Buffer.from('one') };
    const audit = () => commandEntry('create job', {});
    const made = await Promise.all([1, 2, 3].map(() => jobs.create(wanted, once, audit)));
    const ids = new Set(made.map((one) => ('job' in one ? one.job.id : one.kind)));
    t.equal(ids.size, 1);
    t.equal(made.filter(({ kind }) => kind === 'created').length, 1);
    t.match(await jobs.create(wanted, { ...once, body: Buffer.from('two') }, audit), { kind: 'conflict' });
    t.match(await jobs.create(wanted, { ...once, token: 'other' }, audit), { kind: 'created' });
  });

  test(`${name}: no more jobs are taken than may be under way`, async (t) => {
    const { start } = await stage(t);
    for (let index = 0; index < 5; index += 1) await start(1);
    await t.rejects(start(1), /too_many/);
  });

  test(`${name}: whatever happens, each URL has one result in the end, and no step is done by two nodes that both may`, async (t) => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 450 }),
        fc.array(fc.tuple(fc.constantFrom(...EVENTS), fc.nat({ max: 3 })), { maxLength: 60 }),
        async (count, events) => {
          const on = await stage(t);
          const { id } = await on.start(count);
          let { queue } = on;
          const held = new Map<string, Step>();
          const worker = (n: number): Worker => ({ node: `eu-${n}`, region: 'eu', role: 'edge' });
          for (const [event, n] of events) {
            const node = `eu-${n}`;
            const step = held.get(node);
            if (event === 'claim' && step === undefined) {
              const next = await queue.claim(worker(n));
              if (next !== undefined) held.set(node, next);
            } else if (event === 'report' && step !== undefined) {
              await queue.report(step, results(step));
              held.delete(node);
            } else if (event === 'renew' && step !== undefined) {
              if (!(await queue.renew(step, 1))) held.delete(node);
            } else if (event === 'fail' && step !== undefined) {
              await queue.fail(step, 'why');
              held.delete(node);
            } else if (event === 'vanish') held.delete(node);
            else if (event === 'pass') on.pass((n + 1) * 4_000);
            else if (event === 'another control node') queue = on.other();
            else if (event === 'sweep') await on.jobs.advance(id);
          }
          for (let tries = 0; tries < 200; tries += 1) {
            const step = await queue.claim(worker(9));
            if (step === undefined) on.pass(LEASE_MS);
            else await queue.report(step, results(step));
          }
          await on.jobs.advance(id);
          const found = await on.progress(id);
          const lines = await linesOf(on.jobs, id);
          const { stored, failed } = countsOf(found);
          return (
            found.job.state === 'done' &&
            stored + failed === count &&
            lines.length === count &&
            new Set(lines).size === count
          );
        },
      ),
      { numRuns: runs },
    );
  });
}
