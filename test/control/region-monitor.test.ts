/** Health of regions as a control node sees it. */
import { test } from 'tap';
import { AMERICAN, SEEN_MS, startWorld, until } from './region-world.ts';

test('a region that dies, hangs or returns is noticed', async (t) => {
  const world = await startWorld(t);
  const { us } = world.edges;
  const goes = async (region: string) => (await world.where(AMERICAN)).region === region;
  await until(() => us.probes > 1); // the first answer has been heard

  await us.stop();
  const dead = await until(() => goes('eu'));
  t.match(await world.where(AMERICAN), { reason: 'fallback', because: 'eu comes next: us is down.' });
  await us.start();
  await until(async () => (await world.state('us')) === 'recovering');
  t.ok(await goes('eu'), 'not yet');
  const back = await until(() => goes('us'));
  t.ok(back >= 300, `it waited ${back.toFixed(0)} ms`);

  us.hang();
  const hung = await until(() => goes('eu'));
  t.comment(`refused: seen after ${dead.toFixed(0)} ms; hanging: after ${hung.toFixed(0)} ms`);
  t.ok(dead < SEEN_MS && hung < SEEN_MS);

  await world.edges.eu.stop();
  await until(async () => (await world.where(AMERICAN)).reason === 'none-healthy');
  t.match(await world.where(AMERICAN), { region: 'us', because: /^No region is healthy: us is down; eu is down\.$/ });
  const metrics = await (await fetch(`${world.url}/metrics`)).text();
  t.match(metrics, /seawall_region_state\{region="us",state="down",.*\} 1\n/);
  t.match(metrics, /seawall_region_edges_up\{region="us",.*\} 0\n/);
});
