/** Reports of traffic: lines in calls that stay open for a while, to each control node by itself. */
import type { Readable } from 'node:stream';
import { test } from 'tap';
import { startTrafficReporter } from '../../journal/traffic-reporter.ts';

/** A clock whose pauses end when the test says so. */
class Pauses {
  readonly #waiting: { ms: number; end: () => void }[] = [];
  readonly wait = (ms: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const one = { ms, end: resolve };
      this.#waiting.push(one);
      signal.addEventListener('abort', () => resolve(), { once: true });
      if (signal.aborted) resolve();
    });

  /** Ends the pauses of this length, and lets what follows happen. */
  async end(ms: number): Promise<void> {
    for (const one of this.#waiting.splice(0)) {
      if (one.ms === ms) one.end();
      else this.#waiting.push(one);
    }
    await new Promise(setImmediate);
  }
}

const traffic = (origin: number) => ({ sites: [{ site: 'www', answers: [], durations: [], origin }] });

function control(fails = false) {
  const calls: string[] = [];
  return {
    calls,
    async traffic(lines: Readable): Promise<void> {
      const at = calls.push('') - 1;
      if (fails) throw new Error('404');
      for await (const chunk of lines) calls[at] += String(chunk);
    },
  };
}

test('one line a second in one call, and the next call when that ends', async (t) => {
  const pauses = new Pauses();
  const client = control();
  let second = 0;
  const take = () => (++second === 2 ? undefined : traffic(second));
  const reporter = startTrafficReporter({ clients: [client], take, wait: pauses.wait });
  for (let i = 0; i < 3; i++) await pauses.end(1_000);
  await pauses.end(20_000);
  await pauses.end(1_000);
  t.strictSame(
    client.calls.map((call) =>
      call
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line).sites[0].origin),
    ),
    [[1, 3], [4]],
    'a second without traffic is not reported',
  );
  await reporter.close();
});

test('a control node that does not know of traffic is left alone for a while; another one gets it all', async (t) => {
  const pauses = new Pauses();
  const [old, current] = [control(true), control()];
  const reporter = startTrafficReporter({ clients: [old, current], take: () => traffic(1), wait: pauses.wait });
  for (let i = 0; i < 3; i++) await pauses.end(1_000);
  t.equal(old.calls.length, 1);
  t.equal(current.calls[0]?.match(/\n/g)?.length, 3);
  await pauses.end(10_000);
  await pauses.end(1_000);
  t.equal(old.calls.length, 2);
  await reporter.close();
});
