/** A node's worker of jobs, with a control node by script. */
import { once } from 'node:events';
import { type Test, test } from 'tap';
import { type RegionConfig, regionSchema } from '../../../config/schema.ts';
import type { UrlResult, WorkMessage } from '../../../jobs/wire.ts';
import { createLog } from '../../../telemetry/log.ts';
import { JobAgent, type RunStep } from '../../../tier/jobs/agent.ts';
import { aStep, type Script, type ScriptedControl, SILENCE, scriptedControl } from './control.ts';

const STORED: UrlResult = { outcome: 'stored', status: 200, bytes: 1, ms: 1, detail: '' };
const GO = { status: 200, body: { go: true } };

function regionAt(url: string | undefined): RegionConfig {
  const parsed = regionSchema.parse({
    region: 'eu',
    tier_secret: 'a-secret-of-the-tests',
    edges: [{ name: 'eu-1', listen: '127.0.0.1:0', tier: '127.0.0.1:0' }],
    ...(url !== undefined && { purges: { journal: [url] } }),
    sites: [{ include: 'unused.yaml' }],
  });
  return { ...parsed, file: 'eu.yaml', sites: [], reachableShields: [] };
}

interface Working extends ScriptedControl {
  readonly agent: JobAgent;
  readonly outcomes: readonly string[];
  /** Resolves with the first message of the type. */
  messageOf(type: WorkMessage['type']): Promise<WorkMessage>;
}

/** A node that gets one step. */
async function working(t: Test, run: RunStep, script: Script = () => GO): Promise<Working> {
  const waiting: (() => void)[] = [];
  let given = false;
  const control = await scriptedControl(t, (message) => {
    for (const look of waiting.splice(0)) look();
    if (message.type !== 'claim') return control.script === undefined ? GO : script(message);
    if (given) return SILENCE;
    given = true;
    return { status: 200, body: aStep() };
  });
  const outcomes: string[] = [];
  const node = {
    name: 'eu-1',
    log: createLog({ name: 'test', level: 'silent' }),
    metrics: { jobUrl: (outcome: string) => void outcomes.push(outcome) },
  };
  const agent = new JobAgent(node, regionAt(control.url), run);
  t.teardown(() => agent.close());
  return Object.assign(control, {
    agent,
    outcomes,
    async messageOf(type: WorkMessage['type']): Promise<WorkMessage> {
      for (;;) {
        const found = control.messages.find((message) => message.type === type);
        if (found !== undefined) return found;
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
    },
  });
}

test('a step is worked on, its lease renewed meanwhile, and its results reported', async (t) => {
  let finish: (() => void) | undefined;
  const on = await working(t, async ({ task, progressed }) => {
    progressed(1);
    await new Promise<void>((resolve) => {
      finish = resolve;
    });
    return task.urls.map(() => STORED);
  });
  t.match(await on.messageOf('renew'), { job: 'j', lane: 'eu', claim: 'c', done: 1 });
  finish?.();
  t.match(await on.messageOf('results'), { claim: 'c', results: [STORED] });
  t.same(on.outcomes, ['stored']);
});

test('a step whose lease is lost is given up, and nothing of it is reported', async (t) => {
  let signal: AbortSignal | undefined;
  const on = await working(
    t,
    async (run) => {
      signal = run.signal;
      await once(run.signal, 'abort');
      return [STORED];
    },
    () => ({ status: 200, body: { go: false } }),
  );
  await on.messageOf('renew');
  while (on.messages.filter(({ type }) => type === 'claim').length < 3) await new Promise(setImmediate);
  t.equal(signal?.aborted, true);
  t.notOk(on.messages.some(({ type }) => type === 'results' || type === 'failed'));
});

test('a report that the control node did not take is made again', async (t) => {
  let times = 0;
  const on = await working(
    t,
    async () => [STORED],
    ({ type }) => {
      if (type !== 'results') return GO;
      times += 1;
      return times === 1 ? undefined : times === 2 ? { status: 503 } : GO;
    },
  );
  while (times < 3) await on.messageOf('results').then(() => new Promise(setImmediate));
  t.equal(times, 3);
});

test('a step that cannot be done is reported as failed', async (t) => {
  const on = await working(t, async () => {
    throw new Error('no memory'.padEnd(1_000, '!'));
  });
  t.match(await on.messageOf('failed'), { claim: 'c', reason: /^no memory/ });
});

test('a node that closes gives up its step at once, and reports nothing', async (t) => {
  let started: (() => void) | undefined;
  const running = new Promise<void>((resolve) => {
    started = resolve;
  });
  const on = await working(t, async ({ signal }) => {
    started?.();
    await once(signal, 'abort');
    return [STORED];
  });
  await running;
  await on.agent.close();
  t.notOk(on.messages.some(({ type }) => type === 'results'));
});

test('a node without a control node asks none, and one that gets one asks it', async (t) => {
  const control = await scriptedControl(t, () => SILENCE);
  const node = {
    name: 'eu-1',
    log: createLog({ name: 'test', level: 'silent' }),
    metrics: { jobUrl: () => undefined },
  };
  const agent = new JobAgent(node, regionAt(undefined), async () => []);
  t.teardown(() => agent.close());
  agent.update(regionAt(control.url));
  while (control.messages.length === 0) await new Promise(setImmediate);
  t.match(control.messages[0], { type: 'claim' });
  const before = control.messages.length;
  agent.update(regionAt(control.url));
  t.ok(control.messages.length <= before + 1, 'the same config changes nothing');
});
