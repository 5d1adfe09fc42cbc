/** The registry of nodes: who is there, and whom receipts wait for. */
import fc from 'fast-check';
import tap, { test } from 'tap';
import { BEYOND_LEASE_MS, Progress } from '../../control/progress.ts';
import type { Receipt } from '../../control/schemas.ts';
import type { JournalState, Term } from '../../journal/journal.ts';
import { epochMs, monotonicMs } from '../../lib/clock.ts';
import { startEtcd } from '../support/etcd.ts';
import { followStatus, type RegionParts, scriptedNode, startTestControl } from './control.ts';
import { networkOf, nodeOf } from './network-of.ts';
import { startReplicated } from './replicated.ts';

const cluster = await startEtcd(1);
tap.teardown(() => cluster.stop());
const { endpoints } = cluster;

const PURGE = { files: ['https://www.example.com/'] };

async function send<Body = Receipt>(
  url: string,
  token: string,
  body?: object,
): Promise<{ status: number; body: Body }> {
  const response = await fetch(url, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Body };
}

test('a control node that was started with one region’s file does not say `applied` before the other region has', async (t) => {
  const network = await startReplicated(t, { endpoints, count: 2, regions: ['eu', 'us'] });
  const [ofEu = '', ofUs = ''] = network.nodes.map(({ url }) => url);
  const token = await network.token();
  await send(`${ofEu}/v1/purges`, token, PURGE); // begins the term
  const eu = await scriptedNode(ofEu, 'eu-1');
  const us = await scriptedNode(ofUs, 'us-1');
  t.teardown(() => [eu, us].map((node) => node.leave()));
  const purged = await send(`${ofEu}/v1/purges`, token, PURGE);
  await eu.received(2);
  await eu.applied(2);
  const receipt = () => send(`${ofEu}/v1/purges/${purged.body.id}`, token);
  t.match((await receipt()).body, {
    status: 'pending',
    nodes: [
      { name: 'eu-1', region: 'eu', applied: true },
      { name: 'us-1', region: 'us', role: 'edge', applied: false, validates: false },
    ],
  });
  await us.received(2);
  await us.applied(2);
  // The other control node has heard of it, and notes it in the store.
  let seen = await receipt();
  while (seen.body.status !== 'applied') seen = await receipt();
  t.match(seen.body.nodes, [{ applied: true }, { applied: true }]);
});

test('a node that registers for the first time is in the receipt of the next purge, at each control node', async (t) => {
  const network = await startReplicated(t, {
    endpoints,
    count: 2,
    regions: ['eu', 'us'],
    edges: [undefined, undefined],
  });
  const [ofEu = '', ofUs = ''] = network.nodes.map(({ url }) => url);
  const token = await network.token();
  for (const name of ['us-1', 'us-2']) {
    const node = await scriptedNode(ofUs, name);
    t.teardown(() => node.leave());
    const { body } = await send(`${ofEu}/v1/purges`, token, PURGE);
    t.ok(
      body.nodes.some((one) => one.name === name),
      `${name}: no time passed between`,
    );
  }
});

test('a control node that is started with fewer files waits for the nodes of the others, until they are forgotten', async (t) => {
  const two: RegionParts = { edges: [undefined, undefined] };
  const control = await startTestControl(t, two);
  (await control.follow('eu-2')).leave();
  await control.close();
  const fewer = await control.restart({ edges: [undefined] });
  t.equal(await followStatus(fewer.url, 'eu-2'), 403);
  const node = await fewer.follow('eu-1');
  const purged = await fewer.purge(PURGE);
  await node.applied(1);
  const receipt = async () => (await fewer.get<Receipt>(`/v1/purges/${purged.body.id}`)).body;
  t.match(await receipt(), { status: 'pending', nodes: [{ name: 'eu-1' }, { name: 'eu-2', applied: false }] });
  t.match(await nodeOf(fewer.url, 'eu-2'), { named: false, presence: 'unknown' });
  const operator = fewer.token({ kinds: ['drain'] });
  t.equal((await fewer.post('/v1/nodes/eu-2/forget', operator)).status, 200);
  t.match(await receipt(), { status: 'applied', nodes: [{ name: 'eu-1' }] });
  t.equal(await nodeOf(fewer.url, 'eu-2'), undefined);
});

