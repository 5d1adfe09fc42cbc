/**
 * `npm run bench:purge`: what purges cost, whether any is lost under load, and
 * whether any is lost with the control node. Exits 1 when a number is out of
 * its bounds.
 * @module
 */

import { readArguments } from '../test/support/arguments.ts';
import { seededRandom } from '../test/support/random.ts';
import { measureKills } from './purge/kills.ts';
import { measureObjects } from './purge/objects.ts';
import { measureSustained } from './purge/sustained.ts';
import { measureTurns } from './purge/turns.ts';

const HELP = `Usage: npm run bench:purge -- [options]

Numbered as in what they show of promise P3; all through the API of a control
node in a process of its own. 1 and 2 are npm run model and npm run storm.

  3  a node holds a million objects with one tag: to purge it takes as long as
     to purge the tag of a single object, and once what is asked for has been
     checked again a hit costs what it cost before
  4  a thousand purges a second: none is lost, and what they cost in memory
  5  the control node is killed again and again (SIGKILL) while it acknowledges
     purges: each is there afterwards, in order, exactly once
  6  three control nodes on three members of etcd append at the same time: how long
     one waits for its turn; with --only 6

Options:
  --objects N   Objects in 3; it needs about 2 GB for a million. By default 1000000.
  --seconds N   How long 4 and 6 last. By default 60.
  --kills N     How often the control node is killed in 5. By default 10.
  --seed N      Of when it is killed. By default another one each time.
  --etcd        4 with three control nodes on three members of etcd.
  --only LIST   Which of the four to run, such as 3,5. By default 3, 4 and 5.
  --help        Say this.
`;

const settings = readArguments(
  'bench:purge',
  HELP,
  {
    objects: '1000000',
    seconds: '60',
    kills: '10',
    seed: String(1 + Math.floor(Math.random() * 1e6)),
    only: '3,4,5',
  },
  { flags: ['etcd'] },
);
const only = settings.chosen('only', 3, 6);
const objects = settings.positive('objects');
const seconds = settings.positive('seconds');
const kills = settings.positive('kills');
const seed = settings.positive('seed');

// First: the heap of this process is what 4 measures.
if (only.has('4')) await measureSustained(seconds, settings.flags.has('etcd'));
if (only.has('5')) await measureKills(kills, seededRandom(seed));
if (only.has('3')) await measureObjects(objects);
if (only.has('6')) await measureTurns(seconds);
process.exit();
