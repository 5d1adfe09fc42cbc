/** Nodes that are refused, as the log, the metric and the list of nodes report them. */
import { test } from 'tap';
import { NodeRefusals } from '../../control/node-refusals.ts';
import { epochMs, monotonicMs } from '../../lib/clock.ts';
import { samplesOf } from '../support/network.ts';
import { followStatus, startTestControl } from './control.ts';
import { networkOf } from './network-of.ts';

const PURGE = { files: ['https://www.example.com/'] };

for (const { who, registration } of [
  { who: 'us-1', registration: {} },
  { who: 'eu-1', registration: { role: 'shield' } },
  { who: 'eu-1', registration: { region: 'us' } },
  { who: 'us-1', registration: { role: 'edge', region: 'eu' } },
  { who: '', registration: {} },
] as const) {
  test(`a node that no region file names so is refused, and reported: ${JSON.stringify({ who, ...registration })}`, async (t) => {
    const control = await startTestControl(t);
    t.equal(await followStatus(control.url, who, registration), 403);
    t.match((await networkOf(control.url)).refused, [{ name: who, reason: 'peer_unknown', count: 1, last: /^20/ }]);
    const { body } = await control.get<string>('/metrics', 'none');
    const counts = samplesOf(body).filter(({ name }) => name === 'seawall_node_refusals_total');
    t.match(counts, [{ labels: { reason: 'peer_unknown', direction: 'incoming' }, value: 1 }]);
    t.equal((await control.purge(PURGE)).body.nodes.length, 1, 'no receipt waits for it');
  });
}

test('a node that a file names is accepted, whatever it says of itself truly', async (t) => {
  const control = await startTestControl(t);
  for (const registration of [
    {},
    { role: 'edge' },
    { region: 'eu' },
    { role: 'edge', region: 'eu', leaseMs: 1 },
  ] as const) {
    t.equal(await followStatus(control.url, 'eu-1', registration), 200);
  }
  t.same((await networkOf(control.url)).refused, []);
});

test('a report under another name than that of the call is refused', async (t) => {
  const control = await startTestControl(t, { edges: [undefined, undefined] });
  const one = await control.follow('eu-1');
  t.equal(await one.applied(0), 204);
  t.equal(await one.applied(0, one.identity, 'eu-2'), 403);
  t.match((await networkOf(control.url)).refused, [{ name: 'eu-1', reason: 'peer_wrong_name', detail: 'eu-2' }]);
});

test('refusals are counted by who and why, the last one counts, and old ones go', async (t) => {
  let now = 0;
  const refusals = new NodeRefusals({ monotonic: () => monotonicMs(now), now: () => epochMs(now) });
  const peer = { direction: 'incoming', name: 'eu-9', address: '10.0.0.9:1' } as const;
  refusals.note('peer_unknown', peer);
  now = 1_000;
  refusals.note('peer_unknown', { ...peer, address: '10.0.0.9:2' });
  refusals.note('peer_plain', { direction: 'incoming', address: '10.0.0.7:1' });
  refusals.note('peer_plain', { direction: 'incoming', address: '10.0.0.7:2' });
  t.match(refusals.list(), [
    { name: 'eu-9', reason: 'peer_unknown', count: 2, address: '10.0.0.9:2', last: '1970-01-01T00:00:01.000Z' },
    { name: null, reason: 'peer_plain', count: 2 },
  ]);
  now += 10 * 60_000;
  t.equal(refusals.list().length, 2);
  now += 1;
  t.same(refusals.list(), []);
  for (let index = 0; index < 1_000; index++) refusals.note('peer_unknown', { ...peer, name: `eu-${index}` });
  t.equal(refusals.list().length, 100, 'there is a bound');
  t.match(refusals.list().at(-1), { name: 'eu-999' });
});
