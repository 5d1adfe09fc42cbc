/**
 * `npm run chaos:threads`: threads of an edge end and hang under load. Exits 1 when a body is wrong, when an answer is
 * lost on a connection of a thread that goes on, or when something is fetched again that was stored.
 * @module
 */
import { readArguments } from '../test/support/arguments.ts';
import { seededRandom } from '../test/support/random.ts';
import { chaos } from './thread-chaos/failing-threads.ts';

const HELP = `Usage: npm run chaos:threads -- [options]

One edge of several workers, and visitors over connections that stay open, who
check each byte of each body. Meanwhile threads are ended from outside, made to
throw, to fill their heap and to hang, at random, one after the other.

Options:
  --seconds N   Duration. By default 60.
  --workers N   Threads of the edge. By default 3.
  --seed N      Of what fails and when. By default another one each time.
  --help        Say this.
`;

const settings = readArguments('chaos:threads', HELP, {
  seconds: '60',
  workers: '3',
  seed: String(1 + Math.floor(Math.random() * 1e6)),
});
const seed = settings.positive('seed');
const outcome = await chaos({
  seconds: settings.positive('seconds'),
  workers: settings.positive('workers'),
  random: seededRandom(seed),
});
console.log(`seed ${seed}`);
for (const [name, value] of Object.entries(outcome)) console.log(`${name}: ${value}`);
const faults = (['wrong bodies', 'answers lost elsewhere', 'stored objects lost'] as const).map(
  (name) => outcome[name],
);
const isFine = faults.every((count) => count === 0) && outcome.answers > 0;
process.exit(isFine ? 0 : 1);
