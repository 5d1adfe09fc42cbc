/** State of the network as it is sent to the nodes that steer. */
import { test } from 'tap';
import type { RegionConfig } from '../../config/schema.ts';
import { openSteering } from '../../geo/open-steering.ts';
import { monotonicNow } from '../../lib/clock.ts';
import { log } from './control.ts';
import { AMERICAN, SEEN_MS, startWorld, until } from './region-world.ts';

test('nodes that steer get changes at once, and check regions themselves when the control node is gone', async (t) => {
  const world = await startWorld(t);
  const [eu] = world.regions as [RegionConfig];
  const region = { ...eu, control: undefined, purges: { ...eu.purges, journal: [world.url] } };
  const steering = await openSteering({ region, regions: [eu], node: 'dns-1', log });
  t.teardown(() => steering.close());
  const where = () => steering.where(AMERICAN, monotonicNow());
  t.match(where(), { chosen: { name: 'eu' } }, 'it begins with what its own file says');
  await until(() => where().chosen?.name === 'us');

  const token = world.token();
  await world.post('/v1/regions/us/drain', token, {});
  const drained = await until(() => where().chosen?.name === 'eu');
  await world.post('/v1/regions/us/undrain', token, {});
  await until(() => where().chosen?.name === 'us');
  await world.edges.us.stop();
  const dead = await until(() => where().chosen?.name === 'eu');
  await world.edges.us.start();
  await until(() => where().chosen?.name === 'us');

  // The worst: the control node and a region go together.
  await Promise.all([world.stopControl(), world.edges.us.stop()]);
  const both = await until(() => where().chosen?.name === 'eu');
  t.comment(
    `drained: ${drained.toFixed(0)} ms, dead: ${dead.toFixed(0)} ms, dead with the control node: ${both.toFixed(0)} ms`,
  );
  t.ok(drained < 1_000 && dead < SEEN_MS && both < SEEN_MS);
  await world.edges.us.start();
  await until(() => where().chosen?.name === 'us');
  t.equal(steering.network.regions.length, 2, 'what it was told of stays known');
});

test('the network is sent to nodes only', async (t) => {
  const world = await startWorld(t);
  for (const headers of [{}, { 'seawall-tier': 'secret="wrong-wrong-wrong", from="x"' }]) {
    const response = await fetch(`${world.url}/v1/network`, { headers: headers as Record<string, string> });
    t.equal(response.status, 403);
    t.notMatch(await response.text(), /regions/);
  }
});
