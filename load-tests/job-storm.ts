/**
 * `npm run job-storm`: a warm job while the node that works on it and the control node are killed. Exits 1 unless every
 * URL is stored, and the origin was asked for each of them once.
 * @module
 */
import { readArguments } from '../test/support/arguments.ts';
import { jobStorm } from './job-storm/storm.ts';
import { exactly, number, print } from './report.ts';

const HELP = `Usage: npm run job-storm -- [options]

Two edges, a shield, a control node and an origin, each in a process of its own. A
job warms many URLs; meanwhile the edge that works on it is killed (SIGKILL) and
started again, then the control node, then the edge that works on it by then.

In the end each URL has a result, the origin was asked for each once, and visitors
who ask for all of them get what is stored: the origin is not asked again.

Options:
  --urls N      URLs of the job. By default 20,000.
  --kills N     Times that the node at work is killed; the control node once less. By default 3.
  --help        Say this.
`;

const settings = readArguments('job-storm', HELP, { urls: '20000', kills: '3' });
const urls = settings.positive('urls', 100_000);
const outcome = await jobStorm({ urls, kills: settings.positive('kills', 20) });
print(`A warm job of ${number(urls)} URLs, at ${number(outcome.rate)} a second`, [
  exactly('results', outcome.results, urls),
  exactly('of them failed', outcome.failed, 0),
  exactly('URLs that the origin was asked for', outcome.askedUrls, urls),
  exactly('requests at the origin', outcome.askedTimes, urls),
  exactly('responses that the shield has stored', outcome.storedAtShield, urls),
  exactly('requests at the origin when visitors ask for all of them', outcome.askedLater, 0),
  { what: 'nodes at work that were killed', value: number(outcome.workersKilled) },
  { what: 'times that the control node was killed', value: number(outcome.controlsKilled) },
  { what: 'steps that were taken over', value: number(outcome.stepsLost) },
  { what: 'seconds', value: outcome.seconds.toFixed(1) },
]);
process.exit();
