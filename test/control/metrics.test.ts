/** Metrics of a control node. */
import { test } from 'tap';
import { samplesOf } from '../support/network.ts';
import { startTestControl } from './control.ts';

type Json = Record<string, unknown>;

test('metrics cover the journal, the nodes and the duration of purges', async (t) => {
  const control = await startTestControl(t, { edges: [undefined, undefined] });
  const node = await control.follow('eu-1');
  await control.purge({ files: ['https://www.example.com/'], hosts: ['example.com'] });
  await control.purge({ hosts: ['nowhere.example'] });
  await node.applied(1);
  const sampleOf = async (name: string, labels: Json = {}): Promise<number | undefined> => {
    const { body } = await control.get<string>('/metrics', 'none');
    return samplesOf(body).find(
      (sample) => sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    )?.value;
  };
  t.equal(await sampleOf('seawall_journal_newest', { role: 'control' }), 2);
  t.equal(await sampleOf('seawall_journal_writable'), 1);
  t.equal(await sampleOf('seawall_purges_total', { dialect: 'seawall' }), 1);
  t.equal(await sampleOf('seawall_purge_selectors_total', { kind: 'host' }), 1);
  t.equal(await sampleOf('seawall_purge_refusals_total', { code: 'unpurgeable' }), 1);
  t.equal(await sampleOf('seawall_node_connected', { member: 'eu-1' }), 1);
  t.equal(await sampleOf('seawall_node_connected', { member: 'eu-2' }), 0);
  t.equal(await sampleOf('seawall_node_lag_records', { member: 'eu-1' }), 1);
  t.equal(await sampleOf('seawall_node_lag_records', { member: 'eu-2' }), 2);
  t.equal(await sampleOf('seawall_purge_applied_seconds_count'), 0);
});
