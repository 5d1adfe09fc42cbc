/**
 * Warm jobs through real nodes: what is warmed is stored where visitors find it, the origin is asked once, and a purge
 * during the job wins.
 */
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { regionSchema, siteSchema } from '../../config/schema.ts';
import { openControlDatabase } from '../../control/data-folder.ts';
import type { JobAnswer } from '../../control/jobs/schemas.ts';
import { type ControlNode, startControl } from '../../control/node.ts';
import { SqliteTokens } from '../../control/store/sqlite-tokens.ts';
import { JOB, newToken, SCOPE_KINDS } from '../../control/tokens.ts';
import { wallNow } from '../../lib/clock.ts';
import { createLog } from '../../telemetry/log.ts';
import { type Network, type NetworkOptions, SECRET, startNetwork } from '../support/network.ts';
import { type Origin, type Script, startOrigin } from '../support/origin.ts';
import { ask, HOST } from '../support/visitor.ts';

const log = createLog({ name: 'journey', level: 'silent' });

interface Stage {
  readonly network: Network;
  readonly origin: Origin;
  readonly control: ControlNode;
  call<Answer = JobAnswer>(path: string, body?: object): Promise<Answer>;
  /** Starts a job, and resolves when it has ended. */
  run(urls: readonly string[], more?: object): Promise<JobAnswer>;
  ended(id: string): Promise<JobAnswer>;
  lines(id: string, query?: string): Promise<Record<string, unknown>[]>;
}

async function stage(t: Test, script: Script, options: Partial<NetworkOptions> = {}): Promise<Stage> {
  const origin = await startOrigin(script);
  t.teardown(() => origin.close());
  const regions = { eu: 2, us: 2 };
  const file = join(t.testdir({}), 'eu.yaml');
  const site = siteSchema.parse({ name: 'site', hosts: [HOST], origin: { servers: [{ url: origin.url }] } });
  const configs = Object.entries(regions).map(([region, count], index) => {
    const parsed = regionSchema.parse({
      region,
      tier_secret: SECRET,
      edges: Array.from({ length: count }, (_, i) => ({
        name: `${region}-${i + 1}`,
        listen: '127.0.0.1:0',
        tier: '127.0.0.1:0',
      })),
      ...(index === 0 && { control: { listen: '127.0.0.1:0', jobs: { lease: '1s' } } }),
      sites: [{ include: 'site.yaml' }],
    });
    return { ...parsed, file: index === 0 ? file : 'us.yaml', sites: [site], reachableShields: [] };
  });
  const [main] = configs;
  if (main?.control === undefined) throw new Error('no control node');
  const control = await startControl({ region: main, control: main.control, regions: configs, log });
  t.teardown(() => control.close());
  const database = openControlDatabase(join(t.testdirName, 'seawall-data', 'control.sqlite'));
  const { stored, text } = newToken({ name: 'test', sites: ['*'], kinds: [...SCOPE_KINDS, JOB], read: true }, wallNow());
  await new SqliteTokens(database).add(stored);
  database.close();
  const network = await startNetwork({ origin: origin.url, journal: control.address, regions, ...options });
  t.teardown(() => network.close());
  const fetched = (path: string, body?: object): Promise<Response> =>
    fetch(`http://${control.address}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${text}`, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    });
  const call = async <Answer = JobAnswer>(path: string, body?: object): Promise<Answer> =>
    (await (await fetched(path, body)).json()) as Answer;
  const lines = async (id: string, query = ''): Promise<Record<string, unknown>[]> => {
    const answer = await (await fetched(`/v1/jobs/${id}/results${query}`)).text();
    return answer
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  const ended = async (id: string): Promise<JobAnswer> => {
    await lines(id, '?follow=true'); // ends with the job
    return call(`/v1/jobs/${id}`);
  };
  return {
    network,
    origin,
    control,
    call,
    lines,
    ended,
    run: async (urls, more = {}) => {
      const made = await call('/v1/jobs', { kind: 'warm', urls, rate: 1_000, ...more });
      if (made.id === undefined) throw new Error(JSON.stringify(made));
      return ended(made.id);
    },
  };
}

const STORED: Script = ({ url }, response) => {
  response.writeHead(200, { 'Cache-Control': 'max-age=3600' }).end(`content of ${url}`);
};

const urlOf = (path: string): string => `http://${HOST}${path}`;

