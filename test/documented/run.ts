/**
 * `npm run docs:attack`: visitors and an attacker against every documented
 * config, with all rows of all tables and long random games.
 * @module
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readArguments } from '../support/arguments.ts';
import { Game, summary } from './game.ts';
import { playAtRandom, TABLES } from './plays.ts';
import { playedConfigs } from './stages.ts';

const HELP = `Usage: npm run docs:attack -- [options]

Real nodes of every config in README.md, docs/ and config/, between visitors, an
attacker and an origin whose every answer is for the one who asks. Prints answers
that reached a request which they were not for. Exits 1 when there is any.

Options:
  --only PLACE  Configs whose place begins so: docs/config.md, config/regions/eu.yaml.
  --runs N      Random games against each config. By default 300.
  --seed S      Which ones; by default others each time.
  --path P      Only this one of them, as a failure tells.
  --lines N     Kinds of leaks that are printed for each table. By default 20.
  --help        Say this.
`;

const given = readArguments('docs:attack', HELP, { only: '', runs: '300', seed: '', path: '', lines: '20' });
const { only, path } = given.values;
const runs = given.positive('runs');
const lines = given.positive('lines');

async function main(): Promise<number> {
  const root = mkdtempSync(join(tmpdir(), 'seawall-documented-'));
  const seed = given.values.seed === '' ? Date.now() % 2 ** 31 : given.positive('seed', 2 ** 31);
  let found = 0;
  try {
    const configs = playedConfigs((place) => {
      const folder = join(root, place.replace(/\W+/g, '-'));
      mkdirSync(folder);
      return folder;
    });
    for (const { places, region, site } of configs) {
      if (!places.some((place) => place.startsWith(only))) continue;
      console.log(`${places.join(', ')}: site ${site.name}`);
      const game = await Game.start(region, site);
      try {
        for (const [name, play] of Object.entries(path === '' ? TABLES : {})) {
          const before = game.leaks.length;
          await play(game);
          const kinds = summary(game.leaks.slice(before));
          found += kinds.length;
          console.log(`  ${name}: ${kinds.length} kinds of leaks`);
          for (const kind of kinds.slice(0, lines)) console.log(`    ${kind}`);
        }
        const leak = await playAtRandom(game, { runs, seed, path: path === '' ? undefined : path });
        if (leak !== undefined) found++;
        console.log(`  random games, seed ${seed}: ${leak ?? `no leak in ${runs}`}`);
        console.log(`  ${game.answered} answers, ${game.shared} of them rightly shared`);
      } finally {
        await game.close();
      }
    }
  } finally {
    rmSync(root, { recursive: true });
  }
  return found === 0 ? 0 : 1;
}

process.exitCode = await main();
