/**
 * Runs the suite's own client, in a process of its own: `node client.ts SUITE
 * BASE_URL [TEST_ID]`, started by run.ts, which gets one `ClientReport` back.
 *
 * With a test id it runs that test only and prints its messages.
 * @module
 */
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Results } from './score.ts';
import { loadGroups, loadSuite, type RawGroup, resolveFromSuite } from './suite.ts';

/** One response to a GET or HEAD of a test. */
export interface SeenResponse {
  readonly path: string;
  readonly cacheStatus: string | null;
}

export interface ClientReport {
  readonly results: Results;
  readonly seen: readonly SeenResponse[];
}

type Fetch = (url: string, init?: { method?: string }) => Promise<{ headers: { get(name: string): string | null } }>;

interface Runner {
  readonly runTests: (...parameters: readonly unknown[]) => Promise<void>;
  readonly getResults: () => Results;
}

const [dir, base, only] = process.argv.slice(2);
if (dir === undefined || base === undefined || process.send === undefined) {
  throw new Error('client.ts is started by run.ts');
}
// Whoever asked for this is gone.
process.once('disconnect', () => process.exit(1));

const suite = await loadSuite(dir);
const runner = (await import(pathToFileURL(join(suite.engineDir, 'client/runner.mjs')).href)) as Runner;
const seen: SeenResponse[] = [];

// run.ts asks for what there is when the time is up.
process.once('message', report);
await runTests(await groupsToRun());
report();

function report(): void {
  const message: ClientReport = { results: runner.getResults(), seen };
  process.send?.(message, () => process.exit(0));
}

async function runTests(groups: readonly RawGroup[]): Promise<void> {
  if (suite.layout === 'package') {
    // 0.4.5 takes the fetch that it is to use.
    const nodeFetch = (await import(pathToFileURL(resolveFromSuite(suite, 'node-fetch')).href)) as { default: Fetch };
    await runner.runTests(groups, watched(nodeFetch.default), false, base);
    return;
  }
  // The newest takes the global one; tests of interim responses import undici.
  resolveFromSuite(suite, 'undici');
  globalThis.fetch = watched(globalThis.fetch as unknown as Fetch) as unknown as typeof globalThis.fetch;
  await runner.runTests(groups, false, base);
}

async function groupsToRun(): Promise<readonly RawGroup[]> {
  const groups = await loadGroups(resolve(suite.dir));
  if (only === undefined) return groups;
  for (const group of groups) {
    const test = group.tests.find(({ id }) => id === only);
    if (!test) continue;
    test.dump = true;
    return [{ ...group, tests: [test] }];
  }
  throw new Error(`the suite has no test ${only}`);
}

/** The same fetch, which notes the `Cache-Status` of what answers the tests. */
function watched(fetch: Fetch): Fetch {
  return async (url, init) => {
    const response = await fetch(url, init);
    const { pathname } = new URL(url);
    const method = init?.method ?? 'GET';
    if (pathname.startsWith('/test/') && (method === 'GET' || method === 'HEAD')) {
      seen.push({ path: pathname, cacheStatus: response.headers.get('cache-status') });
    }
    return response;
  };
}
