/**
 * Warm jobs through real nodes: what is warmed is stored where visitors find it, the origin is asked once, and a purge
 * during the job wins.
 */
import { test } from 'tap';
import { jobStage, STORED, urlOf } from '../support/jobs.ts';
import { ask } from '../support/visitor.ts';

test('what is warmed is stored at the owners of each region and at the shield; the origin is asked once', async (t) => {
  const { network, origin, run, lines } = await jobStage(t, STORED);
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
  const { network, run } = await jobStage(t, STORED);
  t.match(await run([urlOf('/a'), urlOf('/b'), urlOf('/a')], { regions: ['us'] }), {
    total: 2,
    regions: [{ region: 'us', state: 'ended' }],
  });
  const counts = await Promise.all(
    ['eu-1', 'eu-2', 'us-1', 'us-2'].map((name) => network.metric(name, 'seawall_cache_keys')),
  );
  t.same([(counts[0] ?? 0) + (counts[1] ?? 0), (counts[2] ?? 0) + (counts[3] ?? 0)], [0, 2]);
});

test('a purge during the job wins: what was fetched before it is gone, whatever the job says', async (t) => {
  let content = 'old';
  const held: (() => void)[] = [];
  const { network, run, call, origin } = await jobStage(t, ({ url }, response) => {
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

test('a job is finished by another node when the node that works on it ends', async (t) => {
  const { network, origin, call, ended } = await jobStage(t, STORED);
  const urls = Array.from({ length: 400 }, (_, index) => urlOf(`/${index}`));
  const made = await call('/v1/jobs', { kind: 'warm', urls, rate: 200, regions: ['eu'] });
  let node: string | null | undefined;
  while (!node) node = (await call(`/v1/jobs/${made.id}`)).regions[0]?.node;
  await network.edge(node).close();
  const job = await ended(made.id);
  t.match(job, { state: 'done', counts: { failed: 0 } });
  for (const url of urls) t.equal(origin.count(new URL(url).pathname), 1, url);
});
