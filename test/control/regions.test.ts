/** State of regions: what their files say of them. */
import { test } from 'tap';
import { AMERICAN, startWorld } from './region-world.ts';

test('a region is drained by its file', async (t) => {
  const world = await startWorld(t, { drained: true });
  t.match(await world.where(AMERICAN), { region: 'us', reason: 'none-healthy' }, 'drained is better than nothing');
  const { regions } = (await (await fetch(`${world.url}/v1/regions`)).json()) as { regions: object[] };
  t.match(regions, [{ drain: { source: 'config' } }, { drain: { source: 'config' } }]);
});
