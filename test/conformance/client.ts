/**
 * Runs the suite's own client, in a process of its own: `node client.ts SUITE
 * BASE_URL [TEST_ID]`, started by run.ts, which gets one `ClientReport` back.
 *
 * With a test id it runs that test only and prints its messages. With $CONFORMANCE_BETWEEN, run.ts does something
 * between the requests of each test (between.ts) when it gets `{ between: true }`, and says when it is done.
 * @module
 */
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Between } from './between.ts';
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

interface Response {
  readonly headers: { get(name: string): string | null };
  text(): Promise<string>;
}

interface RequestInit {
  readonly method?: string;
  readonly headers?: readonly (readonly [string, string])[];
}

type Fetch = (url: string, init?: RequestInit) => Promise<Response>;

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

/** Tests in which the client pauses until a response is stale: all of them, and those that have started. */
const timed = new Set<string>();
const startedTimed = new Set<string>();

const between =
  process.env['CONFORMANCE_BETWEEN'] === undefined
    ? undefined
    : new Between(
        async () => {
          process.send?.({ between: true });
          await once(process, 'message');
        },
        () => [...startedTimed].some((id) => !Object.hasOwn(runner.getResults(), id)),
      );

// run.ts asks for what there is when the time is up.
process.on('message', (message: { readonly report?: true }) => {
  if (message.report) report();
});
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
  for (const { id, requests } of groups.flatMap(({ tests }) => tests))
    if (requests.some(({ pause_after }) => pause_after)) timed.add(id);
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
    const response = await fetched(fetch, url, init);
    const { pathname } = new URL(url);
    const method = init?.method ?? 'GET';
    if (pathname.startsWith('/test/') && (method === 'GET' || method === 'HEAD')) {
      seen.push({ path: pathname, cacheStatus: response.headers.get('cache-status') });
    }
    return response;
  };
}

/** A request of a test but the first waits until what is done between requests was done. */
async function fetched(fetch: Fetch, url: string, init: RequestInit | undefined): Promise<Response> {
  if (between === undefined) return fetch(url, init);
  const field = (wanted: string): string => init?.headers?.find(([name]) => name === wanted)?.[1] ?? '';
  const id = field('Test-ID');
  if (timed.has(id)) startedTimed.add(id);
  const end = await between.begin(!timed.has(id) && Number(field('Req-Num')) > 1);
  try {
    const response = await fetch(url, init);
    endWithBody(response, end);
    return response;
  } catch (error) {
    end();
    throw error;
  }
}

/** A body that the suite reads, it reads at once. */
function endWithBody(response: Response, end: () => void): void {
  const text = response.text.bind(response);
  let isRead = false;
  response.text = () => {
    isRead = true;
    return text().finally(end);
  };
  setImmediate(() => {
    if (!isRead) end();
  });
}
