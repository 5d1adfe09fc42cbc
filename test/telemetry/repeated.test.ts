import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'tap';
import { Repeated } from '../../telemetry/repeated.ts';

test('of a thousand equal lines within a second two are written, with the count of all', async (t) => {
  const lines = new Repeated();
  const written: [string, number][] = [];
  for (let i = 0; i < 1_000; i++) lines.note('busy', (count) => written.push([`busy ${i}`, count]));
  lines.note('full', (count) => written.push(['full', count]));
  t.strictSame(written, [
    ['busy 0', 1],
    ['full', 1],
  ]);
  await sleep(1_200);
  t.strictSame(written.slice(2), [['busy 999', 999]]);
});