test('what a node says of itself is shown, by each control node', async (t) => {
  const network = await startReplicated(t, { endpoints, count: 2 });
  const [one = '', other = ''] = network.nodes.map(({ url }) => url);
  const about = {
    version: '9.9.9',
    config: 'abc',
    since: '2026-01-01T00:00:00.000Z',
    workers: 3,
    memory: { used: 5, size: 10 },
    disk: { size: 7, objects: 2, ok: true },
    certificate_expires: '2027-01-01T00:00:00.000Z',
  };
  const node = await scriptedNode(one, 'eu-1');
  t.teardown(() => node.leave());
  t.equal(await node.applied(0, node.identity, undefined, about), 204);
  const { version, since, workers, memory, disk, certificate_expires } = about;
  const shown = { presence: 'present', version, since, workers, memory, disk, certificate_expires, config: 'other' };
  t.match(await nodeOf(one, 'eu-1'), shown);
  let elsewhere = await nodeOf(other, 'eu-1');
  while (elsewhere?.version !== version) elsewhere = await nodeOf(other, 'eu-1');
  t.match(elsewhere, shown, 'by way of the store');
  t.match((await networkOf(other)).control, [
    // The other one has not heard of a renewal yet.
    { name: 'control-1', presence: /present|unknown/, config: 'same' },
    { name: 'control-2', presence: 'present', config: 'same' },
  ]);
});

// Receipts and leases.

const LEASE = 10_000;

interface Clocked {
  readonly progress: Progress;
  pass(ms: number): void;
}

function clocked(
  t: { teardown(end: () => void): void },
  leases: Record<string, number>,
  state: () => JournalState,
): Clocked {
  let now = 0;
  const nodes = Object.entries(leases).map(([name, leaseMs]) => {
    return { region: 'eu', role: 'edge', name, leaseMs } as const;
  });
  const progress = new Progress(nodes, {
    journal: state,
    refresh: async () => undefined,
    monotonic: () => monotonicMs(now),
    now: () => epochMs(now),
  });
  t.teardown(() => progress.close());
  return {
    progress,
    pass(ms) {
      now += ms;
      progress.tick();
    },
  };
}

test('a receipt says that a node validates once its lease is over since the purge, and not before', async (t) => {
  let newest = 0;
  const state = (): JournalState => ({ terms: [{ identity: 'j', after: -1 }], floor: 0, newest });
  const { progress, pass } = clocked(t, { a: LEASE, b: LEASE / 2 }, state);
  newest = 1;
  pass(0);
  progress.report({ node: 'b', identity: 'j', seq: 1 });
  pass(LEASE + BEYOND_LEASE_MS);
  t.notOk(progress.isComplete(1));
  const complete = progress.whenComplete(1, 60_000);
  pass(1);
  t.ok(progress.isComplete(1));
  t.equal(await complete, true);
  t.match(progress.receipt(1), [
    { name: 'a', applied: false, validates: true },
    { name: 'b', applied: true, validates: false },
  ]);
  newest = 2;
  pass(LEASE);
  t.notOk(progress.isComplete(2), 'each purge has its own time: a node without the journal validates once a lease');
});

interface Step {
  readonly passMs: number;
  readonly append: number;
  readonly report: number | undefined;
  readonly restoreTo: number | undefined;
}

const step: fc.Arbitrary<Step> = fc.record({
  passMs: fc.integer({ min: 0, max: LEASE }),
  append: fc.integer({ min: 0, max: 3 }),
  report: fc.option(fc.integer({ min: 0, max: 20 }), { nil: undefined }),
  restoreTo: fc.option(fc.integer({ min: 0, max: 10 }), { nil: undefined, freq: 5 }),
});

test('property: nothing is complete that a node has not applied, unless the journal has had it for longer than its lease', async (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), fc.integer({ min: 0, max: 2 * LEASE }), (steps, leaseMs) => {
      let terms: Term[] = [{ identity: 't0', after: -1 }];
      let newest = 0;
      let now = 0;
      /** Time at which each number of the history was given out. */
      let times: number[] = [0];
      const { progress, pass } = clocked({ teardown: () => undefined }, { a: leaseMs }, () => ({
        terms,
        floor: 0,
        newest,
      }));
      for (const { passMs, append, report, restoreTo } of steps) {
        if (restoreTo !== undefined && restoreTo < newest) {
          times = times.slice(0, restoreTo + 1);
          terms = [
            ...terms.filter(({ after }) => after < restoreTo),
            { identity: `t${now}-${terms.length}`, after: restoreTo },
          ];
          newest = restoreTo;
        }
        for (let i = 0; i < append; i++) {
          newest += 1;
          times[newest] = now;
        }
        if (report !== undefined && report <= newest) {
          const { identity } = terms.findLast(({ after }) => after < report) ?? (terms[0] as Term);
          progress.report({ node: 'a', identity, seq: report });
        }
        now += passMs;
        pass(passMs);
        for (let seq = 1; seq <= newest; seq++) {
          const [entry] = progress.receipt(seq);
          const isOld = now - (times[seq] as number) > leaseMs + BEYOND_LEASE_MS;
          if (progress.isComplete(seq) !== (entry?.applied || entry?.validates)) throw new Error('the two differ');
          if (entry?.validates && !isOld) throw new Error(`${seq} is ${now - (times[seq] as number)} ms old`);
        }
      }
      progress.close();
    }),
  );
  t.pass('none was found');
});