test('what is warmed is stored at the owners of each region and at the shield; the origin is asked once', async (t) => {
  const { network, origin, run, lines } = await stage(t, STORED);
  const paths = Array.from({ length: 150 }, (_, index) => `/warm/${index}?q=${index % 3}`);
  const job = await run(paths.map(urlOf));
  t.match(job, { state: 'done', total: 300, done: 300, counts: { stored: 300, fresh: 0, not_stored: 0, failed: 0 } });
  t.equal(origin.requests.length, 150);
  for (const path of paths) t.equal(origin.count(path), 1, path);
  const [edge1, edge2] = await Promise.all(['eu-1', 'eu-2'].map((name) => network.metric(name, 'seawall_cache_keys')));
  t.equal((edge1 ?? 0) + (edge2 ?? 0), 150, 'each URL at its owner only');
  t.equal(await network.metric('shield-1', 'seawall_cache_keys'), 150);
  for (const [index, path] of paths.slice(0, 20).entries()) {
    const edge = ['eu-1', 'eu-2', 'us-1', 'us-2'][index % 4] as string;
    const reply = await ask(network.at(edge), path);
    t.match(reply.headers['cache-status'], /;hit/, path);
  }
  t.equal(origin.requests.length, 150);
  t.equal(await network.metric('eu-1', 'seawall_requests_total', { listener: 'public' }), 5, 'visitors only');
  const all = await lines(job.id);
  t.equal(all.length, 300);
  t.match(all[0], { region: 'eu', url: urlOf('/warm/0?q=0'), outcome: 'stored', status: 200, bytes: 22, detail: '' });
  t.match(await run(paths.map(urlOf)), { counts: { stored: 0, fresh: 300 } }, 'a second time nothing is fetched');
  t.equal(origin.requests.length, 150);
});

test('a job in one region leaves the others alone', async (t) => {
  const { network, run } = await stage(t, STORED);
  t.match(await run([urlOf('/a'), urlOf('/b'), urlOf('/a')], { regions: ['us'] }), {
    total: 2,
    regions: [{ region: 'us', state: 'ended' }],
  });
  const counts = await Promise.all(
    ['eu-1', 'eu-2', 'us-1', 'us-2'].map((name) => network.metric(name, 'seawall_cache_keys')),
  );
  t.same([(counts[0] ?? 0) + (counts[1] ?? 0), (counts[2] ?? 0) + (counts[3] ?? 0)], [0, 2]);
});

test('each outcome of a URL is told, with its reason', async (t) => {
  let failures = 0;
  const { run, lines, origin } = await stage(t, ({ url = '' }, response) => {
    if (url === '/private') response.writeHead(200, { 'Cache-Control': 'private' }).end('mine');
    else if (url === '/missing') response.writeHead(404, { 'Cache-Control': 'max-age=60' }).end('none');
    else if (url === '/down') response.writeHead(503, { 'Cache-Control': 'no-store' }).end('down');
    else if (url === '/flaky' && failures++ === 0) response.writeHead(502).end('not now');
    else STORED({ url } as never, response);
  });
  const paths = ['/private', '/missing', '/down', '/flaky', '/fine'];
  const job = await run(paths.map(urlOf), { regions: ['eu'] });
  t.match(job.counts, { stored: 3, not_stored: 1, failed: 1 });
  const found = new Map((await lines(job.id)).map((line) => [line['url'], line]));
  t.match(found.get(urlOf('/private')), { outcome: 'not_stored', status: 200, detail: 'private' });
  t.match(found.get(urlOf('/missing')), { outcome: 'stored', status: 404 });
  t.match(found.get(urlOf('/down')), { outcome: 'failed', status: 503 });
  t.match(found.get(urlOf('/flaky')), { outcome: 'stored', status: 200 });
  t.equal(origin.count('/down'), 3, 'it was tried again');
  t.equal((await lines(job.id, '?outcome=failed')).length, 1);
});

test('a purge during the job wins: what was fetched before it is gone, whatever the job says', async (t) => {
  let content = 'old';
  const held: (() => void)[] = [];
  const { network, run, call, origin } = await stage(t, ({ url }, response) => {
    const was = content;
    const answer = (): void => {
      response.writeHead(200, { 'Cache-Control': 'max-age=3600' }).end(`${was} ${url}`);
    };
    if (was === 'old' && url === '/held') held.push(answer);
    else answer();
  });
  const running = run([urlOf('/done'), urlOf('/held')], { regions: ['eu'] });
  while (held.length === 0) await origin.next();
  while (origin.count('/done') === 0) await origin.next();
  content = 'new';
  const purge = { files: [urlOf('/done'), urlOf('/held')], wait: 'applied' };
  t.match(await call('/v1/purges', purge), { status: 'applied' });
  for (const answer of held.splice(0)) answer();
  t.match(await running, { state: 'done' });
  for (const edge of ['eu-1', 'eu-2', 'us-1'])
    for (const path of ['/done', '/held'])
      t.equal((await ask(network.at(edge), path)).body.toString(), `new ${path}`, `${edge} ${path}`);
});

test('a job goes on when the node that works on it ends', async (t) => {
  const { network, origin, call, ended } = await stage(t, STORED);
  const urls = Array.from({ length: 400 }, (_, index) => urlOf(`/${index}`));
  const made = await call('/v1/jobs', { kind: 'warm', urls, rate: 200, regions: ['eu'] });
  let node: string | null | undefined;
  while (!node) node = (await call(`/v1/jobs/${made.id}`)).regions[0]?.node;
  await network.edge(node).close();
  const job = await ended(made.id);
  t.match(job, { state: 'done', counts: { failed: 0 } });
  for (const url of urls) t.equal(origin.count(new URL(url).pathname), 1, url);
});
