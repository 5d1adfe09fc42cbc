/**
 * Visitors and an attacker against every documented config: nothing of one
 * reaches another, no error is shared, no rule is passed by another spelling.
 * `npm run docs:attack` plays all rows of all tables, and longer random games.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { Game, summary } from './game.ts';
import { usesPlaces } from './people.ts';
import { playAtRandom, TABLES } from './plays.ts';
import { playedConfigs } from './stages.ts';

/** Rows per table and config in this test; the command plays all. */
const ROWS = 45;
const RUNS = 20;
const SEED = 9111;

test('every documented config is attacked', async (t) => {
  const root = t.testdir();
  const configs = playedConfigs((place) => {
    const folder = join(root, place.replace(/\W+/g, '-'));
    mkdirSync(folder);
    return folder;
  });
  t.ok(configs.length > 5, 'they were found');
  for (const [from, { places, region, site }] of configs.entries()) {
    await t.test(`${places.join(', ')}: site ${site.name}`, async (t) => {
      const game = await Game.start(region, site);
      t.teardown(() => game.close());
      for (const [name, play] of Object.entries(TABLES)) {
        const before = game.leaks.length;
        await play(game, { rows: ROWS, from });
        t.same(summary(game.leaks.slice(before)), [], name);
      }
      const leak = await playAtRandom(game, { runs: RUNS, seed: SEED });
      t.equal(leak, undefined, 'random games');
      t.ok(game.answered > 400, `${game.answered} answers came from the origin’s`);
      const { answeredPrepared } = game.stage;
      // Behind a proxy that is believed, no request is answered so.
      t.ok(answeredPrepared > 20 || usesPlaces(site), `${answeredPrepared} of them without parsing HTTP`);
      t.ok(game.shared > 50, `${game.shared} of them rightly reached another visitor: something was stored`);
    });
  }
});
